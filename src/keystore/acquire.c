/* SPDX-License-Identifier: Apache-2.0 */
/* Getting or creating the keys of one exchange: candidates for all of them go along, sealed, so
 * that one round trip does for those that exist and those that do not. */
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/failure.h"
#include "base/secret.h"
#include "keystore/store.h"

/* What a schema before RULES_KEPT has no room for stands at the end: the usage rules, and the door
 * where it is none of SPEKE's. */
enum { RULES_KEPT = 10, PARAMS_BEFORE = 23, PARAMS_VIA = 27 };

static const Oid TYPES[] = {OID_INT8,       OID_INT4,        OID_INT4,        OID_TEXT,
                            OID_TEXT,       OID_TEXT,        OID_TEXT,        OID_UUID_ARRAY,
                            OID_TEXT_ARRAY, OID_BYTEA_ARRAY, OID_BYTEA_ARRAY, OID_INT4,
                            OID_UUID_ARRAY, OID_TEXT_ARRAY,  OID_TEXT_ARRAY,  OID_TEXT_ARRAY,
                            OID_TEXT_ARRAY, OID_TEXT_ARRAY,  OID_TEXT_ARRAY,  OID_INT4_ARRAY,
                            OID_UUID_ARRAY, OID_BYTEA_ARRAY, OID_TEXT_ARRAY,  OID_UUID_ARRAY,
                            OID_TEXT_ARRAY, OID_TEXT_ARRAY,  OID_TEXT};

#define ACQUIRE_SQL(created, from, version)                                           \
    "SELECT a.sealed, a.kek_version, a.explicit_iv, a.scheme, " created " FROM " from \
    "speke.acquire($1, $2, $3, $4, $5, " version ", $7, $8, $9, $10, $11, $12, $13, " \
    "$14, $15, $16, $17, $18, $19, $20, $21, $22, $23) WITH ORDINALITY "              \
    "AS a (sealed, kek_version, explicit_iv, scheme, created, place) ORDER BY a.place"

/* Each row whose key was made now has its rules kept, in the same transaction. */
#define NOTE_RULES                                                         \
    "CASE WHEN a.created THEN speke.note_rules($3, $7, $8[a.place], $24, " \
    "$25, $26) ELSE false END"

static const struct statement ACQUIRE = {
    .name = "acquire",
    .sql = ACQUIRE_SQL(NOTE_RULES, "", "$6"),
    .param_count = PARAMS_VIA - 1,
    .types = TYPES,
};
/* The audit row names the door, for this statement alone: the session may be somebody else's a
 * moment later. acquire() comes after set_config() because it takes an argument from there; no
 * other door than SPEKE's has a version. */
static const struct statement ACQUIRE_VIA = {
    .name = "acquire_via",
    .sql = ACQUIRE_SQL(NOTE_RULES,
                       "pg_catalog.set_config('" STORE_VIA "', $27, true) AS door (via) "
                       "CROSS JOIN LATERAL ",
                       "coalesce($6, nullif(door.via, $27))"),
    .param_count = PARAMS_VIA,
    .types = TYPES,
};
static const struct statement ACQUIRE_BEFORE = {
    .name = "acquire_before",
    .sql = ACQUIRE_SQL("a.created", "", "$6"),
    .param_count = PARAMS_BEFORE,
    .types = TYPES,
};

/* One call of keystore_acquire(). */
struct order {
    struct keystore *ks;
    const struct keystore_request *request;
    struct keystore_slot *slots;
    size_t count;
    const struct keystore_details *details;
    const struct identity *who;
};

/* Random bytes for keys that may have to be made. The IVs are drawn apart from the keys: an IV
 * must never be the key. */
struct candidates {
    unsigned char *keys;   /* on the secure heap */
    unsigned char *nonces; /* and behind them the IVs */
    unsigned char *ivs;
    size_t keys_size;
};

static int candidates_make(struct candidates *c, size_t count, struct failure *f)
{
    const size_t open_size = count * (SEAL_NONCE_BYTES + KEYSTORE_IV_BYTES);
    c->keys_size = count * KEYSTORE_KEY_BYTES;
    c->keys = secret_alloc(c->keys_size);
    c->nonces = malloc(open_size);
    if (c->keys == NULL || c->nonces == NULL)
        return fail_internal(f, "no memory for %zu keys: raise the setting secure_heap", count);
    c->ivs = c->nonces + count * SEAL_NONCE_BYTES;
    if (RAND_priv_bytes(c->keys, (int)c->keys_size) != 1 ||
        RAND_bytes(c->nonces, (int)open_size) != 1)
        return fail_internal(f, "no random bytes");
    return 0;
}

static void candidates_free(struct candidates *c)
{
    secret_free(c->keys, c->keys_size);
    free(c->nonces);
}

static struct seal_row row_of(const struct order *o, size_t i, int32_t kek_version,
                              const char *scheme)
{
    return (struct seal_row){
        .tenant_id = (uint32_t)o->who->tenant_id,
        .kek_version = (uint32_t)kek_version,
        .kid = o->slots[i].kid,
        .scheme = scheme,
        .content_id = o->request->content_id,
    };
}

/* --- asking --------------------------------------------------------------------------------- */

static int put_sealed(const struct order *o, const struct candidates *c, struct failure *f)
{
    struct params *p = &o->ks->params;
    params_array(p, OID_BYTEA, o->count);
    for (size_t i = 0; i < o->count; i++) {
        const struct seal_row row = row_of(o, i, o->who->kek_version, o->slots[i].scheme);
        unsigned char *out = params_item_room(p, SEALED_BYTES);
        if (out == NULL || seal_key(o->ks->sealer, &row, c->nonces + i * SEAL_NONCE_BYTES,
                                    c->keys + i * KEYSTORE_KEY_BYTES, out) != 0)
            return fail_internal(f, "a new key could not be sealed");
    }
    params_array_end(p);
    return 0;
}

static void put_kids_and_schemes(const struct order *o)
{
    struct params *p = &o->ks->params;
    params_array(p, OID_UUID, o->count);
    for (size_t i = 0; i < o->count; i++)
        params_item(p, o->slots[i].kid.bytes, UUID_BYTES);
    params_array_end(p);
    params_array(p, OID_TEXT, o->count);
    for (size_t i = 0; i < o->count; i++)
        params_item(p, o->slots[i].scheme, strlen(o->slots[i].scheme));
    params_array_end(p);
}

static void put_ivs(const struct order *o, const struct candidates *c)
{
    struct params *p = &o->ks->params;
    params_array(p, OID_BYTEA, o->count);
    for (size_t i = 0; i < o->count; i++)
        params_item(p, o->slots[i].iv_given ? o->slots[i].iv : c->ivs + i * KEYSTORE_IV_BYTES,
                    KEYSTORE_IV_BYTES);
    params_array_end(p);
}

/* An array for each attribute, then the KIDs of all periods, then the number of each KID's period.
 */
static void put_periods(struct params *p, const struct keystore_details *d)
{
    static const size_t TEXTS[] = {
        offsetof(struct keystore_period, id),
        offsetof(struct keystore_period, index),
        offsetof(struct keystore_period, start),
        offsetof(struct keystore_period, end),
        offsetof(struct keystore_period, start_offset),
        offsetof(struct keystore_period, end_offset),
    };
    size_t kids = 0;
    for (size_t t = 0; t < sizeof TEXTS / sizeof TEXTS[0]; t++) {
        params_array(p, OID_TEXT, d->period_count);
        for (size_t i = 0; i < d->period_count; i++) {
            const char *text;
            memcpy(&text, (const char *)&d->periods[i] + TEXTS[t], sizeof text);
            params_item_text(p, text);
        }
        params_array_end(p);
    }
    params_array(p, OID_INT4, d->period_count);
    for (size_t i = 0; i < d->period_count; i++) {
        kids += d->periods[i].kid_count;
        params_item_int4(p, (int32_t)d->periods[i].kid_count);
    }
    params_array_end(p);
    params_array(p, OID_UUID, kids);
    for (size_t i = 0; i < d->period_count; i++) {
        for (size_t k = 0; k < d->periods[i].kid_count; k++)
            params_item(p, d->periods[i].kids[k].bytes, UUID_BYTES);
    }
    params_array_end(p);
}

static void put_recipients(struct params *p, const struct keystore_details *d)
{
    params_array(p, OID_BYTEA, d->recipient_count);
    for (size_t i = 0; i < d->recipient_count; i++)
        params_item(p, d->recipients[i].fingerprint, KEYSTORE_FINGERPRINT_BYTES);
    params_array_end(p);
    params_array(p, OID_TEXT, d->recipient_count);
    for (size_t i = 0; i < d->recipient_count; i++)
        params_item_readable_text(p, d->recipients[i].subject);
    params_array_end(p);
}

static void put_rules(struct params *p, const struct keystore_details *d)
{
    params_array(p, OID_UUID, d->rule_count);
    for (size_t i = 0; i < d->rule_count; i++)
        params_item(p, d->rules[i].kid.bytes, UUID_BYTES);
    params_array_end(p);
    params_array(p, OID_TEXT, d->rule_count);
    for (size_t i = 0; i < d->rule_count; i++)
        params_item_text(p, d->rules[i].track_type);
    params_array_end(p);
    params_array(p, OID_TEXT, d->rule_count);
    for (size_t i = 0; i < d->rule_count; i++)
        params_item_text(p, d->rules[i].filters);
    params_array_end(p);
}

static int put_params(const struct order *o, const struct candidates *c, struct failure *f)
{
    struct params *p = &o->ks->params;
    params_clear(p);
    params_int8(p, o->ks->generation);
    params_int4(p, o->who->client_id);
    params_int4(p, o->who->tenant_id);
    store_put_who(p, o->request);
    params_text(p, o->request->content_id);
    put_kids_and_schemes(o);
    if (put_sealed(o, c, f) != 0)
        return -1;
    put_ivs(o, c);
    params_int4(p, o->who->kek_version);
    params_uuids(p, o->details->systems, o->details->system_count);
    put_periods(p, o->details);
    put_recipients(p, o->details);
    if (o->ks->schema >= RULES_KEPT)
        put_rules(p, o->details);
    if (o->ks->schema >= RULES_KEPT && o->request->via != NULL)
        params_text(p, o->request->via);
    return 0;
}

static const struct statement *choose(const struct order *o)
{
    if (o->ks->schema < RULES_KEPT)
        return &ACQUIRE_BEFORE;
    return o->request->via != NULL ? &ACQUIRE_VIA : &ACQUIRE;
}

/* --- reading -------------------------------------------------------------------------------- */

/* Opens one row with the KEK in use, which is that of version *in_use (0: none). */
static int open_row(const struct order *o, const PGresult *result, size_t i, int32_t *in_use,
                    struct failure *f)
{
    struct keystore_slot *slot = &o->slots[i];
    unsigned char sealed[SEALED_BYTES];
    int32_t version;
    const int line = (int)i;
    const char *scheme = result_text(result, line, 3);
    if (result_bytes(result, line, 0, sealed, sizeof sealed) != 0 ||
        result_int4(result, line, 1, &version) != 0 ||
        result_bytes(result, line, 2, slot->iv, sizeof slot->iv) != 0 || scheme == NULL ||
        result_bool(result, line, 4, &slot->created) != 0)
        return fail_unavailable(f, "schema", "acquire: unexpected types");
    if (version != *in_use) {
        const struct kek *kek;
        if (store_kek(o->ks, version, NULL, &kek, f) != 0)
            return -1;
        if (sealer_use(o->ks->sealer, kek->key) != 0)
            return fail_internal(f, "KEK version %d could not be used", version);
        *in_use = version;
    }
    const struct seal_row row = row_of(o, i, version, scheme);
    if (open_key(o->ks->sealer, &row, sealed, slot->key) == 0)
        return 0;
    char kid[UUID_TEXT_SIZE];
    uuid_format(&slot->kid, kid);
    return fail_internal(f,
                         "a key does not open: its row was altered, or KEK version %d is a wrong "
                         "one; tenant %s, KID %s, content id %s",
                         version, o->who->client.tenant, kid, o->request->content_id);
}

static int open_rows(const struct order *o, const PGresult *result, struct failure *f)
{
    int32_t in_use = o->who->kek_version; /* the candidates were just sealed with it */
    if ((size_t)PQntuples(result) != o->count)
        return fail_internal(f, "acquire: %d rows for %zu KIDs", PQntuples(result), o->count);
    for (size_t i = 0; i < o->count; i++) {
        if (open_row(o, result, i, &in_use, f) != 0)
            return -1;
    }
    return 0;
}

/* --- the call ------------------------------------------------------------------------------- */

/* Asks with fresh candidates: a nonce must not serve twice. *stale tells that the client has to be
 * identified again. */
static int ask(const struct order *o, bool *stale, struct failure *f)
{
    struct candidates c = {0};
    PGresult *result = NULL;
    int status = candidates_make(&c, o->count, f);
    if (status == 0)
        status = put_params(o, &c, f);
    candidates_free(&c);
    if (status != 0)
        return -1;
    if (connection_run(o->ks->connection, choose(o), &o->ks->params, &result, f) != 0) {
        *stale = store_is_stale(o->ks);
        return store_denied(o->ks, f);
    }
    status = open_rows(o, result, f);
    PQclear(result);
    return status;
}

static int acquire(struct order *o, bool *stale, struct failure *f)
{
    const struct kek *kek;
    if (store_open(o->ks, f) != 0)
        return -1;
    if (store_who(o->ks, o->request, &o->who, stale, f) != 0)
        return -1;
    if (store_kek(o->ks, o->who->kek_version, o->who->kek_check, &kek, f) != 0) {
        store_forget(o->ks); /* another KEK may have been made the active one */
        return -1;
    }
    if (sealer_use(o->ks->sealer, kek->key) != 0)
        return fail_internal(f, "KEK version %d could not be used", kek->version);
    return ask(o, stale, f);
}

int keystore_acquire(struct keystore *ks, const struct keystore_request *request,
                     struct keystore_slot *slots, size_t count,
                     const struct keystore_details *details, bool *stale, struct failure *f)
{
    struct order o = {
        .ks = ks, .request = request, .slots = slots, .count = count, .details = details};
    *stale = false;
    if (count == 0 || request->content_id == NULL || request->remote_user == NULL)
        return fail_internal(f, "keys asked for without KID, content id or client");
    const int status = acquire(&o, stale, f);
    sealer_rest(ks->sealer);
    if (*stale)
        store_forget(ks);
    if (status != 0) {
        for (size_t i = 0; i < count; i++) {
            secret_wipe(slots[i].key, KEYSTORE_KEY_BYTES);
            slots[i].created = false;
        }
    }
    return status;
}
