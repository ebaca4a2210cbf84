/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/run.h"

#include <string.h>

#include "base/base64.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/settings.h"
#include "cpix/delivery.h"
#include "drm/drm.h"
#include "exchange/details.h"
#include "exchange/signal.h"

bool run_take_fault(void *context, const struct cpix_fault *fault)
{
    struct failure *f = context;
    (void)fail(f, 422, "%s", fault->text);
    (void)fail_because(f, "%s, line %d (%s)", fault->place, fault->line, fault->rule);
    return false;
}

const char *run_content_id(const struct run *r)
{
    return r->version == SPEKE_V1 ? r->doc.id : r->doc.content_id;
}

/* The request's own IV, when the key has one. */
static int take_given_iv(struct keystore_slot *slot, const struct cpix_content_key *key,
                         struct failure *f)
{
    size_t len;
    if (key->explicit_iv == NULL || key->explicit_iv[0] == '\0')
        return 0;
    if (base64_decode(key->explicit_iv, strlen(key->explicit_iv), slot->iv, sizeof slot->iv,
                      &len) != 0 ||
        len != sizeof slot->iv)
        return fail_internal(f, "an explicitIV that was checked does not decode, line %d",
                             key->line);
    slot->iv_given = true;
    return 0;
}

static int make_slots(struct run *r, struct failure *f)
{
    const size_t count = r->doc.key_count;
    r->slots = arena_array(&r->x->arena, count, sizeof *r->slots);
    r->keys_size = count * KEYSTORE_KEY_BYTES;
    r->keys = secret_alloc(r->keys_size);
    if (r->slots == NULL || r->keys == NULL)
        return fail_memory(f);
    for (size_t i = 0; i < count; i++) {
        struct keystore_slot *slot = &r->slots[i];
        slot->kid = r->doc.keys[i].kid;
        slot->scheme = scheme_name(r->doc.keys[i].scheme);
        slot->key = r->keys + i * KEYSTORE_KEY_BYTES;
        if (take_given_iv(slot, &r->doc.keys[i], f) != 0)
            return -1;
    }
    return 0;
}

struct keystore_request run_identity(const struct run *r, const char *content_id)
{
    return (struct keystore_request){
        .remote_user = r->caller.remote_user,
        .remote_addr = r->caller.remote_addr,
        .speke_version = r->version_text,
        .via = r->caller.via,
        .content_id = content_id,
    };
}

/* Whether the signalling of a key names its IV, which the packager has to use then. */
static bool names_iv(const struct run *r, size_t key)
{
    const struct drm_system *fairplay = drm_find_by_name("fairplay");
    for (size_t i = 0; i < r->doc.system_count; i++) {
        const struct cpix_drm_system *system = &r->doc.systems[i];
        const struct drm_settings *settings;
        if (system->key != key)
            continue;
        const struct drm_system *drm = tenant_system(r->config, &system->system_id, r->version,
                                                     &settings);
        if (drm != NULL && (drm == fairplay || settings->hls_iv))
            return true;
    }
    return false;
}

/* An explicitIV that the request has goes back as it came. Otherwise v2.x gives the kept one as the
 * tenant wants it; v1 gives it where it is needed. */
static bool wants_iv(const struct run *r, size_t key)
{
    const enum scheme scheme = r->doc.keys[key].scheme;
    const bool counter = scheme == SCHEME_CENC || scheme == SCHEME_CENS ||
                         scheme == SCHEME_HLS_SAMPLE_AES_CTR;
    if (names_iv(r, key))
        return true;
    if (r->version == SPEKE_V1 || r->config->explicit_iv == TENANT_IV_NEEDED)
        return false;
    return r->config->explicit_iv == TENANT_IV_ALWAYS || !counter;
}

static int take_keys(struct run *r, struct failure *f)
{
    for (size_t i = 0; i < r->doc.key_count; i++) {
        struct cpix_content_key *key = &r->doc.keys[i];
        struct keystore_slot *slot = &r->slots[i];
        key->key = slot->key;
        if (slot->iv_given) {
            /* The store has put the kept IV into the slot; in this answer the given one counts. */
            if (take_given_iv(slot, key, f) != 0)
                return -1;
            continue;
        }
        if (!wants_iv(r, i))
            continue;
        char *text = arena_alloc(&r->x->arena, BASE64_SIZE(KEYSTORE_IV_BYTES));
        if (text == NULL)
            return fail_memory(f);
        (void)base64_encode(slot->iv, KEYSTORE_IV_BYTES, text); /* the length is known */
        key->explicit_iv = text;
    }
    return 0;
}

static void log_release(const struct run *r)
{
    size_t created = 0;
    for (size_t i = 0; i < r->doc.key_count; i++)
        created += r->slots[i].created ? 1 : 0;
    log_info("released %zu keys (%zu new) of content \"%s\" to %s", r->doc.key_count, created,
             run_content_id(r), r->caller.remote_user);
}

int run_acquire(struct run *r, struct failure *f)
{
    const struct keystore_request who = run_identity(r, run_content_id(r));
    struct keystore_details details;
    if (make_slots(r, f) != 0 ||
        details_gather(&r->doc, r->recipients, &r->x->arena, &details, f) != 0)
        return -1;
    if (keystore_acquire(r->x->keystore, &who, r->slots, r->doc.key_count, &details, &r->stale,
                         f) != 0)
        return -1;
    if (take_keys(r, f) != 0)
        return -1;
    log_release(r);
    return 0;
}

int run_write(struct run *r, struct buf *out, struct failure *f)
{
    cpix_write(&r->doc, out);
    return buf_ok(out) ? 0 : fail_internal(f, "an answer does not fit into %zu bytes", out->max);
}

/* The client's tenant and how it wants to be served. */
int run_identify(struct run *r, struct failure *f)
{
    const struct keystore_request who = run_identity(r, NULL);
    const struct keystore_client *client;
    if (keystore_identify(r->x->keystore, &who, &client, f) != 0)
        return -1;
    r->generation = client->generation;
    r->config = tenant_cache_get(&r->x->tenants, client, f);
    return r->config == NULL ? -1 : 0;
}

/* What the answer says: signalling comes before the encryption, which takes the clear keys away. */
int run_fill(struct run *r, struct failure *f)
{
    struct arena *arena = &r->x->arena;
    if (signal_systems(&r->doc, r->slots, r->x->settings, r->config, r->caller.base_url, arena,
                       f) != 0)
        return -1;
    if (r->recipients == NULL)
        return 0;
    return delivery_encrypt(&r->doc, r->recipients, r->config->delivery_policy.mac_shape, arena, f);
}

/* What an exchange has gathered goes; its arena is reset by the caller. */
static void end_run(struct run *r)
{
    secret_free(r->keys, r->keys_size);
    r->keys = NULL;
    r->slots = NULL;
}

/* Whether a refusal may come from settings that have been changed meanwhile: the process remembers
 * its clients, and only a release of keys tells that what it remembers is out of date. */
static bool is_outdated(struct run *r, struct failure *f)
{
    const struct keystore_request who = run_identity(r, NULL);
    const struct keystore_client *client;
    struct failure other = {0};
    if (r->stale)
        return true;
    /* What the store says of keys and clients, it says of the configuration of now. */
    if (r->generation == 0 || f->status == 503 || f->status == 403 || f->status == 429)
        return false;
    keystore_forget_clients(r->x->keystore);
    if (keystore_identify(r->x->keystore, &who, &client, &other) == 0)
        return client->generation != r->generation;
    *f = other;
    return false;
}

/* A content id for the audit row of a refusal: whatever the document gave, cut to the length that
 * is allowed, at a character's edge. NULL when it gave none or memory is short. */
static const char *refused_content_id(struct run *r)
{
    const char *given = r->doc.content_id != NULL ? r->doc.content_id : r->doc.id;
    if (given == NULL)
        return NULL;
    size_t bytes = 0;
    for (size_t characters = 0; given[bytes] != '\0'; bytes++) {
        const bool begins_character = ((unsigned char)given[bytes] & 0xc0) != 0x80;
        if (begins_character && characters++ == CPIX_CONTENT_ID_CHARACTERS)
            break;
    }
    return arena_strndup(&r->x->arena, given, bytes);
}

/* A refusal is written into the audit before the client hears of it. The store's own trouble is
 * not a refusal: then there is nobody to write it down. */
int run_refuse(struct run *r, struct failure *f)
{
    if (f->status == 503)
        return -1;
    struct uuid *kids = arena_array(&r->x->arena, r->doc.key_count, sizeof *kids);
    size_t count = 0;
    for (size_t i = 0; kids != NULL && i < r->doc.key_count; i++) {
        const char *text = r->doc.keys[i].kid_text;
        if (text != NULL && uuid_parse(text, &kids[count]) == 0)
            count++;
    }
    const struct keystore_request who = run_identity(r, refused_content_id(r));
    struct failure other = {0};
    if (keystore_refuse(r->x->keystore, &who, f->status, f->text, kids, count, &other) != 0 &&
        !(f->status == 403 && other.status == 403)) /* the first one says why */
        *f = other;
    return -1;
}

int run_through(struct run *r, int (*steps)(struct run *r, struct buf *out, struct failure *f),
                struct buf *out, struct failure *f)
{
    const struct run fresh = *r;
    int result = steps(r, out, f);
    if (result != 0 && is_outdated(r, f)) {
        end_run(r);
        arena_reset(&r->x->arena);
        buf_clear(out);
        failure_clear(f);
        *r = fresh;
        result = steps(r, out, f);
    }
    if (result != 0) {
        buf_clear(out);
        result = run_refuse(r, f);
    }
    end_run(r);
    arena_reset(&r->x->arena);
    return result;
}
