/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl tenant add, tenant list. */
#include "ctl/commands.h"
#include "ctl/database.h"
#include "ctl/output.h"

static int run_add(struct ctl *ctl, const struct ctl_arguments *args)
{
    static const struct column COLUMNS[] = {{"tenant_id", "Tenant number", false, 0}};
    const char *const parameters[] = {args->words[0]};
    int code;
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    json_t *rows = database_list(db, &code, "SELECT speke.tenant_add($1) AS tenant_id", 1,
                                 parameters);
    if (rows != NULL)
        ctl_say(ctl, "tenant \"%s\" added", parameters[0]);
    if (rows != NULL && ctl->json)
        code = output_object(ctl, CTL_COLUMNS(COLUMNS), json_incref(json_array_get(rows, 0)));
    json_decref(rows);
    PQfinish(db);
    return code;
}

static int run_list(struct ctl *ctl, const struct ctl_arguments *args)
{
    (void)args; /* takes none */
    static const struct column COLUMNS[] = {
        {"name", "TENANT", true, 0},
        {"enabled", "ENABLED", false, 0},
        {"clients", "CLIENTS", false, 0},
        {"created_at", "CREATED", false, 0},
    };
    int code;
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    json_t *rows = database_list(
        db, &code,
        "SELECT t.tenant_id, t.name, t.enabled, "
        "(SELECT count(*) FROM speke.v_client c WHERE c.tenant = t.name) AS clients, "
        "to_char(t.created_at AT TIME ZONE 'UTC', '" CTL_TIME "') AS created_at "
        "FROM speke.v_tenant t ORDER BY t.name",
        0, NULL);
    PQfinish(db);
    return rows == NULL ? code : output_rows(ctl, CTL_COLUMNS(COLUMNS), rows);
}

const struct ctl_command tenant_add_command = {
    .name = "tenant add",
    .words = "NAME",
    .summary = "Add a tenant: an owner of content with keys of its own.",
    .least_words = 1,
    .most_words = 1,
    .run = run_add,
};

const struct ctl_command tenant_list_command = {
    .name = "tenant list",
    .words = "",
    .summary = "List the tenants.",
    .run = run_list,
};
