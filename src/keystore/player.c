/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/player.h"

#include <stdlib.h>
#include <string.h>

#include "base/failure.h"
#include "base/secret.h"
#include "base/segment.h"
#include "base/utf8.h"
#include "keystore/clock.h"
#include "keystore/store.h"

/* The configuration changed since the audience was read. */
static const char STALE[] = "SK001";
enum { CHECK_INTERVAL_MS = 1000 };

static const Oid CONFIGURATION_TYPES[] = {OID_TEXT, OID_BYTEA};
static const struct statement CONFIGURATION = {
    .name = "player_configuration",
    .sql = "SELECT tenant_id, tenant, generation, setting_system, setting_name, setting_value "
           "FROM speke.player_configuration($1, $2)",
    .param_count = sizeof CONFIGURATION_TYPES / sizeof CONFIGURATION_TYPES[0],
    .types = CONFIGURATION_TYPES,
};
enum { TENANT_ID, TENANT, GENERATION, SYSTEM, NAME, VALUE };

static const Oid TOKEN_KEYS_TYPES[] = {OID_INT4};
static const struct statement TOKEN_KEYS = {
    .name = "player_token_keys",
    .sql = "SELECT kid, algorithm, public_key, sealed, kek_version "
           "FROM speke.player_token_keys($1)",
    .param_count = sizeof TOKEN_KEYS_TYPES / sizeof TOKEN_KEYS_TYPES[0],
    .types = TOKEN_KEYS_TYPES,
};
enum { KID, ALGORITHM, PUBLIC_KEY, SEALED, KEK_VERSION };

static const struct statement PLAYER_GENERATION = {
    .name = "player_generation",
    .sql = "SELECT speke.player_generation()",
};

static const Oid ACQUIRE_TYPES[] = {OID_INT8,       OID_INT4, OID_TEXT, OID_BYTEA_ARRAY,
                                    OID_UUID_ARRAY, OID_TEXT, OID_TEXT};
static const struct statement PLAYER_ACQUIRE = {
    .name = "player_acquire",
    .sql = "SELECT kid, sealed, kek_version, scheme, content_id "
           "FROM speke.player_acquire($1, $2, $3, $4, $5, $6, $7)",
    .param_count = sizeof ACQUIRE_TYPES / sizeof ACQUIRE_TYPES[0],
    .types = ACQUIRE_TYPES,
};

static const Oid REFUSED_TYPES[] = {OID_INT4, OID_INT4, OID_TEXT, OID_INT8, OID_TEXT};
static const struct statement REFUSED = {
    .name = "player_refused",
    .sql = "SELECT speke.player_refused($1, $2, $3, $4, $5)",
    .param_count = sizeof REFUSED_TYPES / sizeof REFUSED_TYPES[0],
    .types = REFUSED_TYPES,
};

/* --- remembering ---------------------------------------------------------------------------- */

/* The texts and bytes are those of the results. */
struct audience {
    char *segment; /* by which it was asked for */
    PGresult *configuration, *token_keys;
    struct keystore_setting *settings;
    struct keystore_token_key *keys;
    struct keystore_audience public;
};

static void audience_free(struct audience *a)
{
    if (a == NULL)
        return;
    PQclear(a->configuration);
    PQclear(a->token_keys);
    free(a->settings);
    free(a->keys);
    free(a->segment);
    free(a);
}

void store_forget_audiences(struct keystore *ks)
{
    for (unsigned i = 0; i < AUDIENCES_MAX; i++) {
        audience_free(ks->audiences[i]);
        ks->audiences[i] = NULL;
    }
    ks->audience_next = 0;
}

static const struct audience *remembered(const struct keystore *ks, const char *segment)
{
    for (unsigned i = 0; i < AUDIENCES_MAX && ks->audiences[i] != NULL; i++) {
        if (strcmp(ks->audiences[i]->segment, segment) == 0)
            return ks->audiences[i];
    }
    return NULL;
}

/* In the place of the oldest one. */
static void remember(struct keystore *ks, struct audience *a)
{
    audience_free(ks->audiences[ks->audience_next]);
    ks->audiences[ks->audience_next] = a;
    ks->audience_next = (ks->audience_next + 1) % AUDIENCES_MAX;
}

/* --- reading -------------------------------------------------------------------------------- */

static int fail_types(struct failure *f, const struct statement *statement)
{
    return fail_unavailable(f, "schema", "%s: unexpected types", statement->name);
}

/* One row for each setting, or a single one whose name is NULL. */
static int read_settings(struct audience *a, struct failure *f)
{
    const int rows = PQntuples(a->configuration);
    if (rows == 1 && PQgetisnull(a->configuration, 0, NAME))
        return 0;
    a->settings = calloc((size_t)rows, sizeof *a->settings);
    if (a->settings == NULL)
        return fail_memory(f);
    for (int i = 0; i < rows; i++) {
        a->settings[i] = (struct keystore_setting){
            .system = result_text(a->configuration, i, SYSTEM),
            .name = result_text(a->configuration, i, NAME),
            .value = result_text(a->configuration, i, VALUE),
        };
    }
    a->public.client.settings = a->settings;
    a->public.client.setting_count = (size_t)rows;
    return 0;
}

/* Returns 0, or -1 for a key that is none of those that the schema lets in. */
static int read_key(const PGresult *result, int row, struct keystore_token_key *key)
{
    const char *algorithm = result_text(result, row, ALGORITHM);
    size_t n = 0;
    key->kid = result_text(result, row, KID);
    if (key->kid == NULL || algorithm == NULL)
        return -1;
    if (strcmp(algorithm, "ES256") == 0) {
        key->algorithm = KEYSTORE_ES256;
        key->point = result_blob(result, row, PUBLIC_KEY, &n);
        return key->point != NULL && n == KEYSTORE_POINT_BYTES ? 0 : -1;
    }
    int32_t version;
    key->algorithm = KEYSTORE_HS256;
    key->sealed = result_blob(result, row, SEALED, &key->sealed_size);
    if (strcmp(algorithm, "HS256") != 0 || key->sealed == NULL ||
        result_int4(result, row, KEK_VERSION, &version) != 0)
        return -1;
    key->kek_version = version;
    return 0;
}

static int read_keys(struct audience *a, struct failure *f)
{
    const int rows = PQntuples(a->token_keys);
    if (rows == 0)
        return 0;
    a->keys = calloc((size_t)rows, sizeof *a->keys);
    if (a->keys == NULL)
        return fail_memory(f);
    for (int i = 0; i < rows; i++) {
        if (read_key(a->token_keys, i, &a->keys[i]) != 0)
            return fail_types(f, &TOKEN_KEYS);
    }
    a->public.keys = a->keys;
    a->public.key_count = (size_t)rows;
    return 0;
}

static int ask_keys(struct keystore *ks, struct audience *a, struct failure *f)
{
    params_clear(&ks->params);
    params_int4(&ks->params, a->public.tenant_id);
    if (connection_run(ks->connection, &TOKEN_KEYS, &ks->params, &a->token_keys, f) != 0)
        return -1;
    return read_keys(a, f);
}

static int read_configuration(struct keystore *ks, struct audience *a, struct failure *f)
{
    int32_t tenant_id;
    int64_t generation;
    const PGresult *result = a->configuration;
    if (result_int4(result, 0, TENANT_ID, &tenant_id) != 0 ||
        result_int8(result, 0, GENERATION, &generation) != 0 ||
        result_text(result, 0, TENANT) == NULL)
        return fail_types(f, &CONFIGURATION);
    if (generation != ks->generation)
        keystore_forget_clients(ks);
    ks->generation = generation;
    ks->generation_checked_at = clock_ms();
    a->public.tenant_id = tenant_id;
    a->public.client.tenant = result_text(result, 0, TENANT);
    a->public.client.generation = generation;
    if (read_settings(a, f) != 0)
        return -1;
    return ask_keys(ks, a, f);
}

/* Sets *found to NULL when there is no such tenant. */
static int ask(struct keystore *ks, const char *segment, struct audience **found, struct failure *f)
{
    unsigned char digest[SEGMENT_DIGEST_BYTES];
    *found = NULL;
    struct audience *a = calloc(1, sizeof *a);
    if (a == NULL || (a->segment = strdup(segment)) == NULL) {
        audience_free(a);
        return fail_memory(f);
    }
    params_clear(&ks->params);
    params_text(&ks->params, segment);
    const bool by_digest = segment[0] == '~' && segment_digest(segment, digest) == 0;
    params_bytes(&ks->params, by_digest ? digest : NULL, sizeof digest);
    int status = connection_run(ks->connection, &CONFIGURATION, &ks->params, &a->configuration, f);
    const bool none = status == 0 && PQntuples(a->configuration) == 0;
    if (status == 0 && !none)
        status = read_configuration(ks, a, f);
    if (status != 0 || none)
        audience_free(a);
    else
        *found = a;
    return status;
}

int keystore_audience(struct keystore *ks, const char *segment,
                      const struct keystore_audience **audience, struct failure *f)
{
    struct audience *fresh;
    *audience = NULL;
    connection_begin(ks->connection);
    if (store_open(ks, f) != 0)
        return -1;
    const struct audience *known = remembered(ks, segment);
    if (known == NULL) {
        /* A name that is no UTF-8 cannot be in the database. */
        if (utf8_valid_prefix(segment, strlen(segment)) != strlen(segment))
            return 0;
        if (ask(ks, segment, &fresh, f) != 0)
            return -1;
        if (fresh == NULL)
            return 0;
        remember(ks, fresh);
        known = fresh;
    }
    *audience = &known->public;
    return 0;
}

bool keystore_audience_outdated(struct keystore *ks)
{
    const int64_t now = clock_ms();
    struct failure ignored = {0};
    PGresult *result = NULL;
    int64_t generation;
    if (now - ks->generation_checked_at < CHECK_INTERVAL_MS)
        return false;
    ks->generation_checked_at = now;
    connection_begin(ks->connection);
    params_clear(&ks->params);
    if (store_open(ks, &ignored) == 0 && /* which forgets, when the connection is a new one */
        connection_run(ks->connection, &PLAYER_GENERATION, &ks->params, &result, &ignored) == 0 &&
        PQntuples(result) == 1 && result_int8(result, 0, 0, &generation) == 0 &&
        generation != ks->generation)
        keystore_forget_clients(ks);
    PQclear(result);
    return ks->audiences[0] == NULL;
}

/* --- secrets of tokens ---------------------------------------------------------------------- */

int keystore_token_secret(struct keystore *ks, const struct keystore_audience *audience,
                          const struct keystore_token_key *key, unsigned char *secret, size_t *size,
                          struct failure *f)
{
    const struct kek *kek;
    const struct seal_token_row row = {
        .tenant_id = (uint32_t)audience->tenant_id,
        .kek_version = (uint32_t)key->kek_version,
        .kid = key->kid,
    };
    if (store_kek(ks, key->kek_version, NULL, &kek, f) != 0)
        return -1;
    const bool opened = sealer_use(ks->sealer, kek->key) == 0 &&
                        open_token_secret(ks->sealer, &row, key->sealed, key->sealed_size, secret,
                                          size) == 0;
    sealer_rest(ks->sealer);
    if (opened)
        return 0;
    return fail_internal(f,
                         "a token key does not open: its row was altered, or KEK version %d is a "
                         "wrong one; tenant %s, token key %s",
                         key->kek_version, audience->client.tenant, key->kid);
}

/* --- delivering ----------------------------------------------------------------------------- */

static struct keystore_delivery_slot *slot_of(struct keystore_delivery_slot *slots, size_t count,
                                              const struct uuid *kid)
{
    for (size_t i = 0; i < count; i++) {
        if (uuid_equal(&slots[i].kid, kid))
            return &slots[i];
    }
    return NULL;
}

/* Opens one row with the KEK in use, which is that of version *in_use (0: none). */
static int open_row(struct keystore *ks, const struct keystore_audience *audience,
                    const PGresult *result, int line, struct keystore_delivery_slot *slots,
                    size_t count, int32_t *in_use, struct failure *f)
{
    unsigned char sealed[SEALED_BYTES];
    struct uuid kid = {{0}};
    int32_t version;
    const char *scheme = result_text(result, line, 3);
    const char *content_id = result_text(result, line, 4);
    if (result_bytes(result, line, 0, kid.bytes, sizeof kid.bytes) != 0 ||
        result_bytes(result, line, 1, sealed, sizeof sealed) != 0 ||
        result_int4(result, line, 2, &version) != 0 || scheme == NULL || content_id == NULL)
        return fail_types(f, &PLAYER_ACQUIRE);
    struct keystore_delivery_slot *slot = slot_of(slots, count, &kid);
    if (slot == NULL || slot->found)
        return fail_internal(f, "player_acquire: a KID that was not asked for");
    if (version != *in_use) {
        const struct kek *kek;
        if (store_kek(ks, version, NULL, &kek, f) != 0)
            return -1;
        if (sealer_use(ks->sealer, kek->key) != 0)
            return fail_internal(f, "KEK version %d could not be used", version);
        *in_use = version;
    }
    const struct seal_row row = {
        .tenant_id = (uint32_t)audience->tenant_id,
        .kek_version = (uint32_t)version,
        .kid = kid,
        .scheme = scheme,
        .content_id = content_id,
    };
    slot->found = open_key(ks->sealer, &row, sealed, slot->key) == 0;
    if (slot->found)
        return 0;
    char text[UUID_TEXT_SIZE];
    uuid_format(&kid, text);
    return fail_internal(f,
                         "a key does not open: its row was altered, or KEK version %d is a wrong "
                         "one; tenant %s, KID %s, content id %s",
                         version, audience->client.tenant, text, content_id);
}

static void put_delivery(struct keystore *ks, const struct keystore_audience *audience,
                         const struct keystore_delivery *d,
                         const struct keystore_delivery_slot *slots, size_t count)
{
    struct params *p = &ks->params;
    params_clear(p);
    params_int8(p, ks->generation);
    params_int4(p, audience->tenant_id);
    params_text(p, d->via);
    params_array(p, OID_BYTEA, d->content_count);
    for (size_t i = 0; i < d->content_count; i++)
        params_item(p, d->contents[i], KEYSTORE_DIGEST_BYTES);
    params_array_end(p);
    params_array(p, OID_UUID, count);
    for (size_t i = 0; i < count; i++)
        params_item(p, slots[i].kid.bytes, UUID_BYTES);
    params_array_end(p);
    params_text(p, store_address(d->remote_addr));
    params_readable_text(p, d->detail);
}

static int deliver(struct keystore *ks, const struct keystore_audience *audience,
                   const struct keystore_delivery *delivery, struct keystore_delivery_slot *slots,
                   size_t count, bool *stale, struct failure *f)
{
    PGresult *result;
    int32_t in_use = 0;
    put_delivery(ks, audience, delivery, slots, count);
    if (connection_run(ks->connection, &PLAYER_ACQUIRE, &ks->params, &result, f) != 0) {
        *stale = strcmp(connection_sqlstate(ks->connection), STALE) == 0;
        return -1;
    }
    int status = 0;
    for (int i = 0; status == 0 && i < PQntuples(result); i++)
        status = open_row(ks, audience, result, i, slots, count, &in_use, f);
    PQclear(result);
    return status;
}

int keystore_deliver(struct keystore *ks, const struct keystore_audience *audience,
                     const struct keystore_delivery *delivery, struct keystore_delivery_slot *slots,
                     size_t count, bool *stale, struct failure *f)
{
    *stale = false;
    for (size_t i = 0; i < count; i++)
        slots[i].found = false;
    connection_begin(ks->connection);
    const int status = deliver(ks, audience, delivery, slots, count, stale, f);
    sealer_rest(ks->sealer);
    if (*stale)
        store_forget(ks);
    if (status == 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        secret_wipe(slots[i].key, KEYSTORE_KEY_BYTES);
        slots[i].found = false;
    }
    return -1;
}

int keystore_count_refusals(struct keystore *ks, int tenant_id, int status, const char *reason,
                            long count, const char *remote_addr, struct failure *f)
{
    PGresult *result;
    connection_begin(ks->connection);
    if (store_open(ks, f) != 0)
        return -1;
    params_clear(&ks->params);
    params_int4(&ks->params, tenant_id);
    params_int4(&ks->params, status);
    params_text(&ks->params, reason);
    params_int8(&ks->params, count);
    params_text(&ks->params, store_address(remote_addr));
    if (connection_run(ks->connection, &REFUSED, &ks->params, &result, f) != 0)
        return -1;
    PQclear(result);
    return 0;
}
