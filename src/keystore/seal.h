/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing a content key, or a secret that tokens are signed with, under a key-encryption key (KEK)
 * with AES-256-GCM (NIST SP 800-38D), bound to the row that it is kept in: a row that was moved or
 * edited does not open (decision D5). Knows no database. */
#ifndef KEYSTORE_SEAL_H
#define KEYSTORE_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/uuid.h"

enum {
    KEK_BYTES = 32,
    KEK_CHECK_BYTES = 16,
    SEAL_KEY_BYTES = 16,   /* of a content key */
    SEAL_NONCE_BYTES = 12, /* must be random and never used twice under one KEK */
    SEAL_TAG_BYTES = 16,
    SEALED_BYTES = SEAL_NONCE_BYTES + SEAL_KEY_BYTES + SEAL_TAG_BYTES,
    TOKEN_SECRET_MIN_BYTES = 32, /* of HS256: no less than its hash has (RFC 7518 section 3.2) */
    TOKEN_SECRET_MAX_BYTES = 64,
    SEALED_TOKEN_MAX_BYTES = SEAL_NONCE_BYTES + TOKEN_SECRET_MAX_BYTES + SEAL_TAG_BYTES
};

/* The row that a sealed key belongs to: the associated data. */
struct seal_row {
    uint32_t tenant_id;
    uint32_t kek_version;
    struct uuid kid;
    const char *scheme; /* at most 255 bytes */
    const char *content_id;
};

/* First 16 bytes of HMAC-SHA256(KEK, "speke-fcgi kek check"): kept in the database, so that a wrong
 * KEK under a right number is found out. Returns 0, or -1 when OpenSSL fails. */
int kek_check(const unsigned char kek[static KEK_BYTES], unsigned char out[static KEK_CHECK_BYTES]);

struct sealer;

/* NULL when memory or OpenSSL's default provider is missing. */
struct sealer *sealer_new(void);
void sealer_free(struct sealer *s);

/* Sets the KEK for what follows. The KEK's key schedule stays in the sealer until sealer_rest().
 * Returns 0, or -1 when OpenSSL fails. */
int sealer_use(struct sealer *s, const unsigned char kek[static KEK_BYTES]);
/* Wipes the key schedule. */
void sealer_rest(struct sealer *s);

/* Seals a content key: nonce, ciphertext and tag go to out. Returns 0, or -1 when OpenSSL fails or
 * the row's scheme or content id is too long. */
int seal_key(struct sealer *s, const struct seal_row *row,
             const unsigned char nonce[static SEAL_NONCE_BYTES],
             const unsigned char key[static SEAL_KEY_BYTES],
             unsigned char out[static SEALED_BYTES]);
/* Opens one into key, which should be on the secure heap. Returns 0, or -1 with the key wiped when
 * it was sealed under another KEK or for another row, or was edited. */
int open_key(struct sealer *s, const struct seal_row *row,
             const unsigned char sealed[static SEALED_BYTES],
             unsigned char key[static SEAL_KEY_BYTES]);

/* The row that a sealed secret of tokens belongs to: the associated data. */
struct seal_token_row {
    uint32_t tenant_id;
    uint32_t kek_version;
    const char *kid; /* at most 255 bytes */
};

/* The same for the secret of a token key, size bytes from TOKEN_SECRET_MIN_BYTES to
 * TOKEN_SECRET_MAX_BYTES; out gets SEAL_NONCE_BYTES and SEAL_TAG_BYTES more. */
int seal_token_secret(struct sealer *s, const struct seal_token_row *row,
                      const unsigned char nonce[static SEAL_NONCE_BYTES],
                      const unsigned char *secret, size_t size,
                      unsigned char out[static SEALED_TOKEN_MAX_BYTES]);
int open_token_secret(struct sealer *s, const struct seal_token_row *row,
                      const unsigned char *sealed, size_t sealed_size,
                      unsigned char secret[static TOKEN_SECRET_MAX_BYTES], size_t *size);

#endif
