/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys a content has, for those who ask for a content and not for KIDs. */
#include <limits.h>
#include <string.h>

#include "base/arena.h"
#include "base/failure.h"
#include "keystore/store.h"

enum { KEYS_KID, KEYS_SCHEME, KEYS_TRACK_TYPE, KEYS_FILTERS };

static const Oid KEYS_TYPES[] = {OID_INT8, OID_INT4, OID_INT4, OID_TEXT, OID_UUID_ARRAY, OID_INT4};
static const struct statement KEYS = {
    .name = "content_keys",
    .sql = "SELECT kid, scheme, track_type, filters "
           "FROM speke.content_keys($1, $2, $3, $4, $5, $6)",
    .param_count = sizeof KEYS_TYPES / sizeof KEYS_TYPES[0],
    .types = KEYS_TYPES,
};

enum { PERIODS_KID, PERIODS_ID, PERIODS_TEXTS = 6 };

/* Each request may name periods of its own for a key, so that a client could pile up any number;
 * and what is done with them takes their number squared. */
enum { PERIODS_MOST = 4000 };

static const Oid PERIODS_TYPES[] = {OID_INT8, OID_INT4, OID_INT4, OID_TEXT, OID_UUID_ARRAY};
static const struct statement PERIODS = {
    .name = "content_periods",
    .sql = "SELECT kid, period_id, period_index, period_start, period_end, start_offset, "
           "end_offset FROM speke.content_periods($1, $2, $3, $4, $5) LIMIT 4001",
    .param_count = sizeof PERIODS_TYPES / sizeof PERIODS_TYPES[0],
    .types = PERIODS_TYPES,
};

/* One call of keystore_content(). */
struct question {
    struct keystore *ks;
    const struct identity *who;
    const char *content_id;
    const struct uuid *kids;
    size_t kid_count, most;
    struct arena *arena;
    struct keystore_content *out;
};

static void put_client(const struct question *q)
{
    struct params *p = &q->ks->params;
    params_clear(p);
    params_int8(p, q->ks->generation);
    params_int4(p, q->who->client_id);
    params_int4(p, q->who->tenant_id);
    params_text(p, q->content_id);
}

/* A field's text in the arena; NULL stays NULL. */
static int take_text(const struct question *q, const PGresult *result, int row, int column,
                     const char **out)
{
    const char *text = result_text(result, row, column);
    *out = text == NULL ? NULL : arena_strndup(q->arena, text, strlen(text));
    return text == NULL || *out != NULL ? 0 : -1;
}

static int unexpected(struct failure *f)
{
    return fail_unavailable(f, "schema", "content_keys, content_periods: unexpected types");
}

/* --- keys ----------------------------------------------------------------------------------- */

/* A row: a rule of a key, or a key that has none. Rows of one key follow each other. */
static int take_key_row(const struct question *q, const PGresult *result, int row,
                        struct keystore_rule *rules, struct failure *f)
{
    struct keystore_content *out = q->out;
    struct uuid kid = {{0}};
    if (result_bytes(result, row, KEYS_KID, kid.bytes, UUID_BYTES) != 0)
        return unexpected(f);
    if (out->key_count == 0 || !uuid_equal(&out->keys[out->key_count - 1].kid, &kid)) {
        struct keystore_content_key *key = &out->keys[out->key_count++];
        key->kid = kid;
        key->rules = &rules[row];
        if (take_text(q, result, row, KEYS_SCHEME, &key->scheme) != 0)
            return fail_memory(f);
    }
    if (PQgetisnull(result, row, KEYS_FILTERS))
        return 0;
    rules[row].kid = kid;
    out->keys[out->key_count - 1].rule_count++;
    if (take_text(q, result, row, KEYS_TRACK_TYPE, &rules[row].track_type) != 0 ||
        take_text(q, result, row, KEYS_FILTERS, &rules[row].filters) != 0)
        return fail_memory(f);
    return 0;
}

static int take_keys(const struct question *q, const PGresult *result, struct failure *f)
{
    const int rows = PQntuples(result);
    struct keystore_rule *rules = arena_array(q->arena, (size_t)rows, sizeof *rules);
    q->out->keys = arena_array(q->arena, (size_t)rows, sizeof *q->out->keys);
    if (rules == NULL || q->out->keys == NULL)
        return fail_memory(f);
    for (int row = 0; row < rows; row++) {
        if (take_key_row(q, result, row, rules, f) != 0)
            return -1;
    }
    if (q->out->key_count > q->most)
        return fail(f, 422, "The content has more than %zu keys: choose with kid", q->most);
    return 0;
}

/* --- periods -------------------------------------------------------------------------------- */

static int take_period(const struct question *q, const PGresult *result, int row,
                       struct keystore_period *period)
{
    const char **const texts[PERIODS_TEXTS] = {&period->id,           &period->index,
                                               &period->start,        &period->end,
                                               &period->start_offset, &period->end_offset};
    for (int i = 0; i < PERIODS_TEXTS; i++) {
        if (take_text(q, result, row, PERIODS_ID + i, texts[i]) != 0)
            return -1;
    }
    return 0;
}

static bool is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Its id is what rules name a period by; one without is known by all that it has. */
static bool is_same_period(const struct keystore_period *a, const struct keystore_period *b)
{
    if (a->id != NULL || b->id != NULL)
        return is_same(a->id, b->id);
    return is_same(a->index, b->index) && is_same(a->start, b->start) && is_same(a->end, b->end) &&
           is_same(a->start_offset, b->start_offset) && is_same(a->end_offset, b->end_offset);
}

/* The place of a period among those that were found, where it is put when it is new. */
static size_t place_of(struct keystore_content *out, const struct keystore_period *period)
{
    size_t i = out->period_count;
    while (i > 0 && !is_same_period(&out->periods[i - 1], period))
        i--;
    if (i > 0)
        return i - 1;
    out->periods[out->period_count] = *period;
    return out->period_count++;
}

/* A row: a key of a period. */
static int take_periods(const struct question *q, const PGresult *result, struct failure *f)
{
    const int rows = PQntuples(result);
    struct keystore_content *out = q->out;
    if (rows > PERIODS_MOST)
        return fail(f, 422, "The content has more than %d periods: choose with kid", PERIODS_MOST);
    out->links = arena_array(q->arena, (size_t)rows, sizeof *out->links);
    out->periods = arena_array(q->arena, (size_t)rows, sizeof *out->periods);
    if (out->links == NULL || out->periods == NULL)
        return fail_memory(f);
    for (int row = 0; row < rows; row++) {
        struct keystore_period period = {0};
        struct keystore_content_link *link = &out->links[out->link_count++];
        if (result_bytes(result, row, PERIODS_KID, link->kid.bytes, UUID_BYTES) != 0)
            return unexpected(f);
        if (take_period(q, result, row, &period) != 0)
            return fail_memory(f);
        link->period = place_of(out, &period);
    }
    return 0;
}

/* --- the call ------------------------------------------------------------------------------- */

static int run(const struct question *q, const struct statement *statement,
               int (*take)(const struct question *q, const PGresult *result, struct failure *f),
               bool *stale, struct failure *f)
{
    PGresult *result = NULL;
    if (connection_run(q->ks->connection, statement, &q->ks->params, &result, f) != 0) {
        *stale = store_is_stale(q->ks);
        return store_denied(q->ks, f);
    }
    const int status = take(q, result, f);
    PQclear(result);
    return status;
}

static int ask_keys(const struct question *q, bool *stale, struct failure *f)
{
    put_client(q);
    params_uuids(&q->ks->params, q->kids, q->kid_count);
    params_int4(&q->ks->params, q->most < INT32_MAX ? (int32_t)q->most + 1 : INT32_MAX);
    return run(q, &KEYS, take_keys, stale, f);
}

static int ask_periods(const struct question *q, bool *stale, struct failure *f)
{
    put_client(q);
    params_array(&q->ks->params, OID_UUID, q->out->key_count);
    for (size_t i = 0; i < q->out->key_count; i++)
        params_item(&q->ks->params, q->out->keys[i].kid.bytes, UUID_BYTES);
    params_array_end(&q->ks->params);
    return run(q, &PERIODS, take_periods, stale, f);
}

int keystore_content(struct keystore *ks, const struct keystore_request *request,
                     const struct uuid *kids, size_t kid_count, size_t most, struct arena *arena,
                     struct keystore_content *out, bool *stale, struct failure *f)
{
    struct question q = {.ks = ks,
                         .content_id = request->content_id,
                         .kids = kids,
                         .kid_count = kid_count,
                         .most = most,
                         .arena = arena,
                         .out = out};
    *stale = false;
    *out = (struct keystore_content){0};
    int status = store_open(ks, f);
    if (status == 0)
        status = store_who(ks, request, &q.who, stale, f);
    if (status == 0)
        status = ask_keys(&q, stale, f);
    if (status == 0 && out->key_count > 0)
        status = ask_periods(&q, stale, f);
    if (*stale)
        store_forget(ks);
    return status;
}
