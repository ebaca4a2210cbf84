/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/tenant_load.h"

#include <stdlib.h>

#include "base/failure.h"
#include "ctl/ctl.h"
#include "ctl/database.h"
#include "exchange/tenant.h"
#include "keystore/keystore.h"

static const char *member(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text == NULL ? "" : text;
}

static int look_at_tenant(struct ctl *ctl, PGconn *db, const char *tenant)
{
    const char *const parameters[] = {tenant};
    int code;
    json_t *rows = database_list(db, &code, "SELECT enabled FROM speke.v_tenant WHERE name = $1", 1,
                                 parameters);
    if (rows != NULL && json_array_size(rows) == 0)
        code = ctl_fail(CTL_FAILED, "no tenant \"%s\"", tenant);
    else if (rows != NULL && !json_is_true(json_object_get(json_array_get(rows, 0), "enabled")))
        ctl_warn(ctl, "tenant \"%s\" is disabled: its clients get 403 for everything", tenant);
    json_decref(rows);
    return code;
}

/* The configuration keeps copies of what it needs of the rows. */
static int read_rows(const char *tenant, const json_t *rows, struct tenant_config *out)
{
    const size_t count = json_array_size(rows);
    struct keystore_setting *settings = calloc(count + 1, sizeof *settings);
    struct failure f = {0};
    if (settings == NULL)
        return ctl_fail_memory();
    for (size_t i = 0; i < count; i++) {
        const json_t *row = json_array_get(rows, i);
        settings[i] = (struct keystore_setting){.system = member(row, "system"),
                                                .name = member(row, "name"),
                                                .value = member(row, "value")};
    }
    const struct keystore_client client = {
        .tenant = tenant, .settings = settings, .setting_count = count};
    tenant_config_free(out);
    const int result = tenant_config_read(out, &client, &f);
    free(settings);
    return result == 0 ? CTL_DONE : ctl_fail(CTL_FAILED, "%s: %s", f.text, f.cause);
}

int tenant_load(struct ctl *ctl, const char *tenant, struct tenant_config *out)
{
    const char *const parameters[] = {tenant};
    int code;
    tenant_config_init(out);
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    json_t *rows = NULL;
    code = look_at_tenant(ctl, db, tenant);
    if (code == CTL_DONE)
        rows = database_list(db, &code,
                             "SELECT coalesce(system::text, '') AS system, name, value "
                             "FROM speke.v_setting WHERE tenant = $1 "
                             "ORDER BY v_setting.system NULLS FIRST, name COLLATE \"C\"",
                             1, parameters);
    PQfinish(db);
    if (rows != NULL)
        code = read_rows(tenant, rows, out);
    json_decref(rows);
    return code;
}
