/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl status: whether the key provider could work, and how much there is in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"
#include "ctl/commands.h"
#include "ctl/database.h"
#include "ctl/kek.h"
#include "ctl/output.h"
#include "keystore/keyring.h"

static const struct column COLUMNS[] = {
    {"ready", "Ready", false, 0},
    {"reason", "Because", false, 0},
    {"database", "Database", false, 0},
    {"schema_version", "Schema version", false, 0},
    {"kek_version", "Active KEK", false, 0},
    {"kek_in_file", "In the KEK file", false, 0},
    {"kek_file", "KEK file", false, 0},
    {"tenants", "Tenants", false, 0},
    {"clients", "Clients", false, 0},
    {"clients_disabled", "of these disabled", false, 0},
    {"keys", "Content keys", false, 0},
    {"last_release", "Last release", false, 0},
};

static const char COUNTS[] =
    "SELECT (SELECT kek_version FROM speke.v_kek WHERE state = 'active') AS kek_version, "
    "(SELECT check_value FROM speke.v_kek WHERE state = 'active') AS check_value, "
    "(SELECT count(*) FROM speke.v_tenant) AS tenants, "
    "(SELECT count(*) FROM speke.v_client) AS clients, "
    "(SELECT count(*) FROM speke.v_client WHERE NOT in_force) AS clients_disabled, "
    "(SELECT count(*) FROM speke.v_key) AS keys, "
    "(SELECT to_char(at AT TIME ZONE 'UTC', '" CTL_TIME "') FROM speke.v_audit "
    "WHERE event = 'release' ORDER BY event_id DESC LIMIT 1) AS last_release";

/* Adds the KEK's state and gives back why the service is sealed, NULL when it is not. */
static const char *add_kek(json_t *object, const struct settings *settings)
{
    const char *path = kek_path(settings);
    const json_t *version = json_object_get(object, "kek_version");
    const char *check = json_string_value(json_object_get(object, "check_value"));
    const char *state = "no";
    if (json_is_integer(version) && check != NULL) {
        struct keyring *ring = kek_open_ring(settings, path);
        state = ring == NULL ? "out of memory"
                             : kek_in_file(ring, (long)json_integer_value(version), check);
        keyring_free(ring);
    }
    const char *from = path != NULL ? path : settings->kek_command;
    const int result = json_object_set_new(object, "kek_in_file", json_string(state)) |
                       json_object_set_new(object, "kek_file", json_string(from)) |
                       json_object_del(object, "check_value");
    if (result != 0)
        return "out of memory";
    if (!json_is_integer(version))
        return "no KEK is active (run \"spekectl kek create\")";
    return strcmp(state, "yes") == 0 ? NULL : "the KEK file does not hold the active KEK";
}

static int print_status(const struct ctl *ctl, json_t *object, const char *reason)
{
    if (json_object_set_new(object, "ready", json_boolean(reason == NULL)) != 0 ||
        (reason != NULL && json_object_set_new(object, "reason", json_string(reason)) != 0)) {
        json_decref(object);
        return ctl_fail_memory();
    }
    const int code = output_object(ctl, CTL_COLUMNS(COLUMNS), object);
    return code == CTL_DONE && reason != NULL ? CTL_FAILED : code;
}

static int run_status(struct ctl *ctl, const struct ctl_arguments *args)
{
    (void)args; /* takes none */
    struct settings settings;
    long version = 0;
    int code = ctl_settings(ctl, &settings);
    if (code != CTL_DONE)
        return code;
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    code = database_schema_version(db, &version);
    if (code != CTL_DONE || version == 0) {
        PQfinish(db);
        return code != CTL_DONE
                   ? code
                   : print_status(ctl, json_object(), "schema missing (run \"spekectl db init\")");
    }
    json_t *rows = database_list(db, &code, COUNTS, 0, NULL);
    json_t *object = json_incref(json_array_get(rows, 0));
    json_decref(rows);
    if (object != NULL) {
        const char *reason = add_kek(object, &settings);
        const int result = json_object_set_new(object, "database", json_string(PQdb(db))) |
                           json_object_set_new(object, "schema_version",
                                               json_integer((json_int_t)version));
        code = print_status(ctl, object, result == 0 ? reason : "out of memory");
    }
    PQfinish(db);
    return code;
}

const struct ctl_command status_command = {
    .name = "status",
    .words = "",
    .summary = "Tell whether the key provider could work, and how much there is in it.",
    .notes = "Looks at the schema, the KEK file and the counts; exits with 0 when all is well and\n"
             "with 1 when not. Run it as root or as the user of the key provider, since nobody\n"
             "else can read the KEK file.",
    .run = run_status,
};
