/* SPDX-License-Identifier: Apache-2.0 */
/* A key store without a database behind the interface of the real one, so that a target runs whole
 * exchanges at the speed of memory. Keys are made of the KIDs. */
#include <string.h>

#include "base/failure.h"
#include "fuzz.h"
#include "keystore/keystore.h"

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
    static const struct keystore_client CLIENT = {.tenant = "fuzz", .generation = 1};
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
    MUST(request->content_id != NULL && request->speke_version != NULL);
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
