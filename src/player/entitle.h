/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a player may have what it asks for, and on whose word. */
#ifndef PLAYER_ENTITLE_H
#define PLAYER_ENTITLE_H

#include <stdbool.h>

#include "player/token.h"

struct failure;
struct keystore_audience;
struct player;
struct player_request;
struct tenant_config;

/* What is looked up when it was granted. */
struct entitlement {
    bool open;          /* the content is free: the token was not looked at */
    struct token token; /* else verified and judged; ended with token_end() */
    unsigned char content[SEGMENT_DIGEST_BYTES]; /* of the path */
    bool has_content;
};

/* A refusal: what the player gets, and a word for the log and the count. */
struct refused {
    int status;               /* 0: granted */
    const char *reason;       /* static */
    const char *authenticate; /* for WWW-Authenticate; NULL for none */
};

/* The token that a request brings: of the header Authorization (Bearer), else of the query
 * ("token"), else of the cookie "speke_token". Sets its size; NULL when there is none. */
const char *entitle_find_token(const struct player_request *q, size_t *size);

/* Judges. Returns 0 with refused->status 0 or the refusal, or -1 when the key store is away. The
 * token has to be ended either way. */
int entitle(struct player *p, const struct keystore_audience *audience,
            const struct tenant_config *config, const struct player_request *q,
            struct entitlement *e, struct refused *refused, struct failure *f);

#endif
