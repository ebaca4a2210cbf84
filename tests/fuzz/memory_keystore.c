/* SPDX-License-Identifier: Apache-2.0 */
/* A key store without a database behind the interface of the real one, so that a target runs whole
 * exchanges at the speed of memory. Keys are made of the KIDs. */
#include <string.h>

#include "base/failure.h"
#include "fuzz.h"
#include "keystore/keystore.h"
#include "keystore/player.h"

struct keystore {
    int refusals;
};

static struct keystore the_store;

struct keystore *keystore_new(const struct settings *settings)
{
    (void)settings; /* names a database */
    return &the_store;
}

void keystore_free(struct keystore *ks)
{
    (void)ks; /* not from the heap */
}

void keystore_begin(struct keystore *ks)
{
    (void)ks; /* waits for nothing */
}

int keystore_identify(struct keystore *ks, const struct keystore_request *request,
                      const struct keystore_client **client, struct failure *f)
{
    static const struct keystore_setting SETTINGS[] = {
        {.system = "", .name = "fetch_tracks", .value = "SD HD AUDIO"},
    };
    static const struct keystore_client CLIENT = {
        .tenant = "fuzz", .settings = SETTINGS, .setting_count = 1, .generation = 1};
    (void)ks; /* one client is all it knows: */
    MUST(request->remote_user != NULL && request->remote_user[0] != '\0');
    if (strcmp(request->remote_user, "nobody") == 0)
        return fail(f, 403, "Forbidden");
    *client = &CLIENT;
    return 0;
}

void keystore_forget_clients(struct keystore *ks)
{
    (void)ks; /* they never change */
}

int keystore_acquire(struct keystore *ks, const struct keystore_request *request,
                     struct keystore_slot *slots, size_t count,
                     const struct keystore_details *details, bool *stale, struct failure *f)
{
    (void)ks; /* keeps nothing, */
    (void)f;  /* and never fails */
    MUST(request->content_id != NULL && (request->speke_version != NULL) != (request->via != NULL));
    *stale = false;
    for (size_t i = 0; i < count; i++) {
        memcpy(slots[i].key, slots[i].kid.bytes, KEYSTORE_KEY_BYTES);
        if (!slots[i].iv_given)
            memcpy(slots[i].iv, slots[i].kid.bytes, KEYSTORE_IV_BYTES);
        for (size_t j = 0; j < i; j++)
            MUST(!uuid_equal(&slots[i].kid, &slots[j].kid));
    }
    for (size_t i = 0; i < details->period_count; i++)
        MUST(details->periods[i].kid_count <= count);
    for (size_t i = 0; i < details->recipient_count; i++)
        MUST(details->recipients[i].subject != NULL);
    return 0;
}

/* Every content has the same two keys in one period, but those that begin with "none". */
int keystore_content(struct keystore *ks, const struct keystore_request *request,
                     const struct uuid *kids, size_t kid_count, size_t most, struct arena *arena,
                     struct keystore_content *out, bool *stale, struct failure *f)
{
    static const struct keystore_rule RULES[] = {
        {.kid = {{1}}, .track_type = "VIDEO", .filters = "<cpix:VideoFilter/>"},
        {.kid = {{2}}, .filters = ""},
    };
    static struct keystore_content_key keys[] = {
        {.kid = {{1}}, .scheme = "cbcs", .rules = &RULES[0], .rule_count = 1},
        {.kid = {{2}}, .scheme = "", .rules = &RULES[1], .rule_count = 1},
    };
    static struct keystore_period period = {.id = "p\"&<", .index = "1"};
    static struct keystore_content_link link = {.kid = {{1}}};
    (void)ks;    /* keeps nothing, */
    (void)arena; /* takes no memory */
    (void)f;     /* and never fails */
    MUST(request->via != NULL && request->content_id != NULL && most > 1);
    *stale = false;
    *out = (struct keystore_content){.keys = keys, .periods = &period, .links = &link};
    if (strncmp(request->content_id, "none", 4) == 0)
        return 0;
    out->key_count = 2;
    out->period_count = out->link_count = 1;
    if (kid_count > 0)
        out->key_count = uuid_equal(&kids[0], &keys[0].kid) ? 1 : 0;
    return 0;
}

int keystore_refuse(struct keystore *ks, const struct keystore_request *request, int status,
                    const char *text, const struct uuid *kids, size_t count, struct failure *f)
{
    (void)f; /* never fails */
    MUST(request->remote_user != NULL && status >= 400 && text[0] != '\0');
    MUST(count == 0 || kids != NULL);
    ks->refusals++;
    return 0;
}

int keystore_health(struct keystore *ks, struct failure *f)
{
    (void)ks; /* always ready */
    (void)f;
    return 0;
}

/* --- players ---------------------------------------------------------------------------------- */

/* A tenant "fuzz" with a shared secret of 32 letters and with contents that are free. */
int keystore_audience(struct keystore *ks, const char *segment,
                      const struct keystore_audience **audience, struct failure *f)
{
    static const struct keystore_setting SETTINGS[] = {
        {.system = "", .name = "cors", .value = "https://a.example"},
        {.system = "", .name = "free_content", .value = "free-* gratis"},
    };
    static const struct keystore_token_key KEYS[] = {{.kid = "1", .algorithm = KEYSTORE_HS256}};
    static const struct keystore_audience FUZZ = {
        .client = {.tenant = "fuzz", .settings = SETTINGS, .setting_count = 2, .generation = 1},
        .tenant_id = 1,
        .keys = KEYS,
        .key_count = 1,
    };
    (void)ks; /* one tenant is all it knows, */
    (void)f;  /* and it never fails */
    *audience = strcmp(segment, "fuzz") == 0 ? &FUZZ : NULL;
    return 0;
}

bool keystore_audience_outdated(struct keystore *ks)
{
    (void)ks; /* it never changes */
    return false;
}

int keystore_token_secret(struct keystore *ks, const struct keystore_audience *audience,
                          const struct keystore_token_key *key, unsigned char *secret, size_t *size,
                          struct failure *f)
{
    (void)ks; /* keeps nothing, */
    (void)f;  /* and never fails */
    MUST(audience->tenant_id == 1 && strcmp(key->kid, "1") == 0);
    *size = TOKEN_SECRET_MIN_BYTES;
    memset(secret, 's', *size);
    return 0;
}

int keystore_deliver(struct keystore *ks, const struct keystore_audience *audience,
                     const struct keystore_delivery *delivery, struct keystore_delivery_slot *slots,
                     size_t count, bool *stale, struct failure *f)
{
    (void)ks; /* keeps nothing, */
    (void)f;  /* and never fails */
    MUST(audience->tenant_id == 1 && delivery->content_count > 0 && delivery->detail[0] != '\0');
    *stale = false;
    for (size_t i = 0; i < count; i++) {
        memcpy(slots[i].key, slots[i].kid.bytes, KEYSTORE_KEY_BYTES);
        slots[i].found = slots[i].kid.bytes[0] != 0;
        for (size_t j = 0; j < i; j++)
            MUST(!uuid_equal(&slots[i].kid, &slots[j].kid));
    }
    return 0;
}

int keystore_count_refusals(struct keystore *ks, int tenant_id, int status, const char *reason,
                            long count, const char *remote_addr, struct failure *f)
{
    (void)ks; /* keeps nothing, */
    (void)f;  /* and never fails */
    MUST((tenant_id == 0 || tenant_id == 1) && count > 0 && remote_addr != NULL);
    MUST(status >= 400 && status < 500 && reason[0] != '\0');
    return 0;
}
