/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens by which players show what they are entitled to: JSON Web Tokens (RFC 7519) in the compact
 * form of JWS (RFC 7515), verified by libcjose. The algorithm is that of the key that is registered
 * under the token's "kid"; what the token says of itself has to agree. Knows no database. */
#ifndef PLAYER_TOKEN_H
#define PLAYER_TOKEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/segment.h"
#include "base/uuid.h"

enum {
    TOKEN_MAX = 8192,    /* bytes of a token; a longer one is not looked at */
    TOKEN_DEPTH_MAX = 4, /* of the JSON in it */
    TOKEN_CONTENTS_MAX = 64,
    TOKEN_KIDS_MAX = 128,
    TOKEN_TEXT_MAX = 256, /* bytes of a claim that goes into the audit */
    TOKEN_POINT_BYTES = 65,
    TOKEN_POINTS_MAX = 64
};

/* What is wrong with a token. Those from TOKEN_EXPIRED on are told of a token whose signature is
 * right. */
enum token_fault {
    TOKEN_GOOD,
    TOKEN_MALFORMED,
    TOKEN_UNKNOWN_KEY,
    TOKEN_WRONG_ALGORITHM,
    TOKEN_WRONG_SIGNATURE,
    TOKEN_EXPIRED,
    TOKEN_NOT_YET,
    TOKEN_UNBOUND, /* names neither a content nor KIDs, or no end */
    TOKEN_OTHER_ADDRESS,
    TOKEN_OTHER_DEVICE
};

enum token_algorithm { TOKEN_HS256, TOKEN_ES256 };

/* A key to verify with: the secret of HS256, or of ES256 the uncompressed point on P-256. */
struct token_key {
    enum token_algorithm algorithm;
    const unsigned char *bytes;
    size_t size;
};

/* Public keys of ES256 as libcjose has them, so that a curve is not set up for each token. The
 * bytes of a point name it, so that what is remembered is never out of date; a new one takes the
 * place of the oldest. Begins as zeros. */
struct token_points {
    struct token_point {
        unsigned char bytes[TOKEN_POINT_BYTES];
        void *jwk; /* NULL: no point yet */
    } items[TOKEN_POINTS_MAX];
    size_t next; /* place of the next one */
};
void token_points_free(struct token_points *p);

struct token {
    const char *text; /* the caller's */
    size_t size;
    json_t *header, *claims;
    const char *kid; /* of the header */
    /* Bound to: SHA-256 of content ids, and KIDs. None of one kind: not bound by it. */
    unsigned char contents[TOKEN_CONTENTS_MAX][SEGMENT_DIGEST_BYTES];
    size_t content_count;
    struct uuid kids[TOKEN_KIDS_MAX];
    size_t kid_count;
    const char *subject, *id; /* "sub" and "jti", NULL when absent */
};

/* Makes libcjose and jansson wipe the memory that they give back, since secrets pass through it.
 * Once in a process, before either is used. */
void token_setup(void);

/* Takes a token apart, without believing it: sets kid. Whatever it returns, the token is ended with
 * token_end(). */
enum token_fault token_read(struct token *t, const char *text, size_t size);
/* Verifies the signature with the key that is registered under kid, and sets the claims. points:
 * what is remembered of public keys, NULL for nothing. */
enum token_fault token_verify(struct token *t, const struct token_key *key,
                              struct token_points *points);

/* What the claims are held against. */
struct token_circumstances {
    int64_t now; /* seconds since 1970 */
    long leeway; /* seconds by which clocks may differ */
    const char *remote_addr, *device;
};

/* Judges the claims of a token whose signature is right: "exp" (must be there), "nbf", "content_id"
 * (a text or several), "kids" (UUIDs), of which one must be there, and, when they are, "ip" and
 * "device". */
enum token_fault token_judge(struct token *t, const struct token_circumstances *where);
bool token_has_content(const struct token *t, const unsigned char *digest);
bool token_has_kid(const struct token *t, const struct uuid *kid);
void token_end(struct token *t);

/* Whether JSON text stays within a depth of arrays and objects, so that no parser is led deep. */
bool json_is_shallow(const char *text, size_t n, unsigned depth);

/* Signs claims with a secret or a private key (for ES256 bytes are the point and behind it the 32
 * bytes of the private key). Returns the token, freed with free(), or NULL. */
char *token_sign(const struct token_key *key, const char *kid, const char *claims);

#endif
