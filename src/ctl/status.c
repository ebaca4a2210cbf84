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

enum { WHY_SIZE = 128 };

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
    "(SELECT json_agg(json_build_array(kek_version, check_value) ORDER BY kek_version)::jsonb "
    "FROM speke.v_kek JOIN speke.v_kek_use u USING (kek_version) "
    "WHERE u.state <> 'active' AND u.keys > 0) AS others, "
    "(SELECT count(*) FROM speke.v_tenant) AS tenants, "
    "(SELECT count(*) FROM speke.v_client) AS clients, "
    "(SELECT count(*) FROM speke.v_client WHERE NOT in_force) AS clients_disabled, "
    "(SELECT count(*) FROM speke.v_key) AS keys, "
    "(SELECT to_char(at AT TIME ZONE 'UTC', '" CTL_TIME "') FROM speke.v_audit "
    "WHERE event = 'release' ORDER BY event_id DESC LIMIT 1) AS last_release";

/* The first KEK of those that are not active and have keys that the file does not hold; 0 for
 * none. */
static long missing_kek(struct keyring *ring, const json_t *others)
{
    size_t i;
    json_t *other;
    json_array_foreach(others, i, other)
    {
        const long version = (long)json_integer_value(json_array_get(other, 0));
        const char *check = json_string_value(json_array_get(other, 1));
        if (check != NULL && strcmp(kek_in_file(ring, version, check), "yes") != 0)
            return version;
    }
    return 0;
}

/* What is wrong with the KEKs that the database knows, "" when nothing is. */
static const char *judge_keks(const json_t *object, struct keyring *ring, char why[static WHY_SIZE])
{
    const json_t *version = json_object_get(object, "kek_version");
    const char *check = json_string_value(json_object_get(object, "check_value"));
    const char *state = "no";
    why[0] = '\0';
    if (check == NULL) {
        (void)snprintf(why, WHY_SIZE, "no KEK is active (run \"spekectl kek create\")");
        return state;
    }
    state = kek_in_file(ring, (long)json_integer_value(version), check);
    const long missing = missing_kek(ring, json_object_get(object, "others"));
    if (strcmp(state, "yes") != 0)
        (void)snprintf(why, WHY_SIZE, "the KEK file does not hold the active KEK");
    else if (missing != 0)
        (void)snprintf(why, WHY_SIZE, "keys are sealed under KEK %ld, which is not in the KEK file",
                       missing);
    return state;
}

/* Adds the KEK's state and gives back why not all can be opened, NULL when it can. */
static const char *add_kek(json_t *object, const struct settings *settings,
                           char why[static WHY_SIZE])
{
    const char *path = kek_path(settings);
    struct keyring *ring = kek_open_ring(settings, path);
    if (ring == NULL)
        return "out of memory";
    const char *state = judge_keks(object, ring, why);
    const char *from = path != NULL ? path : settings->kek_command;
    const int result = json_object_set_new(object, "kek_in_file", json_string(state)) |
                       json_object_set_new(object, "kek_file", json_string(from)) |
                       json_object_del(object, "check_value") | json_object_del(object, "others");
    keyring_free(ring);
    if (result != 0)
        return "out of memory";
    return why[0] != '\0' ? why : NULL;
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
    char why[WHY_SIZE];
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
        const char *reason = add_kek(object, &settings, why);
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
