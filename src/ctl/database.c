/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/database.h"

#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/settings.h"
#include "ctl/ctl.h"
#include "keystore/wire.h"

/* Further type numbers that PostgreSQL never changes (pg_type.dat). */
enum { OID_INT2 = 21, OID_JSONB = 3802 };

static const struct {
    const char *state; /* SQLSTATE, or its class of two characters */
    enum ctl_exit code;
    const char *hint;
} HINTS[] = {
    {"3F000", CTL_FAILED, " (schema missing: run \"spekectl db init\")"},
    {"42P01", CTL_FAILED, " (schema missing or too old: run \"spekectl db init\")"},
    {"42883", CTL_FAILED, " (schema missing or too old: run \"spekectl db init\")"},
    {"42501", CTL_FAILED,
     " (connect with --db as a role that may: speke_operator changes, "
     "speke_auditor reads, \"db init\" wants the database's owner)"},
    {"25006", CTL_UNAVAILABLE, " (a standby server: connect to the primary)"},
    {"08", CTL_UNAVAILABLE, ""},
    {"53", CTL_UNAVAILABLE, ""},
    {"57", CTL_UNAVAILABLE, ""},
};

/* The first line of a libpq message, which may have several. */
static int fail_first_line(enum ctl_exit code, const char *text, const char *hint)
{
    return ctl_fail(code, "%.*s%s", (int)strcspn(text, "\n"), text, hint);
}

static int complain(const PGconn *db, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (state == NULL || text == NULL)
        return fail_first_line(PQstatus(db) == CONNECTION_OK ? CTL_FAILED : CTL_UNAVAILABLE,
                               PQerrorMessage(db), "");
    for (size_t i = 0; i < sizeof HINTS / sizeof HINTS[0]; i++) {
        if (strncmp(state, HINTS[i].state, strlen(HINTS[i].state)) == 0)
            return fail_first_line(HINTS[i].code, text, HINTS[i].hint);
    }
    return fail_first_line(CTL_FAILED, text, "");
}

/* The migrations' NOTICEs ("already exists, skipping") are no news; warnings are. */
static void take_notice(void *context, const PGresult *notice)
{
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *text = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    if (severity != NULL && text != NULL && strcmp(severity, "WARNING") == 0)
        ctl_warn(context, "%s", text);
}

/* Whoever lists processes would read the password. */
static bool holds_password(const char *conninfo)
{
    bool found = false;
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    for (const PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++)
        found = found || (strcmp(o->keyword, "password") == 0 && o->val != NULL);
    PQconninfoFree(options);
    return found;
}

/* Returns an enum ctl_exit. */
static int choose(const struct ctl *ctl, struct settings *settings, const char **conninfo)
{
    *conninfo = ctl->db != NULL ? ctl->db : getenv("SPEKE_DB");
    if (ctl->db != NULL && holds_password(ctl->db))
        return ctl_fail(CTL_USAGE, "--db: no password in an argument; use a passfile "
                                   "(~/.pgpass) or PGPASSWORD");
    if (*conninfo != NULL && (*conninfo)[0] != '\0')
        return CTL_DONE;
    *conninfo = settings->database;
    return ctl_settings(ctl, settings);
}

/* The user that logged in, also when it has become root since: the kernel keeps it. */
static uid_t login_user(void)
{
    unsigned long id = (unsigned long)(uid_t)-1;
    FILE *in = fopen("/proc/self/loginuid", "re");
    if (in != NULL) {
        if (fscanf(in, "%lu", &id) != 1) /* NOLINT(cert-err34-c): the kernel wrote it */
            id = (unsigned long)(uid_t)-1;
        (void)fclose(in); /* read only */
    }
    return id == (unsigned long)(uid_t)-1 ? getuid() : (uid_t)id;
}

/* What the audit notes of an operator besides its login: "spekectl ops@host client add". The server
 * cuts it at 63 bytes. */
static void name_operator(const struct ctl *ctl, char *out, size_t size)
{
    char host[HOST_NAME_MAX + 1] = "";
    const struct passwd *user = getpwuid(login_user());
    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = '\0';
    host[strcspn(host, ".")] = '\0';
    (void)snprintf(out, size, "spekectl %s@%s%s%s", user != NULL ? user->pw_name : "?", host,
                   ctl->command != NULL ? " " : "", ctl->command != NULL ? ctl->command : "");
}

PGconn *database_open(struct ctl *ctl, int *code)
{
    struct settings settings;
    const char *conninfo;
    char name[HOST_NAME_MAX + LOGIN_NAME_MAX + 64];
    *code = choose(ctl, &settings, &conninfo);
    if (*code != CTL_DONE)
        return NULL;
    /* What stands before dbname gives way to what the connection string says. */
    const char *const keywords[] = {"connect_timeout", "fallback_application_name", "dbname",
                                    "client_encoding", NULL};
    const char *const values[] = {"5", name, conninfo, "UTF8", NULL};
    name_operator(ctl, name, sizeof name);
    PGconn *db = PQconnectdbParams(keywords, values, 1);
    if (db == NULL) {
        *code = ctl_fail_memory();
        return NULL;
    }
    if (PQstatus(db) != CONNECTION_OK) {
        *code = fail_first_line(CTL_UNAVAILABLE, PQerrorMessage(db),
                                " (--db names another database)");
        PQfinish(db);
        return NULL;
    }
    (void)PQsetNoticeReceiver(db, take_notice, ctl); /* gives the old one back */
    return db;
}

PGresult *database_judge(PGconn *db, PGresult *result, int *code)
{
    const ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        *code = CTL_DONE;
        return result;
    }
    *code = complain(db, result);
    PQclear(result);
    return NULL;
}

PGresult *database_query(PGconn *db, int *code, const char *sql, int count,
                         const char *const *parameters)
{
    return database_judge(db, PQexecParams(db, sql, count, NULL, parameters, NULL, NULL, 0), code);
}

PGresult *database_call(PGconn *db, int *code, const char *sql, const Oid *types,
                        const struct params *params)
{
    enum { BINARY = 1 };
    const char *values[PARAMS_MAX];
    int formats[PARAMS_MAX];
    if (!params_ok(params)) {
        *code = ctl_fail_memory();
        return NULL;
    }
    for (int i = 0; i < params->count; i++) {
        values[i] = params->lengths[i] < 0 ? NULL
                                           : (const char *)params->data.data + params->offsets[i];
        formats[i] = BINARY;
    }
    return database_judge(
        db, PQexecParams(db, sql, params->count, types, values, params->lengths, formats, BINARY),
        code);
}

int database_command(PGconn *db, const char *sql, int count, const char *const *parameters)
{
    int code;
    PQclear(database_query(db, &code, sql, count, parameters));
    return code;
}

int database_script(PGconn *db, const char *sql)
{
    PGresult *result = PQexec(db, sql);
    const ExecStatusType status = PQresultStatus(result);
    int code = CTL_DONE;
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        code = complain(db, result);
        if (PQtransactionStatus(db) == PQTRANS_INERROR)
            PQclear(PQexec(db, "ROLLBACK")); /* the fault has been told already */
    }
    PQclear(result);
    return code;
}

/* "{a,b}" of elements that need no quotes, such as uuid; others keep theirs. */
static json_t *array_value(const char *text)
{
    json_t *array = json_array();
    const char *p = text + (text[0] == '{');
    while (array != NULL && *p != '\0' && *p != '}') {
        const size_t n = strcspn(p, ",}");
        if (json_array_append_new(array, json_stringn(p, n)) != 0) {
            json_decref(array);
            return NULL;
        }
        p += n + (p[n] == ',');
    }
    return array;
}

static json_t *value(const PGresult *result, int row, int column)
{
    const char *text = PQgetvalue(result, row, column);
    if (PQgetisnull(result, row, column))
        return json_null();
    switch (PQftype(result, column)) {
    case OID_BOOL:
        return json_boolean(text[0] == 't');
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
        return json_integer(strtoll(text, NULL, 10));
    case OID_TEXT_ARRAY:
    case OID_UUID_ARRAY:
        return array_value(text);
    case OID_JSONB:
        return json_loads(text, JSON_DECODE_ANY, NULL);
    default:
        return json_string(text);
    }
}

static json_t *row_object(const PGresult *result, int row)
{
    json_t *object = json_object();
    for (int c = 0; object != NULL && c < PQnfields(result); c++) {
        if (json_object_set_new(object, PQfname(result, c), value(result, row, c)) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

json_t *database_rows(const PGresult *result)
{
    json_t *rows = json_array();
    for (int r = 0; rows != NULL && r < PQntuples(result); r++) {
        if (json_array_append_new(rows, row_object(result, r)) != 0) {
            json_decref(rows);
            return NULL;
        }
    }
    return rows;
}

json_t *database_list(PGconn *db, int *code, const char *sql, int count,
                      const char *const *parameters)
{
    PGresult *result = database_query(db, code, sql, count, parameters);
    if (result == NULL)
        return NULL;
    json_t *rows = database_rows(result);
    if (rows == NULL)
        *code = ctl_fail_memory();
    PQclear(result);
    return rows;
}

/* Appends the row of a result and hands a full page over. */
static int add_row(json_t **rows, const PGresult *result, int (*page)(void *context, json_t *rows),
                   void *context)
{
    if (*rows == NULL)
        *rows = json_array();
    if (json_array_append_new(*rows, row_object(result, 0)) != 0)
        return ctl_fail_memory();
    if (json_array_size(*rows) < CTL_PAGE_ROWS)
        return CTL_DONE;
    json_t *full = *rows;
    *rows = NULL;
    return page(context, full);
}

int database_pages(PGconn *db, const char *sql, int count, const char *const *parameters,
                   int (*page)(void *context, json_t *rows), void *context)
{
    json_t *rows = NULL;
    PGresult *result;
    int code = CTL_DONE;
    if (PQsendQueryParams(db, sql, count, NULL, parameters, NULL, NULL, 0) != 1 ||
        PQsetSingleRowMode(db) != 1)
        return complain(db, NULL);
    while (code == CTL_DONE && (result = PQgetResult(db)) != NULL) {
        const ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_SINGLE_TUPLE)
            code = add_row(&rows, result, page, context);
        else if (status != PGRES_TUPLES_OK)
            code = complain(db, result);
        PQclear(result);
    }
    if (code == CTL_DONE && rows != NULL)
        return page(context, rows);
    json_decref(rows);
    return code;
}

int database_ask(PGconn *db, const char *sql, char *out, size_t size)
{
    int code;
    out[0] = '\0';
    PGresult *result = database_query(db, &code, sql, 0, NULL);
    if (result != NULL && PQntuples(result) > 0)
        (void)snprintf(out, size, "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    return code;
}

int database_schema_version(PGconn *db, long *version)
{
    char relation[64];
    char answer[32] = "";
    char sql[128];
    /* The last migration makes the view, which every role of ours may read; until then whoever
     * runs the migrations reads the table. */
    int code = database_ask(db,
                            "SELECT c.relname FROM pg_catalog.pg_class c "
                            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
                            "WHERE n.nspname = 'speke' "
                            "AND c.relname IN ('v_schema_version', 'schema_version') "
                            "ORDER BY c.relname DESC LIMIT 1",
                            relation, sizeof relation);
    *version = 0;
    if (code != CTL_DONE || relation[0] == '\0')
        return code;
    (void)snprintf(sql, sizeof sql, "SELECT max(version) FROM speke.%s", relation);
    code = database_ask(db, sql, answer, sizeof answer);
    *version = strtol(answer, NULL, 10);
    return code;
}
