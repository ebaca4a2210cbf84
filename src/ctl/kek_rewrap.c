/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl kek rewrap: seals the keys of older KEKs anew under the active one, while the service
 * runs. A batch is read without a lock, sealed here, and stored in one statement where it is still
 * what was read; how far it is stands in the rows themselves, so it can be ended at any time, also
 * by kill -9, and run again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/settings.h"
#include "ctl/commands.h"
#include "ctl/database.h"
#include "ctl/kek.h"
#include "ctl/output.h"
#include "ctl/progress.h"
#include "ctl/token_seal.h"
#include "keystore/keyring.h"
#include "keystore/rewrap.h"
#include "keystore/wire.h"

enum { TOKEN_KEYS_SCHEMA = 9 };
enum { BATCH = 200, PAUSE_MS = 20, PAUSE_MOST_MS = 60000, DIGEST_BYTES = 32, FAULTS_TOLD = 10 };

struct job {
    PGconn *db;
    struct keyring *ring;
    struct sealer *sealer;
    struct params params;
    struct rewrap_row *rows;  /* batch of them */
    long batch, pause, limit; /* limit 0: none */
    long active;
    char active_check[KEK_CHECK_HEX];
    long long total, done, faults;
    long long token_keys; /* whose secrets were sealed anew */
    /* The place in the order of the primary key up to which all was looked at. */
    int32_t tenant_id;
    size_t digest_size;
    unsigned char digest[DIGEST_BYTES];
    struct uuid kid;
};

/* --- a batch -------------------------------------------------------------------------------- */

static PGresult *read_batch(struct job *j, long limit, int *code)
{
    static const Oid TYPES[] = {OID_INT4, OID_INT4, OID_BYTEA, OID_UUID, OID_INT4};
    struct params *p = &j->params;
    params_clear(p);
    params_int4(p, (int32_t)j->active);
    params_int4(p, j->tenant_id);
    params_bytes(p, j->digest, j->digest_size);
    params_bytes(p, j->kid.bytes, UUID_BYTES);
    params_int4(p, (int32_t)limit);
    return database_call(j->db, code,
                         "SELECT tenant_id, content_digest, kid, kek_version, sealed, scheme, "
                         "content_id FROM speke.rewrap_batch($1, $2, $3, $4, $5)",
                         TYPES, p);
}

/* The row's texts are the result's. */
static int take_row(const PGresult *result, int line, struct rewrap_row *row)
{
    int32_t tenant_id, kek_version;
    row->row.scheme = result_text(result, line, 5);
    row->row.content_id = result_text(result, line, 6);
    if (result_int4(result, line, 0, &tenant_id) != 0 ||
        PQgetlength(result, line, 1) != DIGEST_BYTES ||
        result_bytes(result, line, 2, row->row.kid.bytes, UUID_BYTES) != 0 ||
        result_int4(result, line, 3, &kek_version) != 0 ||
        result_bytes(result, line, 4, row->old, SEALED_BYTES) != 0 || row->row.scheme == NULL ||
        row->row.content_id == NULL)
        return -1;
    row->row.tenant_id = (uint32_t)tenant_id;
    row->row.kek_version = (uint32_t)kek_version;
    return 0;
}

static int take_rows(struct job *j, const PGresult *result)
{
    const int count = PQntuples(result);
    if (count > j->batch)
        return ctl_fail(CTL_FAILED, "rewrap_batch: more rows than were asked for");
    for (int i = 0; i < count; i++) {
        if (take_row(result, i, &j->rows[i]) != 0)
            return ctl_fail(CTL_FAILED, "rewrap_batch: unexpected types");
    }
    return CTL_DONE;
}

static void put_rows(struct job *j, const PGresult *result, int count, size_t done)
{
    struct params *p = &j->params;
    params_clear(p);
    params_int4(p, (int32_t)j->active);
    params_array(p, OID_INT4, done);
    for (int i = 0; i < count; i++) {
        if (j->rows[i].done)
            params_item_int4(p, (int32_t)j->rows[i].row.tenant_id);
    }
    params_array_end(p);
    params_array(p, OID_BYTEA, done);
    for (int i = 0; i < count; i++) {
        if (j->rows[i].done)
            params_item(p, PQgetvalue(result, i, 1), DIGEST_BYTES);
    }
    params_array_end(p);
    params_array(p, OID_UUID, done);
    for (int i = 0; i < count; i++) {
        if (j->rows[i].done)
            params_item(p, j->rows[i].row.kid.bytes, UUID_BYTES);
    }
    params_array_end(p);
    for (int fresh = 0; fresh <= 1; fresh++) {
        params_array(p, OID_BYTEA, done);
        for (int i = 0; i < count; i++) {
            if (j->rows[i].done)
                params_item(p, fresh ? j->rows[i].fresh : j->rows[i].old, SEALED_BYTES);
        }
        params_array_end(p);
    }
}

static int store(struct job *j, const PGresult *batch, int count, size_t done)
{
    static const Oid TYPES[] = {OID_INT4,       OID_INT4_ARRAY,  OID_BYTEA_ARRAY,
                                OID_UUID_ARRAY, OID_BYTEA_ARRAY, OID_BYTEA_ARRAY};
    int code;
    int32_t stored = 0;
    put_rows(j, batch, count, done);
    PGresult *result = database_call(
        j->db, &code, "SELECT speke.rewrap_store($1, $2, $3, $4, $5, $6)", TYPES, &j->params);
    if (result == NULL)
        return code;
    if (PQntuples(result) != 1 || result_int4(result, 0, 0, &stored) != 0)
        code = ctl_fail(CTL_FAILED, "rewrap_store: unexpected types");
    j->done += stored;
    PQclear(result);
    return code;
}

static void tell_fault(struct job *j, const struct rewrap_row *row)
{
    char kid[UUID_TEXT_SIZE];
    if (++j->faults > FAULTS_TOLD)
        return;
    uuid_format(&row->row.kid, kid);
    (void)ctl_fail(CTL_FAILED,
                   "a key does not open: its row was altered, or KEK version %u is a wrong one or "
                   "not loaded; tenant number %u, KID %s, content id %s",
                   row->row.kek_version, row->row.tenant_id, kid, row->row.content_id);
}

static void advance(struct job *j, const PGresult *batch, int count)
{
    const struct rewrap_row *last = &j->rows[count - 1];
    j->tenant_id = (int32_t)last->row.tenant_id;
    j->kid = last->row.kid;
    j->digest_size = DIGEST_BYTES;
    memcpy(j->digest, PQgetvalue(batch, count - 1, 1), DIGEST_BYTES);
}

/* *more: there may be another batch. */
static int run_batch(struct job *j, long limit, bool *more)
{
    int code;
    size_t done = 0;
    *more = false;
    PGresult *batch = read_batch(j, limit, &code);
    if (batch == NULL)
        return code;
    const int count = PQntuples(batch);
    code = take_rows(j, batch);
    if (code == CTL_DONE &&
        rewrap(j->sealer, j->ring, (int32_t)j->active, j->rows, (size_t)count) != 0)
        code = ctl_fail(CTL_FAILED, "KEK %ld cannot be used: %s", j->active,
                        keyring_fault(j->ring));
    for (int i = 0; code == CTL_DONE && i < count; i++) {
        done += j->rows[i].done ? 1 : 0;
        if (!j->rows[i].done)
            tell_fault(j, &j->rows[i]);
    }
    if (code == CTL_DONE && done > 0)
        code = store(j, batch, count, done);
    if (code == CTL_DONE && count > 0) {
        advance(j, batch, count);
        *more = true;
    }
    PQclear(batch);
    return code;
}

/* --- the run -------------------------------------------------------------------------------- */

static int rewrap_all(struct job *j, const struct ctl *ctl)
{
    const struct timespec pause = {.tv_sec = j->pause / 1000,
                                   .tv_nsec = j->pause % 1000 * 1000000L};
    struct progress progress;
    bool more = true;
    int code = CTL_DONE;
    progress_begin(&progress, ctl, "keys rewrapped", j->total);
    while (code == CTL_DONE && more && (j->limit == 0 || j->done < j->limit)) {
        const long long left = j->limit - j->done;
        code = run_batch(j, j->limit > 0 && left < j->batch ? (long)left : j->batch, &more);
        progress_show(&progress, j->done);
        if (code == CTL_DONE && more)
            (void)nanosleep(&pause, NULL); /* a shorter pause does no harm */
    }
    progress_end(&progress, j->done);
    return code;
}

/* Without waiting for the disk at each batch: what a crash takes back is still sealed under the
 * KEK that it was, and retiring that KEK, which is waited for, comes later in the log. */
static int prepare(struct job *j)
{
    int code = database_command(j->db, "SET synchronous_commit = off", 0, NULL);
    if (code != CTL_DONE)
        return code;
    PGresult *result = database_query(
        j->db, &code,
        "SELECT max(kek_version) FILTER (WHERE k.state = 'active'), "
        "max(check_value) FILTER (WHERE k.state = 'active'), "
        "sum(keys) FILTER (WHERE k.state <> 'active') "
        "FROM speke.v_kek k JOIN speke.v_kek_use u USING (kek_version)",
        0, NULL);
    if (result == NULL)
        return code;
    j->active = strtol(PQgetvalue(result, 0, 0), NULL, 10);
    (void)snprintf(j->active_check, sizeof j->active_check, "%s", PQgetvalue(result, 0, 1));
    j->total = strtoll(PQgetvalue(result, 0, 2), NULL, 10);
    PQclear(result);
    if (j->active == 0)
        return ctl_fail(CTL_FAILED, "no KEK is active (run \"spekectl kek create\")");
    const char *state = kek_in_file(j->ring, j->active, j->active_check);
    if (strcmp(state, "yes") != 0)
        return ctl_fail(CTL_FAILED, "the KEK file does not hold the active KEK %ld: %s", j->active,
                        state);
    return CTL_DONE;
}

/* The secrets of token keys, which are few, first. */
static int rewrap_token_keys(struct job *j)
{
    const struct token_kek k = {j->ring, j->sealer, j->active};
    long schema;
    const int code = database_schema_version(j->db, &schema);
    if (code != CTL_DONE || schema < TOKEN_KEYS_SCHEMA)
        return code;
    return token_rewrap(&k, j->db, &j->token_keys);
}

static int report(const struct ctl *ctl, const struct job *j)
{
    const long long left = j->total > j->done ? j->total - j->done : 0;
    int code = CTL_DONE;
    if (ctl->json)
        code = output_object(ctl, NULL, 0,
                             json_pack("{s:I, s:I, s:I, s:I, s:I}", "kek_version",
                                       (json_int_t)j->active, "rewrapped", (json_int_t)j->done,
                                       "left", (json_int_t)left, "faults", (json_int_t)j->faults,
                                       "token_keys", (json_int_t)j->token_keys));
    ctl_say(ctl, "%lld keys were sealed anew under KEK %ld; %lld are left.", j->done, j->active,
            left);
    if (j->token_keys > 0)
        ctl_say(ctl, "So were the secrets of %lld token keys.", j->token_keys);
    if (j->done > 0)
        ctl_say(ctl, "VACUUM (ANALYZE) speke.content_key gives the room of the old rows back.");
    if (code == CTL_DONE && j->faults > 0)
        code = ctl_fail(CTL_FAILED, "%lld keys do not open and were left as they are", j->faults);
    return code;
}

static int start(struct job *j, const struct settings *settings, const char *path)
{
    params_init(&j->params);
    j->ring = kek_open_ring(settings, path);
    j->sealer = sealer_new();
    j->rows = calloc((size_t)j->batch, sizeof *j->rows);
    if (j->ring == NULL || j->sealer == NULL || j->rows == NULL)
        return ctl_fail_memory();
    return prepare(j);
}

static int take_number(const struct ctl_arguments *args, const char *name, long least, long most,
                       long *out)
{
    const char *text = option_value(args, name);
    if (text != NULL && option_number(text, least, most, out) != 0)
        return ctl_fail(CTL_USAGE, "--%s: a number from %ld to %ld", name, least, most);
    return CTL_DONE;
}

static int run_rewrap(struct ctl *ctl, const struct ctl_arguments *args)
{
    struct settings settings;
    struct job j = {.batch = BATCH, .pause = PAUSE_MS};
    const char *path;
    int token_keys = CTL_DONE;
    int code = take_number(args, "batch", 1, REWRAP_ROWS_MAX, &j.batch);
    if (code == CTL_DONE)
        code = take_number(args, "pause", 0, PAUSE_MOST_MS, &j.pause);
    if (code == CTL_DONE)
        code = take_number(args, "limit", 1, INT32_MAX, &j.limit);
    if (code == CTL_DONE)
        code = kek_choose_file(ctl, args, &settings, &path);
    if (code != CTL_DONE)
        return code;
    j.db = database_open(ctl, &code);
    if (j.db == NULL)
        return code;
    code = start(&j, &settings, path);
    if (code == CTL_DONE)
        token_keys = rewrap_token_keys(&j); /* whose faults keep no other key from its turn */
    if (code == CTL_DONE)
        code = rewrap_all(&j, ctl);
    if (code == CTL_DONE)
        code = report(ctl, &j);
    if (code == CTL_DONE)
        code = token_keys;
    free(j.rows);
    sealer_free(j.sealer);
    keyring_free(j.ring);
    params_free(&j.params);
    PQfinish(j.db);
    return code;
}

static const struct ctl_option OPTION_ROWS[] = {
    {"batch", '\0', "N", "keys in one transaction, 1 to 1000; 200 unless given"},
    {"pause", '\0', "MS", "milliseconds between two of them; 20 unless given"},
    {"limit", '\0', "N", "end after N keys"},
    {"file", '\0', "FILE", "the KEK file; else the setting \"kek_file\""},
};

const struct ctl_command kek_rewrap_command = {
    .name = "kek rewrap",
    .words = "",
    .summary = "Seal the keys of older KEKs anew under the active one, while the service runs.",
    .notes =
        "Can be ended at any time and run again: it goes on where it was. Requests wait for\n"
        "nothing meanwhile, and no key changes. The secrets of token keys are sealed anew, too.",
    .options = CTL_OPTIONS(OPTION_ROWS),
    .run = run_rewrap,
};
