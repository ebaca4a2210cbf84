/* SPDX-License-Identifier: Apache-2.0 */
/* The key store as players use it: a tenant with its settings and the keys that verify its tokens,
 * remembered like the clients of packagers; keys that exist, given out with their audit row and
 * never made; refusals, counted. Waits for the database as keystore.h says. */
#ifndef KEYSTORE_PLAYER_H
#define KEYSTORE_PLAYER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/uuid.h"
#include "keystore/keystore.h"
#include "keystore/seal.h"

enum { KEYSTORE_POINT_BYTES = 65, KEYSTORE_DIGEST_BYTES = 32 };

enum keystore_token_algorithm { KEYSTORE_HS256, KEYSTORE_ES256 };

/* A key by which tokens are verified. */
struct keystore_token_key {
    const char *kid;
    enum keystore_token_algorithm algorithm;
    const unsigned char *point;  /* ES256: the point on P-256, uncompressed, 65 bytes */
    const unsigned char *sealed; /* HS256: see keystore_token_secret() */
    size_t sealed_size;
    int kek_version;
};

/* A tenant, as its players meet it. */
struct keystore_audience {
    struct keystore_client client; /* name, settings and generation */
    int tenant_id;
    const struct keystore_token_key *keys;
    size_t key_count;
};

/* Finds a tenant by its segment in a path (base/segment.h), percent-decoded. Returns 0 with
 * *audience, NULL when there is no such tenant or it is disabled, valid until the next call that
 * may forget; or -1 with 503. */
int keystore_audience(struct keystore *ks, const char *segment,
                      const struct keystore_audience **audience, struct failure *f);
/* Asks, at most once a second, whether the configuration is still the one that is remembered, and
 * forgets it when it is not. True: it was forgotten, ask again. */
bool keystore_audience_outdated(struct keystore *ks);

/* Opens the secret of an HS256 key into TOKEN_SECRET_MAX_BYTES on the secure heap and sets its
 * size. Returns 0, or -1 with 503 or 500 and no secret. */
int keystore_token_secret(struct keystore *ks, const struct keystore_audience *audience,
                          const struct keystore_token_key *key, unsigned char *secret, size_t *size,
                          struct failure *f);

/* What a player may have. */
struct keystore_delivery {
    const char *via; /* "key" or "clearkey" */
    const char *remote_addr;
    const char *detail;                                     /* on whose word, for the audit */
    const unsigned char (*contents)[KEYSTORE_DIGEST_BYTES]; /* SHA-256 of content ids */
    size_t content_count;
};

struct keystore_delivery_slot {
    struct uuid kid;
    unsigned char *key; /* in: 16 bytes on the secure heap; out: filled when found */
    bool found;
};

/* Gives out those of the keys, whose KIDs differ, that exist in these contents and are not
 * withdrawn, and writes the audit row, in one transaction. Returns 0, with no slot found when there
 * is none, or -1 with 503 or 500 and no key. *stale: the configuration changed, find the audience
 * again. */
int keystore_deliver(struct keystore *ks, const struct keystore_audience *audience,
                     const struct keystore_delivery *delivery, struct keystore_delivery_slot *slots,
                     size_t count, bool *stale, struct failure *f);

/* Adds to the count of players that were turned away; tenant_id 0: no tenant of that name. Returns
 * 0, or -1 with 503. */
int keystore_count_refusals(struct keystore *ks, int tenant_id, int status, const char *reason,
                            long count, const char *remote_addr, struct failure *f);

#endif
