/* SPDX-License-Identifier: Apache-2.0 */
#include "player/player.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/failure.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/settings.h"
#include "keystore/clock.h"
#include "keystore/player.h"
#include "player/clearkey.h"
#include "player/entitle.h"

enum { DETAIL_SIZE = 1024 };

void player_init(struct player *p, const struct settings *settings, struct keystore *ks)
{
    *p = (struct player){.settings = settings, .keystore = ks};
    rate_init(&p->rate);
}

void player_free(struct player *p)
{
    if (p->keystore != NULL)
        refusals_flush(&p->refusals, p->keystore);
    tenant_cache_free(&p->tenants);
    token_points_free(&p->points);
}

/* What one request gathers on its way. */
struct visit {
    struct player *p;
    const struct player_request *q;
    struct player_answer *answer;
    const struct keystore_audience *audience; /* NULL: no such tenant */
    const struct tenant_config *config;
    struct entitlement entitlement;
    const char *via;
    struct keystore_delivery_slot slots[CLEARKEY_KIDS_MAX];
    size_t count;
    unsigned char *keys; /* of the slots, on the secure heap */
    bool again;          /* what is remembered of the configuration was out of date */
};

static const char *text_of(int status)
{
    switch (status) {
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not found";
    default:
        return "Too many requests";
    }
}

/* A refusal is counted; of these nobody may make as many lines and rows as they like. */
static int refuse(struct visit *v, int status, const char *reason, struct failure *f)
{
    const bool known = v->audience != NULL;
    const struct refusal kind = {
        .tenant_id = known ? v->audience->tenant_id : 0, .status = status, .reason = reason};
    if (!failed(f))
        (void)fail(f, status, "%s", text_of(status));
    if (status == 429)
        f->retry_after = 1;
    refusals_note(&v->p->refusals, &kind, known ? v->audience->client.tenant : v->q->tenant,
                  v->q->remote_addr, clock_ms());
    v->answer->counted = true;
    return -1;
}

/* --- who asks ------------------------------------------------------------------------------- */

/* Who is not known is answered as a tenant without settings would. */
static int meet(struct visit *v, struct failure *f)
{
    static const struct keystore_client NOBODY = {.tenant = ""};
    struct player *p = v->p;
    if (keystore_audience(p->keystore, v->q->tenant, &v->audience, f) != 0)
        return -1;
    v->config = tenant_cache_get(&p->tenants, v->audience != NULL ? &v->audience->client : &NOBODY,
                                 f);
    if (v->config == NULL)
        return -1;
    v->answer->cors = cors_decide(v->config->cors, v->q->origin);
    return 0;
}

static bool comes_too_often(struct visit *v)
{
    const int64_t now = clock_ms();
    v->answer->cors = cors_decide("*", NULL); /* there is nothing to hide in a 429 */
    refusals_tend(&v->p->refusals, v->p->keystore, now);
    return !rate_allow(&v->p->rate, v->q->remote_addr, v->p->settings->player_rate, now);
}

/* --- what it gets --------------------------------------------------------------------------- */

static void describe(const struct entitlement *e, char out[static DETAIL_SIZE])
{
    const struct token *t = &e->token;
    if (e->open)
        (void)snprintf(out, DETAIL_SIZE, "free content");
    else
        (void)snprintf(out, DETAIL_SIZE, "token key %s%s%s%s%s", t->kid,
                       t->subject != NULL ? ", sub " : "", t->subject != NULL ? t->subject : "",
                       t->id != NULL ? ", jti " : "", t->id != NULL ? t->id : "");
}

/* Leaves those that the token allows. */
static void keep_allowed(struct visit *v)
{
    size_t kept = 0;
    for (size_t i = 0; i < v->count; i++) {
        if (v->entitlement.open || token_has_kid(&v->entitlement.token, &v->slots[i].kid))
            v->slots[kept++] = v->slots[i];
    }
    v->count = kept;
}

static int deliver(struct visit *v, struct failure *f)
{
    char detail[DETAIL_SIZE];
    const struct entitlement *e = &v->entitlement;
    const struct keystore_delivery delivery = {
        .via = v->via,
        .remote_addr = v->q->remote_addr,
        .detail = detail,
        .contents = e->has_content ? &e->content : e->token.contents,
        .content_count = e->has_content ? 1 : e->token.content_count,
    };
    describe(e, detail);
    if (keystore_deliver(v->p->keystore, v->audience, &delivery, v->slots, v->count, &v->again,
                         f) != 0)
        return -1;
    size_t found = 0;
    for (size_t i = 0; i < v->count; i++)
        found += v->slots[i].found ? 1 : 0;
    if (found == 0)
        return refuse(v, 404, "no_key", f);
    log_info("delivered %zu keys (%s) of tenant %s: %s", found, v->via, v->audience->client.tenant,
             detail);
    return 0;
}

/* The entitlement comes first: who has none learns nothing of keys. */
static int try_once(struct visit *v, struct failure *f)
{
    struct refused refused;
    if (meet(v, f) != 0)
        return -1;
    if (entitle(v->p, v->audience, v->config, v->q, &v->entitlement, &refused, f) != 0)
        return -1;
    if (refused.status != 0) {
        v->again = refused.status == 401 && keystore_audience_outdated(v->p->keystore);
        if (v->again)
            return -1;
        v->answer->authenticate = refused.authenticate;
        return refuse(v, refused.status, refused.reason, f);
    }
    if (v->count == 0)
        return refuse(v, 404, "no_kid", f);
    keep_allowed(v);
    if (v->count == 0)
        return refuse(v, 403, "other_kid", f);
    return deliver(v, f);
}

/* With the configuration as it is remembered and, should that be out of date, as it is. */
static int visit(struct visit *v, struct failure *f)
{
    struct keystore_delivery_slot asked[CLEARKEY_KIDS_MAX];
    const size_t count = v->count;
    memcpy(asked, v->slots, sizeof asked);
    int result = try_once(v, f);
    if (result != 0 && v->again) {
        token_end(&v->entitlement.token);
        failure_clear(f);
        memcpy(v->slots, asked, sizeof asked);
        v->count = count;
        v->again = false;
        result = try_once(v, f);
        if (result != 0 && v->again)
            return fail_unavailable(f, "database", "the configuration changes all the time");
    }
    return result;
}

static int make_keys(struct visit *v, const struct uuid *kids, size_t count, struct failure *f)
{
    v->count = count;
    v->keys = count > 0 ? secret_alloc(count * KEYSTORE_KEY_BYTES) : NULL;
    if (count > 0 && v->keys == NULL)
        return fail_internal(f, "no memory for %zu keys: raise the setting secure_heap", count);
    for (size_t i = 0; i < count; i++)
        v->slots[i] = (struct keystore_delivery_slot){.kid = kids[i],
                                                      .key = v->keys + i * KEYSTORE_KEY_BYTES};
    return 0;
}

static void end_visit(struct visit *v, size_t count)
{
    token_end(&v->entitlement.token);
    secret_free(v->keys, count * KEYSTORE_KEY_BYTES);
}

int player_key(struct player *p, const struct player_request *q, struct player_answer *answer,
               struct buf *out, struct failure *f)
{
    struct visit v = {.p = p, .q = q, .answer = answer, .via = "key"};
    struct uuid kid;
    if (comes_too_often(&v))
        return refuse(&v, 429, "too_often", f);
    /* What is no KID is the KID of no key, and said to be so only to who is entitled. */
    const size_t count = uuid_parse(q->kid, &kid) == 0 ? 1 : 0;
    int result = make_keys(&v, &kid, count, f);
    if (result == 0)
        result = visit(&v, f);
    if (result == 0)
        buf_put(out, v.slots[0].key, KEYSTORE_KEY_BYTES);
    end_visit(&v, count);
    return result == 0 && !buf_ok(out) ? fail_memory(f) : result;
}

int player_licence(struct player *p, const struct player_request *q, struct player_answer *answer,
                   struct buf *out, struct failure *f)
{
    struct visit v = {.p = p, .q = q, .answer = answer, .via = "clearkey"};
    struct clearkey_request request;
    if (comes_too_often(&v))
        return refuse(&v, 429, "too_often", f);
    if (clearkey_read(&request, q->body, q->body_size, f) != 0) {
        struct failure other = {0};
        (void)meet(&v, &other); /* for the headers that let a page read the answer */
        return refuse(&v, f->status, "licence_request", f);
    }
    int result = make_keys(&v, request.kids, request.count, f);
    if (result == 0)
        result = visit(&v, f);
    if (result == 0)
        clearkey_write(v.slots, v.count, request.type, out);
    end_visit(&v, request.count);
    return result == 0 && !buf_ok(out) ? fail_memory(f) : result;
}

int player_options(struct player *p, const struct player_request *q, struct player_answer *answer,
                   struct failure *f)
{
    struct visit v = {.p = p, .q = q, .answer = answer};
    if (comes_too_often(&v))
        return refuse(&v, 429, "too_often", f);
    return meet(&v, f);
}
