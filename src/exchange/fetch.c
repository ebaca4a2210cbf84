/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/fetch.h"

#include <stdbool.h>
#include <string.h>

#include "base/base64.h"
#include "base/settings.h"
#include "base/trim.h"
#include "base/utf8.h"
#include "cpix/cpix.h"
#include "drm/pssh.h"
#include "exchange/fetch_document.h"
#include "exchange/override.h"
#include "exchange/policy.h"
#include "exchange/run.h"
#include "exchange/tenant.h"
#include "keystore/keystore.h"

/* A request for as many keys as the service takes. */
enum { DOCUMENT_MAX = 16 * 1024 * 1024, PSSH_VERSION_AT = 8 };

/* As the checks have it for a contentId of a document. */
static int check_content_id(const char *id, struct failure *f)
{
    const size_t n = strlen(id);
    size_t characters = 0;
    bool controls = false;
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)id[i];
        characters += (c & 0xc0) != 0x80 ? 1 : 0;
        controls = controls || c < 0x20 || c == 0x7f;
    }
    if (n > 0 && !controls && characters <= CPIX_CONTENT_ID_CHARACTERS &&
        utf8_valid_prefix(id, n) == n)
        return 0;
    return fail(f, 400, "The content id is none");
}

/* --- Which keys ----------------------------------------------------------------------------- */

static int no_keys(struct failure *f)
{
    return fail(f, 404, "No keys of that content");
}

static int find_keys(struct run *r, struct keystore_content *content, struct failure *f)
{
    const struct fetch_request *request = r->request;
    const struct keystore_request who = run_identity(r, request->content_id);
    struct uuid kid;
    if (request->kid != NULL && uuid_parse(request->kid, &kid) != 0)
        return fail(f, 400, "kid is no UUID");
    return keystore_content(r->x->keystore, &who, &kid, request->kid != NULL ? 1 : 0,
                            (size_t)r->x->settings->max_keys, &r->x->arena, content, &r->stale, f);
}

/* --- The document --------------------------------------------------------------------------- */

/* The document comes from our own rows: what a request would be refused for (an old key without
 * rule, a contract of several requests together) is as it is. */
static bool ignore_fault(void *context, const struct cpix_fault *fault)
{
    (void)context;
    (void)fault;
    return true;
}

static int read_document(struct run *r, const struct buf *text, struct failure *f)
{
    const struct cpix_rules rules = tenant_rules(r->config, SPEKE_V2_0);
    struct cpix_limits limits = CPIX_DEFAULT_LIMITS;
    limits.keys = SIZE_MAX; /* the key store kept to the limit of keys; periods may be more */
    limits.markup = SIZE_MAX;
    limits.systems = SIZE_MAX;
    if (!buf_ok(text))
        return fail_memory(f);
    if (cpix_read(text->data, text->len, &limits, &r->x->arena, &r->doc, f) != 0)
        return fail_internal(f, "the request for a fetched content does not read: %s", f->text);
    if (cpix_check(&r->doc, &rules, &r->x->arena, ignore_fault, NULL) < 0)
        return fail_memory(f);
    return policy_check(r->config, &r->doc, SPEKE_V2_0, run_take_fault, f) == 0 ? 0 : -1;
}

/* For the keys that there are, or (*make) for those that are to be made. */
static int make_document(struct run *r, bool *make, struct failure *f)
{
    const struct fetch_request *request = r->request;
    struct keystore_content content = {0};
    struct buf text;
    if (find_keys(r, &content, f) != 0)
        return -1;
    *make = content.key_count == 0 && request->kid == NULL && r->config->fetch_tracks != NULL;
    if (content.key_count == 0 && !*make)
        return no_keys(f);
    buf_init(&text, DOCUMENT_MAX);
    if (*make)
        fetch_document_put_new(request->content_id, r->config, &text);
    else
        fetch_document_put(request->content_id, &content, r->config, &text);
    int result = read_document(r, &text, f);
    if (result == 0 && *make)
        result = override_kids(&r->doc, &r->x->arena, f);
    buf_free(&text);
    return result;
}

/* --- Keys for a track ----------------------------------------------------------------------- */

static bool is_for(const struct run *r, size_t key, const char *track)
{
    for (size_t i = 0; track != NULL && i < r->doc.rule_count; i++) {
        const struct cpix_rule *rule = &r->doc.rules[i];
        if (rule->key == key && span_compare(trim(rule->intended_track_type), trim(track)) == 0)
            return true;
    }
    return track == NULL;
}

/* How many keys are to be given out; one for nginx-vod-module, which takes an array of one and
 * nothing else. */
static int check_count(const struct run *r, const char *track, bool one, struct failure *f)
{
    size_t count = 0;
    for (size_t i = 0; i < r->doc.key_count; i++)
        count += is_for(r, i, track) ? 1 : 0;
    if (count == 0)
        return no_keys(f);
    return count == 1 || !one
               ? 0
               : fail(f, 422, "The content has %zu keys: choose one with kid or track", count);
}

/* Leaves the keys for the track, and what is said of them. */
static int keep_track(struct run *r, const char *track, struct failure *f)
{
    struct cpix_document *doc = &r->doc;
    size_t *places = arena_array(&r->x->arena, doc->key_count, sizeof *places);
    size_t keys = 0, systems = 0, rules = 0;
    if (places == NULL)
        return fail_memory(f);
    for (size_t i = 0; i < doc->key_count; i++) {
        places[i] = is_for(r, i, track) ? keys : CPIX_NO_KEY;
        if (places[i] == CPIX_NO_KEY)
            continue;
        doc->keys[keys] = doc->keys[i];
        if (r->slots != NULL)
            r->slots[keys] = r->slots[i];
        keys++;
    }
    for (size_t i = 0; i < doc->system_count; i++) {
        const size_t key = doc->systems[i].key;
        if (key >= doc->key_count || places[key] == CPIX_NO_KEY)
            continue;
        doc->systems[systems] = doc->systems[i];
        doc->systems[systems++].key = places[key];
    }
    for (size_t i = 0; i < doc->rule_count; i++) {
        const size_t key = doc->rules[i].key;
        if (key >= doc->key_count || places[key] == CPIX_NO_KEY)
            continue;
        doc->rules[rules] = doc->rules[i];
        doc->rules[rules++].key = places[key];
    }
    doc->key_count = keys;
    doc->system_count = systems;
    doc->rule_count = rules;
    return 0;
}

/* --- Writing -------------------------------------------------------------------------------- */

/* An element that is empty says nothing to who did not ask for it. */
static void drop_empty(struct cpix_document *doc)
{
    for (size_t i = 0; i < doc->system_count; i++) {
        for (size_t j = 0; j < doc->systems[i].placeholder_count; j++) {
            struct cpix_placeholder *p = &doc->systems[i].placeholders[j];
            if (p->value != NULL && p->value[0] == '\0')
                p->value = NULL;
        }
    }
}

/* --- nginx-vod-module ----------------------------------------------------------------------- */

/* The data of a box, which the module makes a box of version 0 of; one of version 1 is none. */
static void put_pssh(struct run *r, const struct cpix_drm_system *system, const char *value,
                     bool *first, struct buf *out)
{
    const size_t size = strlen(value);
    unsigned char *box = arena_alloc(&r->x->arena, size);
    size_t n;
    if (box == NULL || base64_decode(value, size, box, size, &n) != 0 || n < PSSH_V0_HEADER ||
        box[PSSH_VERSION_AT] != 0)
        return;
    buf_puts(out, *first ? "" : ",");
    *first = false;
    buf_printf(out, "{\"uuid\":\"%s\",\"data\":\"", system->system_id_text);
    buf_put_base64(out, box + PSSH_V0_HEADER, n - PSSH_V0_HEADER);
    buf_puts(out, "\"}");
}

static int write_json(struct run *r, struct buf *out, struct failure *f)
{
    const struct cpix_content_key *key = &r->doc.keys[0];
    bool first = true;
    buf_puts(out, "[{\"pssh\":[");
    for (size_t i = 0; i < r->doc.system_count; i++) {
        const struct cpix_drm_system *system = &r->doc.systems[i];
        for (size_t j = 0; j < system->placeholder_count; j++) {
            const struct cpix_placeholder *p = &system->placeholders[j];
            if (p->field == CPIX_PSSH && p->value != NULL)
                put_pssh(r, system, p->value, &first, out);
        }
    }
    buf_puts(out, "],\"key\":\"");
    buf_put_base64(out, key->key, CPIX_KEY_BYTES);
    buf_puts(out, "\",\"key_id\":\"");
    buf_put_base64(out, key->kid.bytes, UUID_BYTES);
    buf_puts(out, "\",\"iv\":\"");
    buf_put_base64(out, r->slots[0].iv, KEYSTORE_IV_BYTES);
    buf_puts(out, "\"}]\n");
    return buf_ok(out) ? 0 : fail_memory(f);
}

/* --- The steps ------------------------------------------------------------------------------ */

/* Keys are made for all tracks at once, also when only one is wanted: later there would be no
 * telling which are missing. */
static int run_steps(struct run *r, struct buf *out, struct failure *f)
{
    const bool json = strcmp(r->caller.via, "vod-drm") == 0;
    const struct fetch_request *request = r->request;
    bool make = false;
    r->version = SPEKE_V2_0;
    if (run_identify(r, f) != 0 || check_content_id(request->content_id, f) != 0 ||
        make_document(r, &make, f) != 0 || check_count(r, request->track, json, f) != 0)
        return -1;
    if (!make && keep_track(r, request->track, f) != 0)
        return -1;
    if (run_acquire(r, f) != 0)
        return -1;
    if (make && keep_track(r, request->track, f) != 0)
        return -1;
    if (run_fill(r, f) != 0)
        return -1;
    drop_empty(&r->doc);
    return json ? write_json(r, out, f) : run_write(r, out, f);
}

int exchange_fetch(struct exchange *x, const struct fetch_request *request, struct buf *out,
                   struct failure *f)
{
    struct run r = {.x = x,
                    .caller = request->caller,
                    .request = request,
                    .doc = {.content_id = request->content_id}};
    return run_through(&r, run_steps, out, f);
}
