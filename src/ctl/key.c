/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl key list: which keys there are. The keys themselves cannot be read this way. */
#include "ctl/commands.h"
#include "ctl/database.h"
#include "ctl/output.h"

static const char DEFAULT_LIMIT[] = "100";
enum { LIMIT_MAX = 1000000 };

static const char QUERY[] =
    "SELECT tenant, content_id, kid, scheme, kek_version, "
    "to_char(created_at AT TIME ZONE 'UTC', '" CTL_TIME "') AS created_at, created_by "
    "FROM speke.v_key "
    "WHERE ($1::text IS NULL OR tenant = $1) AND ($2::text IS NULL OR content_id = $2) "
    "AND ($3::uuid IS NULL OR kid = $3) "
    "ORDER BY v_key.created_at DESC, tenant, content_id, kid LIMIT $4";

static int run_list(struct ctl *ctl, const struct ctl_arguments *args)
{
    static const struct column COLUMNS[] = {
        {"tenant", "TENANT", true, 0},
        {"content_id", "CONTENT ID", true, 0},
        {"kid", "KID", false, 0},
        {"scheme", "SCHEME", false, 0},
        {"kek_version", "KEK", false, 0},
        {"created_by", "CLIENT", true, 0},
        {"created_at", "CREATED", false, 0},
    };
    const char *limit = option_value(args, "number");
    long number;
    int code;
    if (limit != NULL && option_number(limit, 1, LIMIT_MAX, &number) != 0)
        return ctl_fail(CTL_USAGE, "--number: a number from 1 to %d", LIMIT_MAX);
    const char *const parameters[] = {option_value(args, "tenant"),
                                      option_value(args, "content-id"), option_value(args, "kid"),
                                      limit != NULL ? limit : DEFAULT_LIMIT};
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    json_t *rows = database_list(db, &code, QUERY, 4, parameters);
    PQfinish(db);
    return rows == NULL ? code : output_rows(ctl, CTL_COLUMNS(COLUMNS), rows);
}

static const struct ctl_option OPTION_ROWS[] = {
    {"tenant", '\0', "TENANT", "keys of this tenant alone"},
    {"content-id", '\0', "ID", "keys of this content alone"},
    {"kid", '\0', "UUID", "keys with this KID alone"},
    {"number", 'n', "N", "the newest N keys; 100 unless given"},
};

const struct ctl_command key_list_command = {
    .name = "key list",
    .words = "",
    .summary = "List which content keys there are, newest first; never the keys.",
    .options = CTL_OPTIONS(OPTION_ROWS),
    .run = run_list,
};
