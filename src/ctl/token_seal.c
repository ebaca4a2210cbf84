/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/token_seal.h"

#include <openssl/rand.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/secret.h"
#include "ctl/ctl.h"
#include "ctl/database.h"
#include "keystore/keyring.h"

enum { NUMBER_SIZE = 16, BATCH = 1000 };

int token_seal(const struct token_kek *k, long tenant_id, const char *kid,
               const unsigned char *secret, size_t size, char hex[static TOKEN_SEALED_HEX])
{
    unsigned char nonce[SEAL_NONCE_BYTES], sealed[SEALED_TOKEN_MAX_BYTES];
    const struct kek *kek = keyring_find(k->ring, (int32_t)k->version);
    const struct seal_token_row row = {(uint32_t)tenant_id, (uint32_t)k->version, kid};
    const bool done = kek != NULL && RAND_bytes(nonce, sizeof nonce) == 1 &&
                      sealer_use(k->sealer, kek->key) == 0 &&
                      seal_token_secret(k->sealer, &row, nonce, secret, size, sealed) == 0;
    sealer_rest(k->sealer);
    if (!done)
        return ctl_fail(CTL_FAILED, "OpenSSL does not seal the secret");
    hex_encode(sealed, SEAL_NONCE_BYTES + size + SEAL_TAG_BYTES, hex);
    return CTL_DONE;
}

/* --- anew ----------------------------------------------------------------------------------- */

struct work {
    const struct token_kek *k;
    PGconn *db;
    unsigned char *secret;
    char version[NUMBER_SIZE], last[NUMBER_SIZE]; /* of the active KEK; number of the last row */
    long long done, faults;
};

/* Opens a row with the KEK that it is sealed under. */
static bool open_old(const struct work *w, const struct seal_token_row *row, const char *hex,
                     size_t *size)
{
    unsigned char sealed[SEALED_TOKEN_MAX_BYTES];
    const struct kek *kek = keyring_find(w->k->ring, (int32_t)row->kek_version);
    const size_t n = strlen(hex) / 2;
    const bool opened = kek != NULL && n <= sizeof sealed && hex_decode(hex, sealed, n) == 0 &&
                        sealer_use(w->k->sealer, kek->key) == 0 &&
                        open_token_secret(w->k->sealer, row, sealed, n, w->secret, size) == 0;
    sealer_rest(w->k->sealer);
    return opened;
}

static int store(struct work *w, const char *number, const char *old, const char *fresh)
{
    const char *const parameters[] = {w->version, number, old, fresh};
    int code;
    PGresult *result = database_query(
        w->db, &code,
        "SELECT speke.token_key_rewrap_store($1, $2, decode($3, 'hex'), decode($4, 'hex'))", 4,
        parameters);
    if (result == NULL)
        return code;
    if (strcmp(PQgetvalue(result, 0, 0), "t") == 0) /* else it was changed meanwhile */
        w->done++;
    PQclear(result);
    return CTL_DONE;
}

static int rewrap_row(struct work *w, const PGresult *rows, int i)
{
    char hex[TOKEN_SEALED_HEX];
    size_t size = 0;
    const char *number = PQgetvalue(rows, i, 0), *old = PQgetvalue(rows, i, 4);
    const struct seal_token_row row = {
        .tenant_id = (uint32_t)strtoul(PQgetvalue(rows, i, 1), NULL, 10),
        .kid = PQgetvalue(rows, i, 2),
        .kek_version = (uint32_t)strtoul(PQgetvalue(rows, i, 3), NULL, 10),
    };
    (void)snprintf(w->last, sizeof w->last, "%s", number); /* ten digits at most */
    if (!open_old(w, &row, old, &size)) {
        w->faults++;
        (void)ctl_fail(CTL_FAILED,
                       "a token key does not open: its row was altered, or KEK version %u is a "
                       "wrong one or not loaded; tenant number %u, token key %s",
                       row.kek_version, row.tenant_id, row.kid);
        return CTL_DONE;
    }
    int code = token_seal(w->k, row.tenant_id, row.kid, w->secret, size, hex);
    secret_wipe(w->secret, TOKEN_SECRET_MAX_BYTES);
    return code == CTL_DONE ? store(w, number, old, hex) : code;
}

/* *more: there may be another batch. */
static int run_batch(struct work *w, bool *more)
{
    char limit[NUMBER_SIZE];
    const char *const parameters[] = {w->version, w->last, limit};
    int code;
    (void)snprintf(limit, sizeof limit, "%d", BATCH);
    PGresult *rows = database_query(w->db, &code,
                                    "SELECT token_key_id, tenant_id, kid, kek_version, "
                                    "encode(sealed, 'hex') "
                                    "FROM speke.token_key_rewrap_batch($1, $2, $3)",
                                    3, parameters);
    const int count = rows != NULL ? PQntuples(rows) : 0;
    for (int i = 0; code == CTL_DONE && i < count; i++)
        code = rewrap_row(w, rows, i);
    PQclear(rows);
    *more = count == BATCH;
    return code;
}

int token_rewrap(const struct token_kek *k, PGconn *db, long long *done)
{
    struct work w = {.k = k, .db = db, .secret = secret_alloc(TOKEN_SECRET_MAX_BYTES), .last = "0"};
    bool more = true;
    int code = CTL_DONE;
    if (w.secret == NULL)
        return ctl_fail(CTL_FAILED, "no room in the secure heap");
    (void)snprintf(w.version, sizeof w.version, "%ld", k->version);
    while (code == CTL_DONE && more)
        code = run_batch(&w, &more);
    secret_free(w.secret, TOKEN_SECRET_MAX_BYTES);
    *done += w.done;
    if (code == CTL_DONE && w.faults > 0)
        code = ctl_fail(CTL_FAILED, "%lld token keys do not open and were left as they are",
                        w.faults);
    return code;
}
