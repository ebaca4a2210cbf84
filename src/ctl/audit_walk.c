/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/audit_walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/database.h"

enum { CHUNK = 1000, NUMBER_SIZE = 24, BINARY = 1 };

#define COLUMNS                                                                             \
    "e.event_id, e.xact, e.at, e.tenant_id, e.client_id, e.status, e.event, e.via, "        \
    "e.remote_user, e.remote_addr, e.speke_version, e.content_id, e.kids, e.created_kids, " \
    "e.systems, e.operator, e.agent, e.detail, e.recipient_fingerprints, e.recipient_subjects "

static const char SEAL[] =
    "SELECT seal_no, sealed_at, cluster, xact_offset, upto_xact, upto_event_id, first_at, last_at, "
    "row_count, event_ids, leaves, root, previous, hash FROM speke.v_audit_seal "
    "WHERE seal_no >= $1 ORDER BY seal_no LIMIT 1";

/* The times let PostgreSQL leave out the partitions of other months. */
static const char ROWS[] =
    "SELECT " COLUMNS "FROM speke.v_audit_seal s "
    "CROSS JOIN LATERAL unnest(s.event_ids[$2 : $3]) WITH ORDINALITY AS u (event_id, place) "
    "JOIN speke.v_audit_event e ON e.event_id = u.event_id AND e.at >= s.first_at "
    "AND e.at <= s.last_at WHERE s.seal_no = $1 ORDER BY u.place";

/* Rows whose time is out of their seal's: it was changed. */
static const char STRAYED[] = "SELECT " COLUMNS
                              "FROM speke.v_audit_event e WHERE e.event_id = ANY ($1::bigint[])";

static const char ARCHIVED[] =
    "SELECT u.event_id FROM unnest($1::bigint[]) AS u (event_id) WHERE EXISTS (SELECT "
    "FROM speke.v_audit_archive a WHERE u.event_id <@ a.event_ids)";

static const char UNSEALED[] =
    "SELECT " COLUMNS
    "FROM speke.v_audit_event e WHERE (e.xact, e.event_id) > ($1::bigint, $2::bigint) "
    "AND e.at >= $3::timestamptz AND e.at < $4::timestamptz ORDER BY e.xact, e.event_id "
    "LIMIT 1000";

static PGresult *ask(PGconn *db, int *code, const char *sql, int count,
                     const char *const *parameters)
{
    return database_judge(db, PQexecParams(db, sql, count, NULL, parameters, NULL, NULL, BINARY),
                          code);
}

/* --- seals ---------------------------------------------------------------------------------- */

static int64_t number(const PGresult *result, int column)
{
    const struct audit_field field = {(const unsigned char *)PQgetvalue(result, 0, column),
                                      PQgetlength(result, 0, column)};
    return audit_int8(&field);
}

static void copy_hash(unsigned char out[static AUDIT_HASH], const PGresult *result, int column)
{
    memset(out, 0, AUDIT_HASH);
    if (PQgetlength(result, 0, column) == AUDIT_HASH)
        memcpy(out, PQgetvalue(result, 0, column), AUDIT_HASH);
}

/* The numbers and hashes of the rows, as many as there must be. An array has one dimension. */
static int copy_rows(struct audit_seal *seal, const PGresult *result, int ids, int leaves)
{
    enum { HEAD = 20, ITEM = 12 };
    const unsigned char *p = (const unsigned char *)PQgetvalue(result, 0, ids);
    const size_t count = (size_t)PQgetlength(result, 0, leaves) / AUDIT_HASH;
    if (count == 0 || count > AUDIT_SEAL_ROWS_MAX ||
        (size_t)PQgetlength(result, 0, ids) != HEAD + ITEM * count)
        return 0; /* compared as a seal without rows, which its hash is not of */
    seal->event_ids = calloc(count, sizeof *seal->event_ids);
    seal->leaves = malloc(count * AUDIT_HASH);
    if (seal->event_ids == NULL || seal->leaves == NULL)
        return -1;
    seal->row_count = (int32_t)count;
    memcpy(seal->leaves, PQgetvalue(result, 0, leaves), count * AUDIT_HASH);
    for (size_t i = 0; i < count; i++) {
        const struct audit_field item = {p + HEAD + ITEM * i + 4, 8};
        seal->event_ids[i] = audit_int8(&item);
    }
    return 0;
}

int audit_read_seal(PGconn *db, int64_t seal_no, struct audit_seal *seal, int *code)
{
    enum { ROW_COUNT = 8, EVENT_IDS, LEAVES, ROOT, PREVIOUS, HASH };
    char from[NUMBER_SIZE];
    const char *const parameters[] = {from};
    int64_t *const numbers[] = {&seal->seal_no,     &seal->sealed_at, &seal->cluster,
                                &seal->xact_offset, &seal->upto_xact, &seal->upto_event_id,
                                &seal->first_at,    &seal->last_at};
    *seal = (struct audit_seal){0};
    (void)snprintf(from, sizeof from, "%" PRId64, seal_no);
    PGresult *result = ask(db, code, SEAL, 1, parameters);
    if (result == NULL)
        return -1;
    const int found = PQntuples(result);
    if (found == 1) {
        for (int i = 0; i < ROW_COUNT; i++)
            *numbers[i] = number(result, i);
        copy_hash(seal->root, result, ROOT);
        copy_hash(seal->previous, result, PREVIOUS);
        copy_hash(seal->hash, result, HASH);
        if (copy_rows(seal, result, EVENT_IDS, LEAVES) != 0) {
            audit_seal_clear(seal);
            *code = ctl_fail_memory();
        }
    }
    PQclear(result);
    return *code != CTL_DONE ? -1 : found;
}

/* --- rows ----------------------------------------------------------------------------------- */

static void take_row(const PGresult *result, int line, struct audit_row *row)
{
    for (int i = 0; i < AUDIT_COLUMNS; i++)
        row->fields[i] = (struct audit_field){
            (const unsigned char *)PQgetvalue(result, line, i),
            PQgetisnull(result, line, i) ? -1 : PQgetlength(result, line, i)};
}

/* Takes all rows of a result, which it clears. */
static int take_rows(struct audit_walk *w, PGresult *result, int code)
{
    for (int i = 0; code == CTL_DONE && i < PQntuples(result); i++) {
        struct audit_row row;
        take_row(result, i, &row);
        audit_check_row(w->check, &row);
        if (w->sink.row != NULL)
            code = w->sink.row(w->sink.context, &row, w->check->seal.seal_no);
    }
    PQclear(result);
    progress_show(&w->progress, w->check->rows);
    return code;
}

/* "{1,2,3}" of the rows that did not come, beginning with place *next; false when there is none
 * left. */
static bool list_unseen(const struct audit_check *c, int32_t *next, struct buf *out)
{
    int32_t count = 0;
    buf_clear(out);
    buf_putc(out, '{');
    for (; *next < c->seal.row_count && count < CHUNK; (*next)++) {
        if (c->states[*next] != AUDIT_UNSEEN)
            continue;
        buf_printf(out, "%s%" PRId64, count == 0 ? "" : ",", c->seal.event_ids[*next]);
        count++;
    }
    buf_puts(out, "}");
    buf_put_u8(out, 0);
    return count > 0;
}

static int take_archived(struct audit_walk *w, PGresult *result, int code)
{
    for (int i = 0; code == CTL_DONE && i < PQntuples(result); i++) {
        const struct audit_field id = {(const unsigned char *)PQgetvalue(result, i, 0),
                                       PQgetlength(result, i, 0)};
        audit_check_elsewhere(w->check, audit_int8(&id));
        if (w->sink.elsewhere != NULL)
            code = w->sink.elsewhere(w->sink.context, audit_int8(&id));
    }
    PQclear(result);
    return code;
}

/* What became of the rows that were not where they were when they were sealed. */
static int look_for_unseen(struct audit_walk *w)
{
    struct buf list;
    int code = CTL_DONE;
    buf_init(&list, 1U << 20);
    for (int32_t next = 0; code == CTL_DONE && list_unseen(w->check, &next, &list);) {
        const char *const parameters[] = {(const char *)list.data};
        PGresult *result = ask(w->db, &code, STRAYED, 1, parameters);
        code = take_rows(w, result, code);
        if (code == CTL_DONE) {
            result = ask(w->db, &code, ARCHIVED, 1, parameters);
            code = take_archived(w, result, code);
        }
    }
    buf_free(&list);
    return code;
}

static int walk_rows(struct audit_walk *w)
{
    char seal[NUMBER_SIZE], from[NUMBER_SIZE], to[NUMBER_SIZE];
    const char *const parameters[] = {seal, from, to};
    int code = CTL_DONE;
    (void)snprintf(seal, sizeof seal, "%" PRId64, w->check->seal.seal_no);
    for (int32_t i = 0; code == CTL_DONE && i < w->check->seal.row_count; i += CHUNK) {
        (void)snprintf(from, sizeof from, "%" PRId32, i + 1);
        (void)snprintf(to, sizeof to, "%" PRId32, i + CHUNK);
        PGresult *result = ask(w->db, &code, ROWS, 3, parameters);
        code = take_rows(w, result, code);
    }
    if (code == CTL_DONE && w->check->seal.event_ids != NULL)
        code = look_for_unseen(w);
    audit_check_rows_end(w->check);
    return code;
}

int audit_walk_seals(struct audit_walk *w)
{
    struct audit_seal seal;
    int code = CTL_DONE;
    for (int64_t next = w->first; code == CTL_DONE && next <= w->last;) {
        if (audit_read_seal(w->db, next, &seal, &code) <= 0)
            break;
        if (seal.seal_no > w->last) {
            audit_seal_clear(&seal);
            break;
        }
        if (w->sink.seal != NULL)
            code = w->sink.seal(w->sink.context, &seal);
        next = seal.seal_no + 1;
        audit_check_seal(w->check, &seal);
        if (code == CTL_DONE)
            code = walk_rows(w);
    }
    return code == CTL_DONE && w->check->out_of_memory ? ctl_fail_memory() : code;
}

/* --- the rest ------------------------------------------------------------------------------- */

int audit_walk_begin(struct audit_walk *w, const struct ctl *ctl, const char *what)
{
    int code = database_command(w->db, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", 0, NULL);
    progress_begin(&w->progress, ctl, what, 0);
    return code;
}

int audit_walk_unsealed(struct audit_walk *w, const char *from, const char *to)
{
    char xact[NUMBER_SIZE], event_id[NUMBER_SIZE];
    const char *const parameters[] = {xact, event_id, from, to};
    const struct audit_seal *seal = &w->check->seal;
    int code = CTL_DONE;
    int n = CHUNK;
    (void)snprintf(xact, sizeof xact, "%" PRId64, w->check->first_no != 0 ? seal->upto_xact : -1);
    (void)snprintf(event_id, sizeof event_id, "%" PRId64, seal->upto_event_id);
    while (code == CTL_DONE && n == CHUNK) {
        PGresult *result = ask(w->db, &code, UNSEALED, 4, parameters);
        n = PQntuples(result);
        for (int i = 0; code == CTL_DONE && i < n; i++) {
            struct audit_row row;
            take_row(result, i, &row);
            const int64_t at = audit_int8(&row.fields[AUDIT_AT]);
            if (w->check->unsealed++ == 0 || at < w->check->unsealed_since)
                w->check->unsealed_since = at;
            (void)snprintf(xact, sizeof xact, "%" PRId64, audit_int8(&row.fields[AUDIT_XACT]));
            (void)snprintf(event_id, sizeof event_id, "%" PRId64,
                           audit_int8(&row.fields[AUDIT_EVENT_ID]));
            if (w->sink.row != NULL)
                code = w->sink.row(w->sink.context, &row, 0);
        }
        PQclear(result);
    }
    return code;
}

void audit_walk_end(struct audit_walk *w)
{
    progress_end(&w->progress, w->check->rows);
    PQclear(PQexec(w->db, "ROLLBACK")); /* nothing was changed */
}
