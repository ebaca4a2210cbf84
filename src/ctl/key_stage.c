/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/key_stage.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/database.h"
#include "keystore/keystore.h"

/* What of a batch goes into one statement; texts are what varies. */
enum { BATCH = 1000, TEXTS_MAX = 1024 * 1024, ARENA_MAX = 2 * TEXTS_MAX };

struct staged_key {
    int64_t line;
    const char *content_id, *scheme;
    struct uuid kid;
    bool iv_given;
    unsigned char iv[KEYSTORE_IV_BYTES], sealed[SEALED_BYTES];
};

struct staged_period {
    int64_t line;
    const char *content_id;
    struct uuid kid;
    const char *texts[6];
};

/* --- beginning and ending ------------------------------------------------------------------- */

static int begin_import(struct key_stage *s, const char *tenant)
{
    static const Oid TYPES[] = {OID_TEXT};
    unsigned char check[KEK_CHECK_BYTES];
    int code = database_command(s->db, "BEGIN", 0, NULL);
    if (code != CTL_DONE)
        return code;
    params_clear(&s->params);
    params_text(&s->params, tenant);
    PGresult *result = database_call(
        s->db, &code, "SELECT tenant_id, kek_version, kek_check FROM speke.key_import_begin($1)",
        TYPES, &s->params);
    if (result == NULL)
        return code;
    if (result_int4(result, 0, 0, &s->tenant_id) != 0 ||
        result_int4(result, 0, 1, &s->kek_version) != 0 ||
        result_bytes(result, 0, 2, check, sizeof check) != 0)
        code = ctl_fail(CTL_FAILED, "no KEK is active: \"spekectl kek create\" makes one");
    PQclear(result);
    return code == CTL_DONE ? key_vault_use(&s->vault, s->kek_version, check) : code;
}

int key_stage_begin(struct key_stage *s, const struct ctl *ctl, PGconn *db, const char *tenant)
{
    *s = (struct key_stage){.db = db};
    params_init(&s->params);
    arena_init(&s->texts, ARENA_MAX);
    s->keys = calloc(BATCH, sizeof *s->keys);
    s->periods = calloc(BATCH, sizeof *s->periods);
    if (s->keys == NULL || s->periods == NULL)
        return ctl_fail_memory();
    int code = key_vault_begin(&s->vault, ctl);
    return code == CTL_DONE ? begin_import(s, tenant) : code;
}

void key_stage_end(struct key_stage *s)
{
    key_vault_end(&s->vault);
    params_free(&s->params);
    arena_free(&s->texts);
    free(s->keys);
    free(s->periods);
    s->keys = NULL;
    s->periods = NULL;
}

/* --- sending -------------------------------------------------------------------------------- */

static void put_keys(struct key_stage *s)
{
    struct params *p = &s->params;
    params_clear(p);
    params_int4(p, s->tenant_id);
    params_int4(p, s->kek_version);
    params_array(p, OID_INT8, s->key_count);
    for (size_t i = 0; i < s->key_count; i++)
        params_item_int8(p, s->keys[i].line);
    params_array_end(p);
    params_array(p, OID_TEXT, s->key_count);
    for (size_t i = 0; i < s->key_count; i++)
        params_item_text(p, s->keys[i].content_id);
    params_array_end(p);
    params_array(p, OID_UUID, s->key_count);
    for (size_t i = 0; i < s->key_count; i++)
        params_item(p, s->keys[i].kid.bytes, UUID_BYTES);
    params_array_end(p);
    params_array(p, OID_TEXT, s->key_count);
    for (size_t i = 0; i < s->key_count; i++)
        params_item_text(p, s->keys[i].scheme);
    params_array_end(p);
    params_array(p, OID_BYTEA, s->key_count);
    for (size_t i = 0; i < s->key_count; i++)
        params_item(p, s->keys[i].iv, sizeof s->keys[i].iv);
    params_array_end(p);
    params_array(p, OID_BOOL, s->key_count);
    for (size_t i = 0; i < s->key_count; i++)
        params_item_bool(p, s->keys[i].iv_given);
    params_array_end(p);
    params_array(p, OID_BYTEA, s->key_count);
    for (size_t i = 0; i < s->key_count; i++)
        params_item(p, s->keys[i].sealed, sizeof s->keys[i].sealed);
    params_array_end(p);
}

static void put_periods(struct key_stage *s)
{
    struct params *p = &s->params;
    params_clear(p);
    params_int4(p, s->tenant_id);
    params_array(p, OID_INT8, s->period_count);
    for (size_t i = 0; i < s->period_count; i++)
        params_item_int8(p, s->periods[i].line);
    params_array_end(p);
    params_array(p, OID_TEXT, s->period_count);
    for (size_t i = 0; i < s->period_count; i++)
        params_item_text(p, s->periods[i].content_id);
    params_array_end(p);
    params_array(p, OID_UUID, s->period_count);
    for (size_t i = 0; i < s->period_count; i++)
        params_item(p, s->periods[i].kid.bytes, UUID_BYTES);
    params_array_end(p);
    for (size_t t = 0; t < sizeof s->periods->texts / sizeof s->periods->texts[0]; t++) {
        params_array(p, OID_TEXT, s->period_count);
        for (size_t i = 0; i < s->period_count; i++)
            params_item_text(p, s->periods[i].texts[t]);
        params_array_end(p);
    }
}

int key_stage_flush(struct key_stage *s)
{
    static const Oid KEY_TYPES[] = {OID_INT4,        OID_INT4,       OID_INT8_ARRAY,
                                    OID_TEXT_ARRAY,  OID_UUID_ARRAY, OID_TEXT_ARRAY,
                                    OID_BYTEA_ARRAY, OID_BOOL_ARRAY, OID_BYTEA_ARRAY};
    static const Oid PERIOD_TYPES[] = {
        OID_INT4,       OID_INT8_ARRAY, OID_TEXT_ARRAY, OID_UUID_ARRAY, OID_TEXT_ARRAY,
        OID_TEXT_ARRAY, OID_TEXT_ARRAY, OID_TEXT_ARRAY, OID_TEXT_ARRAY, OID_TEXT_ARRAY};
    int code = CTL_DONE;
    if (s->key_count > 0) {
        put_keys(s);
        PQclear(database_call(s->db, &code,
                              "SELECT speke.key_import_stage($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                              KEY_TYPES, &s->params));
    }
    if (s->period_count > 0 && code == CTL_DONE) {
        put_periods(s);
        PQclear(database_call(
            s->db, &code,
            "SELECT speke.key_import_stage_periods($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            PERIOD_TYPES, &s->params));
    }
    s->key_count = 0;
    s->period_count = 0;
    arena_reset(&s->texts);
    return code;
}

/* --- adding --------------------------------------------------------------------------------- */

/* Makes room for one more of either and copies the content id. Returns NULL when it has said why
 * not, with the exit code in *code. */
static const char *make_room(struct key_stage *s, const char *content_id, int *code)
{
    *code = CTL_DONE;
    if (s->key_count == BATCH || s->period_count == BATCH || s->texts.used > TEXTS_MAX)
        *code = key_stage_flush(s);
    if (*code != CTL_DONE)
        return NULL;
    const char *copy = arena_strndup(&s->texts, content_id, strlen(content_id));
    if (copy == NULL)
        *code = ctl_fail_memory();
    return copy;
}

int key_stage_key(struct key_stage *s, const struct stage_key *key)
{
    int code;
    unsigned char random[SEAL_NONCE_BYTES + KEYSTORE_IV_BYTES];
    const char *content_id = make_room(s, key->content_id, &code);
    if (content_id == NULL)
        return code;
    struct staged_key *staged = &s->keys[s->key_count];
    *staged = (struct staged_key){.line = key->line,
                                  .content_id = content_id,
                                  .scheme = key->scheme,
                                  .kid = key->kid,
                                  .iv_given = key->iv != NULL};
    const struct seal_row row = {.tenant_id = (uint32_t)s->tenant_id,
                                 .kek_version = (uint32_t)s->kek_version,
                                 .kid = key->kid,
                                 .scheme = key->scheme,
                                 .content_id = content_id};
    if (RAND_bytes(random, sizeof random) != 1 ||
        seal_key(s->vault.sealer, &row, random, key->value, staged->sealed) != 0)
        return ctl_fail(CTL_FAILED, "a key could not be sealed");
    memcpy(staged->iv, key->iv != NULL ? key->iv : random + SEAL_NONCE_BYTES, sizeof staged->iv);
    s->key_count++;
    return CTL_DONE;
}

int key_stage_period(struct key_stage *s, int64_t line, const char *content_id,
                     const struct uuid *kid, const struct keystore_period *period)
{
    int code;
    const char *const texts[] = {period->id,  period->index,        period->start,
                                 period->end, period->start_offset, period->end_offset};
    content_id = make_room(s, content_id, &code);
    if (content_id == NULL)
        return code;
    struct staged_period *staged = &s->periods[s->period_count];
    *staged = (struct staged_period){.line = line, .content_id = content_id, .kid = *kid};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i] == NULL)
            continue;
        staged->texts[i] = arena_strndup(&s->texts, texts[i], strlen(texts[i]));
        if (staged->texts[i] == NULL)
            return ctl_fail_memory();
    }
    s->period_count++;
    return CTL_DONE;
}
