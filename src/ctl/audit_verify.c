/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl audit verify: whether the audit is what was sealed, in the database or in an export. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "ctl/audit_file.h"
#include "ctl/audit_walk.h"
#include "ctl/commands.h"
#include "ctl/database.h"
#include "ctl/output.h"

enum { NUMBER_SIZE = 24, QUERY_LIMIT = 10000 };

/* A look at the whole table for what no seal leads to. The statement gives event_id, a time and,
 * for the sentence, one word more. */
struct question {
    const char *word, *sql, *sentence;
};

/* $1 and $2: xact and event_id up to which all is sealed; $3 and $4: after which it was looked at;
 * $5: the first seal that was looked at. */
static const struct question QUESTIONS[] = {
    {"inserted",
     "SELECT e.event_id, to_char(e.at AT TIME ZONE 'UTC', '" CTL_TIME "') AS at, '' AS more "
     "FROM speke.v_audit_event e WHERE (e.xact, e.event_id) <= ($1::bigint, $2::bigint) "
     "AND (e.xact, e.event_id) > ($3::bigint, $4::bigint) AND NOT EXISTS (SELECT "
     "FROM (SELECT unnest(s.event_ids) AS event_id FROM speke.v_audit_seal s "
     "WHERE s.seal_no >= $5::bigint) AS s WHERE s.event_id = e.event_id) LIMIT 10000",
     "was inserted: no seal covers it"},
    {"inserted",
     "SELECT e.event_id, to_char(min(e.at) AT TIME ZONE 'UTC', '" CTL_TIME "') AS at, "
     "count(*)::text AS more FROM speke.v_audit_event e "
     "WHERE (e.xact, e.event_id) <= ($1::bigint, $2::bigint) "
     "AND (e.xact, e.event_id) > ($3::bigint, $4::bigint) AND $5::bigint > 0 "
     "GROUP BY e.event_id HAVING count(*) > 1 LIMIT 10000",
     "and later is there several times:"},
    {"moved",
     "WITH part AS (SELECT c.oid, c.oid::regclass AS name, "
     "regexp_match(pg_get_expr(c.relpartbound, c.oid), "
     "'FROM \\(''([^'']+)''\\) TO \\(''([^'']+)''\\)') AS bound FROM pg_class c "
     "JOIN pg_inherits i ON i.inhrelid = c.oid WHERE i.inhparent = 'speke.audit_event'::regclass), "
     "month AS (SELECT oid, name, bound[1]::timestamptz AS first, bound[2]::timestamptz AS next "
     "FROM part WHERE bound IS NOT NULL) "
     "SELECT e.event_id, to_char(e.at AT TIME ZONE 'UTC', '" CTL_TIME "') AS at, "
     "e.partition::text AS more FROM speke.v_audit_event e "
     "LEFT JOIN month own ON own.oid = e.partition::oid "
     "WHERE (e.xact, e.event_id) > ($3::bigint, $4::bigint) "
     "AND CASE WHEN own.oid IS NULL THEN EXISTS (SELECT FROM month m WHERE e.at >= m.first "
     "AND e.at < m.next) ELSE NOT (e.at >= own.first AND e.at < own.next) END "
     "AND num_nulls($1::bigint, $2::bigint) = 0 AND $5::bigint > 0 LIMIT 10000",
     "is in the partition of other times, where who asks for its time does not find it:"},
};

/* Each archive and the audit row that says so. */
static const char ARCHIVES[] =
    "SELECT a.archive_no, to_char(a.month, 'YYYY-MM') AS month, a.row_count, "
    "encode(a.file_sha256, 'hex') AS file_sha256, a.file_name, a.event_id, "
    "coalesce((SELECT bool_or(e.detail = format('audit_archive_record %s: %s rows %s in file %s "
    "%s', "
    "to_char(a.month, 'YYYY-MM'), a.row_count, encode(a.rows_sha256, 'hex'), "
    "encode(a.file_sha256, 'hex'), a.file_name)) FROM speke.v_audit_event e "
    "WHERE e.event_id = a.event_id) OR (a.event_id <@ (SELECT range_agg(r) FROM "
    "speke.v_audit_archive b, unnest(b.event_ids) AS r)), false) AS right FROM "
    "speke.v_audit_archive a ORDER BY a.archive_no";

static const char TRIGGERS[] =
    "SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n "
    "ON n.oid = c.relnamespace WHERE n.nspname = 'speke' AND c.relkind IN ('r', 'p') "
    "AND c.relname LIKE 'audit\\_%' AND NOT EXISTS (SELECT FROM pg_trigger t "
    "WHERE t.tgrelid = c.oid AND t.tgname = 'audit_event_append_only' AND t.tgenabled = 'A')";

/* --- asking the database -------------------------------------------------------------------- */

static void note_rows(struct audit_check *c, const struct question *q, const json_t *rows)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        const json_int_t id = json_integer_value(json_object_get(row, "event_id"));
        const char *at = json_string_value(json_object_get(row, "at"));
        const char *more = json_string_value(json_object_get(row, "more"));
        audit_find(c, q->word, id, 0, "row %" JSON_INTEGER_FORMAT " of %s %s%s%s", id,
                   at != NULL ? at : "?", q->sentence, more != NULL && more[0] != '\0' ? " " : "",
                   more != NULL ? more : "");
    }
}

static int ask_questions(PGconn *db, struct audit_check *c, const struct audit_seal *start)
{
    char numbers[5][NUMBER_SIZE];
    const char *const parameters[] = {numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]};
    const int64_t values[] = {c->first_no != 0 ? c->seal.upto_xact : -1, c->seal.upto_event_id,
                              c->whole ? -1 : start->upto_xact, c->whole ? 0 : start->upto_event_id,
                              c->first_no};
    int code = CTL_DONE;
    for (size_t i = 0; i < 5; i++)
        (void)snprintf(numbers[i], NUMBER_SIZE, "%" PRId64, values[i]);
    for (size_t i = 0; i < sizeof QUESTIONS / sizeof QUESTIONS[0] && code == CTL_DONE; i++) {
        json_t *rows = database_list(db, &code, QUESTIONS[i].sql, 5, parameters);
        note_rows(c, &QUESTIONS[i], rows);
        json_decref(rows);
    }
    return code;
}

static int ask_archives(PGconn *db, struct audit_check *c, json_t **archives)
{
    size_t i;
    json_t *row;
    int code;
    *archives = database_list(db, &code, ARCHIVES, 0, NULL);
    json_array_foreach(*archives, i, row)
    {
        const json_int_t number = json_integer_value(json_object_get(row, "archive_no"));
        const json_int_t event_id = json_integer_value(json_object_get(row, "event_id"));
        if (!json_is_true(json_object_get(row, "right")))
            audit_find(c, "archive", event_id, 0,
                       "archive %" JSON_INTEGER_FORMAT " is not what row %" JSON_INTEGER_FORMAT
                       " says of it",
                       number, event_id);
        c->out_of_memory |= json_object_del(row, "right") != 0;
    }
    return code;
}

static int ask_triggers(PGconn *db, struct audit_check *c)
{
    size_t i;
    json_t *row;
    int code;
    json_t *rows = database_list(db, &code, TRIGGERS, 0, NULL);
    json_array_foreach(rows, i, row)
        audit_find(c, "trigger", 0, 0, "%s has no trigger that keeps its rows, or it is disabled",
                   json_string_value(json_object_get(row, "name")));
    json_decref(rows);
    return code;
}

/* --- telling -------------------------------------------------------------------------------- */

static void tell(const struct ctl *ctl, const struct audit_check *c, const json_t *archives)
{
    size_t i;
    json_t *item;
    char time[AUDIT_TIME_SIZE];
    json_array_foreach(c->findings, i, item)
        ctl_fail(CTL_TAMPERED, "%s", json_string_value(json_object_get(item, "text")));
    if (c->finding_count > (long long)json_array_size(c->findings))
        (void)ctl_fail(CTL_TAMPERED, "and %lld more",
                       c->finding_count - (long long)json_array_size(c->findings));
    audit_time(c->seal.sealed_at, time);
    if (c->first_no != 0)
        ctl_say(ctl, "Seals %" PRId64 " to %" PRId64 ", the last one of %s, cover %lld rows.",
                c->first_no, c->seal.seal_no, time, c->rows + c->elsewhere);
    else
        ctl_say(ctl, "There is no seal.");
    if (c->elsewhere > 0)
        ctl_say(ctl, "Of these %lld are in archives and were not looked at.", c->elsewhere);
    json_array_foreach(archives, i, item) ctl_say(
        ctl,
        "Archive %" JSON_INTEGER_FORMAT " of %s: %" JSON_INTEGER_FORMAT " rows in %s, SHA-256 %s.",
        json_integer_value(json_object_get(item, "archive_no")),
        json_string_value(json_object_get(item, "month")),
        json_integer_value(json_object_get(item, "row_count")),
        json_string_value(json_object_get(item, "file_name")),
        json_string_value(json_object_get(item, "file_sha256")));
    audit_time(c->unsealed_since, time);
    if (c->unsealed > 0)
        ctl_say(ctl, "%lld rows are not sealed yet, the first of %s.", c->unsealed, time);
    if (c->finding_count == 0)
        ctl_say(ctl, "The audit is what was sealed.");
    else
        (void)ctl_fail(CTL_TAMPERED,
                       "the audit was tampered with, or its storage is damaged: "
                       "%lld findings",
                       c->finding_count);
}

static json_t *time_json(bool given, int64_t at)
{
    char time[AUDIT_TIME_SIZE];
    audit_time(at, time);
    return given ? json_string(time) : json_null();
}

static int tell_json(const struct audit_check *c, json_t *archives)
{
    char hash[2 * AUDIT_HASH + 1];
    hex_encode(c->seal.hash, AUDIT_HASH, hash);
    json_t *object = json_pack(
        "{s:b, s:I, s:I, s:I, s:o, s:s, s:I, s:I, s:I, s:o, s:o, s:I, s:O}", "ok",
        c->finding_count == 0, "first_seal", (json_int_t)c->first_no, "last_seal",
        (json_int_t)c->seal.seal_no, "seals", (json_int_t)c->seals, "sealed_at",
        time_json(c->first_no != 0, c->seal.sealed_at), "hash", hash, "rows", (json_int_t)c->rows,
        "archived", (json_int_t)c->elsewhere, "unsealed", (json_int_t)c->unsealed, "unsealed_since",
        time_json(c->unsealed > 0, c->unsealed_since), "archives",
        archives != NULL ? json_incref(archives) : json_array(), "finding_count",
        (json_int_t)c->finding_count, "findings", c->findings);
    return output_json_line(object);
}

static int report(const struct ctl *ctl, const struct audit_check *c, json_t *archives)
{
    int code = CTL_DONE;
    if (ctl->json)
        code = tell_json(c, archives);
    else
        tell(ctl, c, archives);
    return code == CTL_DONE && c->finding_count > 0 ? CTL_TAMPERED : code;
}

/* --- the command ---------------------------------------------------------------------------- */

static int verify_database(struct audit_walk *w, json_t **archives)
{
    struct audit_seal start = {0};
    int code = CTL_DONE;
    if (!w->check->whole && audit_read_seal(w->db, w->first, &start, &code) < 0)
        return code;
    code = audit_walk_seals(w);
    if (code == CTL_DONE) {
        audit_check_end(w->check);
        code = ask_questions(w->db, w->check, &start);
    }
    if (code == CTL_DONE)
        code = audit_walk_unsealed(w, "-infinity", "infinity");
    if (code == CTL_DONE)
        code = ask_archives(w->db, w->check, archives);
    if (code == CTL_DONE)
        code = ask_triggers(w->db, w->check);
    audit_seal_clear(&start);
    return code;
}

static int run_on_database(struct ctl *ctl, struct audit_check *c, bool since)
{
    struct audit_walk w = {.check = c, .first = 1, .last = INT64_MAX};
    json_t *archives = NULL;
    int code;
    w.db = database_open(ctl, &code);
    if (w.db == NULL)
        return code;
    if (since)
        w.first = c->checkpoint->seal_no;
    c->whole = !since;
    code = audit_walk_begin(&w, ctl, "rows");
    if (code == CTL_DONE)
        code = verify_database(&w, &archives);
    audit_walk_end(&w);
    PQfinish(w.db);
    if (code == CTL_DONE)
        code = report(ctl, c, archives);
    json_decref(archives);
    return code;
}

static int run_on_file(struct ctl *ctl, struct audit_check *c, const char *path)
{
    struct progress progress;
    progress_begin(&progress, ctl, "rows", 0);
    int code = audit_file_check(path, c, NULL, &progress);
    progress_end(&progress, c->rows);
    return code == CTL_DONE ? report(ctl, c, NULL) : code;
}

static int run_verify(struct ctl *ctl, const struct ctl_arguments *args)
{
    struct audit_checkpoint checkpoint;
    struct audit_check c;
    const char *since = option_value(args, "since");
    const char *against = option_value(args, "checkpoint");
    const char *public = option_value(args, "public");
    const char *file = option_value(args, "file");
    int code = CTL_DONE;
    if (since != NULL && against != NULL)
        return ctl_fail(CTL_USAGE, "one of --since and --checkpoint");
    if ((since != NULL || against != NULL) != (public != NULL))
        return ctl_fail(CTL_USAGE, "a checkpoint and --public go together");
    audit_check_init(&c);
    if (public != NULL) {
        code = audit_checkpoint_read(since != NULL ? since : against, public, &checkpoint);
        c.checkpoint = &checkpoint;
    }
    if (code == CTL_DONE)
        code = file != NULL ? run_on_file(ctl, &c, file) : run_on_database(ctl, &c, since != NULL);
    audit_check_free(&c);
    return code;
}

static const struct ctl_option OPTION_ROWS[] = {
    {"file", 'f', "FILE", "an export, \"-\" for standard input; without it the database"},
    {"since", 's', "FILE", "a checkpoint: look at what came since, and at its seal"},
    {"checkpoint", '\0', "FILE", "a checkpoint: look at all, and whether its seal is there"},
    {"public", 'p', "PEM", "the public key of the checkpoint"},
};

const struct ctl_command audit_verify_command = {
    .name = "audit verify",
    .words = "",
    .summary = "Tell whether the audit is what was sealed, and name each row that is not.",
    .notes =
        "Works out all hashes itself. Exits with 0 when all is as it was sealed, rows that are\n"
        "not sealed yet aside, and with 5 when not. A checkpoint, kept elsewhere, tells too\n"
        "when seals were cut off or all of them made anew.",
    .options = CTL_OPTIONS(OPTION_ROWS),
    .run = run_verify,
};
