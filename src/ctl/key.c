/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl key list, key show: which keys there are. The keys themselves cannot be read this way.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/uuid.h"
#include "ctl/commands.h"
#include "ctl/database.h"
#include "ctl/key_select.h"
#include "ctl/output.h"

static const char DEFAULT_LIMIT[] = "100";
enum { LIMIT_MAX = 1000000 };

#define TIME(column) "to_char(" column " AT TIME ZONE 'UTC', '" CTL_TIME "') AS " column

static const char QUERY[] = "SELECT tenant, content_id, kid, scheme, state, kek_version, " TIME(
    "created_at") ", "
                  "created_by, " TIME("revoked_at") ", " TIME(
                      "destroyed_at") ", reason "
                                      "FROM speke.key_list($1::jsonb, $2::bigint)";

/* Widths that most values have, since a page is printed before the next is known. */
static const struct column COLUMNS[] = {
    {"tenant", "TENANT", true, 0},     {"content_id", "CONTENT ID", true, 0},
    {"kid", "KID", false, 36},         {"scheme", "SCHEME", false, 6},
    {"state", "STATE", false, 9},      {"kek_version", "KEK", false, 3},
    {"created_by", "CLIENT", true, 0}, {"created_at", "CREATED", false, 20},
};

/* --- list ----------------------------------------------------------------------------------- */

static int run_list(struct ctl *ctl, const struct ctl_arguments *args)
{
    const char *limit = option_value(args, "number");
    const bool all = option_given(args, "all");
    struct row_printer printer = {
        .ctl = ctl, .columns = COLUMNS, .count = sizeof COLUMNS / sizeof COLUMNS[0]};
    long number;
    int code;
    if (limit != NULL && (all || option_number(limit, 1, LIMIT_MAX, &number) != 0))
        return ctl_fail(CTL_USAGE, "--number: a number from 1 to %d, without --all", LIMIT_MAX);
    json_t *chosen = key_selection(args, &code);
    if (chosen == NULL)
        return code;
    char *selection = key_selection_text(chosen);
    PGconn *db = selection != NULL ? database_open(ctl, &code) : NULL;
    if (selection == NULL)
        code = ctl_fail_memory();
    if (db != NULL) {
        const char *const parameters[] = {selection, all             ? NULL
                                                     : limit != NULL ? limit
                                                                     : DEFAULT_LIMIT};
        code = database_pages(db, QUERY, 2, parameters, output_page, &printer);
        if (code == CTL_DONE)
            code = output_page_end(&printer);
        PQfinish(db);
    }
    free(selection);
    return code;
}

static const struct ctl_option LIST_ROWS[] = {
    KEY_SELECT_TENANT,
    KEY_SELECT_OPTIONS,
    {"number", 'n', "N", "the newest N keys; 100 unless given"},
    {"all", '\0', NULL, "all keys, content by content"},
};

const struct ctl_command key_list_command = {
    .name = "key list",
    .words = "",
    .summary = "List which content keys there are, newest first; never the keys.",
    .options = CTL_OPTIONS(LIST_ROWS),
    .run = run_list,
};

/* --- show ----------------------------------------------------------------------------------- */

static const struct column SHOWN[] = {
    {"tenant", "Tenant", false, 0},
    {"content_id", "Content id", false, 0},
    {"kid", "KID", false, 0},
    {"scheme", "Scheme", false, 0},
    {"state", "State", false, 0},
    {"reason", "Because", false, 0},
    {"revoked_at", "Revoked", false, 0},
    {"destroyed_at", "Destroyed", false, 0},
    {"kek_version", "KEK", false, 0},
    {"created_at", "Created", false, 0},
    {"created_by", "By client", false, 0},
    {"period", "Period", false, 0},
};

static const char PERIODS[] =
    "SELECT period_id, period_index, period_start, period_end, start_offset, end_offset "
    "FROM speke.v_period WHERE tenant = $1 AND content_id = $2 AND $3::uuid = ANY (kids) "
    "ORDER BY first_seen_at, period_id";

static const char EVENTS[] = "SELECT " TIME(
    "at") ", event, status, coalesce(remote_user, operator) AS who, "
          "host(remote_addr) AS remote_addr, detail FROM speke.v_audit "
          "WHERE tenant = $1 AND content_id = $2 AND kids @> ARRAY[$3::uuid] ORDER BY event_id";

/* Puts what a query finds for the key into a member of its object. Returns an enum ctl_exit. */
static int add_list(PGconn *db, json_t *key, const char *member, const char *query)
{
    int code;
    const char *const parameters[] = {json_string_value(json_object_get(key, "tenant")),
                                      json_string_value(json_object_get(key, "content_id")),
                                      json_string_value(json_object_get(key, "kid"))};
    json_t *rows = database_list(db, &code, query, 3, parameters);
    if (rows != NULL && json_object_set_new(key, member, rows) != 0)
        code = ctl_fail_memory();
    return code;
}

static int print_key(const struct ctl *ctl, json_t *key, bool history)
{
    static const struct column PERIOD_COLUMNS[] = {
        {"period_id", "PERIOD", true, 0},           {"period_index", "INDEX", false, 0},
        {"period_start", "START", false, 0},        {"period_end", "END", false, 0},
        {"start_offset", "START OFFSET", false, 0}, {"end_offset", "END OFFSET", false, 0},
    };
    static const struct column EVENT_COLUMNS[] = {
        {"at", "TIME", false, 0}, {"event", "EVENT", false, 0},      {"status", "STATUS", false, 0},
        {"who", "WHO", true, 0},  {"remote_addr", "FROM", false, 0}, {"detail", "WHAT", true, 0},
    };
    json_t *periods = json_object_get(key, "periods");
    json_t *events = json_object_get(key, "history");
    int code = output_object(ctl, CTL_COLUMNS(SHOWN), json_incref(key));
    if (code == CTL_DONE && json_array_size(periods) > 0)
        code = output_rows(ctl, CTL_COLUMNS(PERIOD_COLUMNS), json_incref(periods));
    if (code == CTL_DONE && history)
        code = output_rows(ctl, CTL_COLUMNS(EVENT_COLUMNS), json_incref(events));
    return code;
}

/* The same KID may be a key of several contents and tenants. */
static int show(struct ctl *ctl, PGconn *db, const char *selection, bool history)
{
    int code;
    size_t i;
    json_t *key;
    const char *const parameters[] = {selection, NULL};
    json_t *keys = database_list(db, &code, QUERY, 2, parameters);
    if (keys == NULL)
        return code;
    if (json_array_size(keys) == 0)
        code = ctl_fail(CTL_FAILED, "no such key");
    json_array_foreach(keys, i, key)
    {
        if (code == CTL_DONE)
            code = add_list(db, key, "periods", PERIODS);
        if (code == CTL_DONE && history)
            code = add_list(db, key, "history", EVENTS);
        if (code == CTL_DONE && !ctl->json) {
            if (i > 0)
                (void)putchar('\n'); /* main() looks at the stream */
            code = print_key(ctl, key, history);
        }
    }
    if (code == CTL_DONE && ctl->json)
        return output_rows(ctl, CTL_COLUMNS(SHOWN), keys);
    json_decref(keys);
    return code;
}

static int run_show(struct ctl *ctl, const struct ctl_arguments *args)
{
    struct uuid kid;
    int code;
    if (uuid_parse(args->words[0], &kid) != 0)
        return ctl_fail(CTL_USAGE, "%s is not a UUID", args->words[0]);
    json_t *chosen = key_selection(args, &code);
    if (chosen == NULL)
        return code;
    char *selection = json_object_set_new(chosen, "kids", json_pack("[s]", args->words[0])) == 0
                          ? json_dumps(chosen, JSON_COMPACT)
                          : NULL;
    json_decref(chosen);
    if (selection == NULL)
        return ctl_fail_memory();
    PGconn *db = database_open(ctl, &code);
    if (db != NULL)
        code = show(ctl, db, selection, option_given(args, "history"));
    PQfinish(db);
    free(selection);
    return code;
}

static const struct ctl_option SHOW_ROWS[] = {
    KEY_SELECT_TENANT,
    {"content-id", '\0', "GLOB", "of contents that match"},
    {"history", '\0', NULL, "everything that the audit has about the key"},
};

const struct ctl_command key_show_command = {
    .name = "key show",
    .words = "KID",
    .summary = "Tell everything about a key but its value.",
    .notes = "--history looks through the whole audit, which takes its time.",
    .options = CTL_OPTIONS(SHOW_ROWS),
    .least_words = 1,
    .most_words = 1,
    .run = run_show,
};
