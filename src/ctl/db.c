/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl db init, db status: roles and migrations. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "ctl/commands.h"
#include "ctl/database.h"
#include "ctl/file.h"
#include "ctl/output.h"

enum { MIGRATIONS_MAX = 512, SCRIPT_MAX = 4 * 1024 * 1024, PATH_SIZE = 1024, NAME_SIZE = 128 };

/* A file NNNN_name.sql of the directory "migrations". */
struct migration {
    long number;
    char name[NAME_SIZE]; /* of the file */
};

struct migrations {
    struct migration items[MIGRATIONS_MAX];
    size_t count;
};

/* Returns 0 when the file's name is not that of a migration. */
static long migration_number(const char *name)
{
    const size_t digits = strspn(name, "0123456789");
    const size_t n = strlen(name);
    if (digits != 4 || name[4] != '_' || n < 10 || n >= NAME_SIZE ||
        strcmp(name + n - 4, ".sql") != 0)
        return 0;
    return strtol(name, NULL, 10);
}

static int by_number(const void *a, const void *b)
{
    const struct migration *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static int check_order(const struct migrations *m, const char *directory)
{
    if (m->count == 0)
        return ctl_fail(CTL_FAILED,
                        "%s: no migrations there (--sql-dir names the directory "
                        "that holds roles.sql and migrations/)",
                        directory);
    for (size_t i = 0; i < m->count; i++) {
        if (m->items[i].number != (long)i + 1)
            return ctl_fail(CTL_FAILED, "%s: migration %zu is missing or there twice", directory,
                            i + 1);
    }
    return CTL_DONE;
}

/* Returns an enum ctl_exit. */
static int find_migrations(const char *sql_directory, struct migrations *out)
{
    char path[PATH_SIZE];
    struct dirent *entry;
    out->count = 0;
    (void)snprintf(path, sizeof path, "%s/migrations", sql_directory);
    DIR *directory = opendir(path);
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        const long number = migration_number(entry->d_name);
        if (number == 0 || out->count == MIGRATIONS_MAX)
            continue;
        struct migration *m = &out->items[out->count++];
        m->number = number;
        memcpy(m->name, entry->d_name, strlen(entry->d_name) + 1);
    }
    if (directory != NULL)
        (void)closedir(directory); /* read only */
    qsort(out->items, out->count, sizeof out->items[0], by_number);
    return check_order(out, path);
}

static const char *sql_directory(const struct ctl_arguments *args)
{
    const char *given = option_value(args, "sql-dir");
    return given != NULL ? given : SPEKE_DATADIR "/sql";
}

/* Runs a file of the SQL directory. */
static int run_file(PGconn *db, const char *directory, const char *name)
{
    char path[PATH_SIZE];
    char why[512];
    struct buf script;
    int code = CTL_FAILED;
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    buf_init(&script, SCRIPT_MAX);
    if (file_slurp(path, &script, why, sizeof why) != 0) {
        (void)ctl_fail(CTL_FAILED, "%s", why);
    } else {
        buf_put_u8(&script, 0);
        code = buf_ok(&script) ? database_script(db, (const char *)script.data) : ctl_fail_memory();
    }
    buf_free(&script);
    return code;
}

/* "roles" when the schema belongs to speke_owner, else "single role". */
static int privileges(PGconn *db, char *out, size_t size)
{
    return database_ask(db,
                        "SELECT CASE pg_catalog.pg_get_userbyid(nspowner) WHEN 'speke_owner' "
                        "THEN 'roles' ELSE 'single role' END "
                        "FROM pg_catalog.pg_namespace WHERE nspname = 'speke'",
                        out, size);
}

static int make_roles(struct ctl *ctl, PGconn *db, const char *directory, bool single)
{
    char may[8];
    if (single) {
        ctl_say(ctl, "roles: left alone (--single-role)");
        return CTL_DONE;
    }
    int code = database_ask(db,
                            "SELECT rolsuper OR rolcreaterole FROM pg_catalog.pg_roles "
                            "WHERE rolname = current_user",
                            may, sizeof may);
    if (code != CTL_DONE)
        return code;
    if (may[0] != 't') {
        ctl_say(ctl, "roles: this database role may not create any");
        return CTL_DONE;
    }
    code = run_file(db, directory, "roles.sql");
    if (code == CTL_DONE)
        ctl_say(ctl, "roles: speke_owner, speke_service, speke_operator, speke_auditor, "
                     "speke_webauth and speke_licence are there");
    return code;
}

static int apply(struct ctl *ctl, PGconn *db, const char *directory, const struct migration *m,
                 json_t *applied)
{
    char name[NAME_SIZE + 16];
    long version;
    (void)snprintf(name, sizeof name, "migrations/%s", m->name);
    ctl_say(ctl, "migration %s: running", m->name);
    int code = run_file(db, directory, name);
    if (code == CTL_DONE)
        code = database_schema_version(db, &version);
    if (code != CTL_DONE)
        return code;
    if (version != m->number)
        return ctl_fail(CTL_FAILED, "%s did not bring the schema to version %ld", m->name,
                        m->number);
    return json_array_append_new(applied, json_string(m->name)) == 0 ? CTL_DONE : ctl_fail_memory();
}

static int bring_up_to_date(struct ctl *ctl, PGconn *db, const char *directory,
                            const struct migrations *m, json_t *applied)
{
    long version;
    int code = database_schema_version(db, &version);
    if (code == CTL_DONE && version > (long)m->count)
        return ctl_fail(CTL_FAILED,
                        "the schema is at version %ld, these files know %zu: a newer release was "
                        "here",
                        version, m->count);
    for (size_t i = 0; i < m->count && code == CTL_DONE; i++) {
        if (m->items[i].number > version)
            code = apply(ctl, db, directory, &m->items[i], applied);
    }
    if (code == CTL_DONE)
        ctl_say(ctl, "schema: version %zu%s", m->count,
                json_array_size(applied) == 0 ? ", nothing to do" : "");
    return code;
}

static const struct column INIT_COLUMNS[] = {
    {"schema_version", "Schema version", false, 0},
    {"applied", "Applied now", false, 0},
    {"privileges", "Privileges", false, 0},
};

static int init(struct ctl *ctl, PGconn *db, const struct ctl_arguments *args)
{
    struct migrations found;
    char mode[16] = "";
    const char *directory = sql_directory(args);
    int code = find_migrations(directory, &found);
    /* Two at a time would run the same migration. The number is this program's own. */
    if (code == CTL_DONE)
        code = database_command(db, "SELECT pg_catalog.pg_advisory_lock(7398563)", 0, NULL);
    if (code == CTL_DONE)
        code = make_roles(ctl, db, directory, option_given(args, "single-role"));
    if (code != CTL_DONE)
        return code;
    json_t *applied = json_array();
    code = bring_up_to_date(ctl, db, directory, &found, applied);
    if (code == CTL_DONE)
        code = privileges(db, mode, sizeof mode);
    if (code == CTL_DONE && mode[0] != 'r')
        ctl_say(ctl, "privileges: one database role owns everything, so the service can read "
                     "what the operator can");
    if (code == CTL_DONE && ctl->json)
        return output_object(ctl, CTL_COLUMNS(INIT_COLUMNS),
                             json_pack("{s:i, s:o, s:s}", "schema_version", (int)found.count,
                                       "applied", applied, "privileges", mode));
    json_decref(applied);
    return code;
}

static int run_init(struct ctl *ctl, const struct ctl_arguments *args)
{
    int code;
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    code = init(ctl, db, args);
    PQfinish(db);
    return code;
}

static const struct column STATUS_COLUMNS[] = {
    {"database", "Database", false, 0},
    {"server_version", "PostgreSQL", false, 0},
    {"schema_version", "Schema version", false, 0},
    {"newest_version", "Newest version", false, 0},
    {"up_to_date", "Up to date", false, 0},
};

static int run_status(struct ctl *ctl, const struct ctl_arguments *args)
{
    struct migrations found;
    long version = 0;
    int code;
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    code = find_migrations(sql_directory(args), &found);
    if (code == CTL_DONE)
        code = database_schema_version(db, &version);
    if (code == CTL_DONE) {
        const bool up_to_date = version == (long)found.count;
        code = output_object(ctl, CTL_COLUMNS(STATUS_COLUMNS),
                             json_pack("{s:s, s:s?, s:I, s:I, s:b}", "database", PQdb(db),
                                       "server_version", PQparameterStatus(db, "server_version"),
                                       "schema_version", (json_int_t)version, "newest_version",
                                       (json_int_t)found.count, "up_to_date", up_to_date));
        if (code == CTL_DONE && version < (long)found.count)
            code = ctl_fail(CTL_FAILED, "the schema is not up to date (run \"spekectl db init\")");
        else if (code == CTL_DONE && !up_to_date)
            code = ctl_fail(CTL_FAILED, "the schema is newer than these files");
    }
    PQfinish(db);
    return code;
}

static const struct ctl_option OPTION_ROWS[] = {
    {"sql-dir", '\0', "DIRECTORY", "where roles.sql and migrations/ are, if not as installed"},
    {"single-role", '\0', NULL, "create no roles: one database role owns and does everything"},
};

const struct ctl_command db_init_command = {
    .name = "db init",
    .words = "",
    .summary = "Create the roles and bring the schema up to date.",
    .notes = "Run as the owner of the database or as a superuser. Runs roles.sql when that\n"
             "database role may create roles, then every migration that is not applied yet.\n"
             "Running it again changes nothing. The database itself is made with createdb(1).",
    .options = CTL_OPTIONS(OPTION_ROWS),
    .run = run_init,
};

const struct ctl_command db_status_command = {
    .name = "db status",
    .words = "",
    .summary = "Tell which version the schema has.",
    .notes = "Exits with 1 when the schema is missing or not up to date.",
    .options = {OPTION_ROWS, 1},
    .run = run_status,
};
