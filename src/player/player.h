/* SPDX-License-Identifier: Apache-2.0 */
/* What a player fetches: the 16 bytes of an AES-128 key, or a W3C Clear Key licence, on the word of
 * a token or because the tenant says that the content is free. The entitlement is judged before a
 * key is looked for, so that nobody else learns whether there is one. Knows no FastCGI. */
#ifndef PLAYER_PLAYER_H
#define PLAYER_PLAYER_H

#include <stdbool.h>
#include <stddef.h>

#include "exchange/tenant.h"
#include "player/cors.h"
#include "player/rate.h"
#include "player/refusals.h"
#include "player/token.h"

struct buf;
struct failure;
struct keystore;
struct settings;

/* What outlives a request. */
struct player {
    const struct settings *settings;
    struct keystore *keystore;
    struct tenant_cache tenants;
    struct token_points points;
    struct refusals refusals;
    struct rate rate;
};

/* Texts as the web server gives them, NULL for what is absent. */
struct player_request {
    const char *tenant;  /* segment of the path, percent-decoded (base/segment.h) */
    const char *content; /* likewise; NULL: the token says which */
    const char *kid;     /* of a key URL */
    const char *authorization, *query, *cookie, *device, *origin, *remote_addr;
    const void *body; /* of a licence request */
    size_t body_size;
};

struct player_answer {
    struct cors cors;
    const char *authenticate; /* value of WWW-Authenticate, NULL for none */
    bool counted;             /* a refusal that was counted, so that it needs no log line */
};

void player_init(struct player *p, const struct settings *settings, struct keystore *ks);
/* Writes down what was counted. */
void player_free(struct player *p);

/* Each returns 0, or -1 with the failure set: 401 without a token that is good, 403 with one that
 * is for something else, 404 when there is no such key, 429 for one who asks too often, 400 and 413
 * for what is no licence request, 503 and 500. The members of *answer are set either way. */

/* Puts the 16 bytes of the key into out. */
int player_key(struct player *p, const struct player_request *q, struct player_answer *answer,
               struct buf *out, struct failure *f);
/* Puts a licence with the keys that are there into out. */
int player_licence(struct player *p, const struct player_request *q, struct player_answer *answer,
                   struct buf *out, struct failure *f);
/* Answers a browser that asks what it may do. */
int player_options(struct player *p, const struct player_request *q, struct player_answer *answer,
                   struct failure *f);

#endif
