/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/seal.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

/* With its terminating zero, so that no other label begins with it. */
static const char LABEL[] = "speke-fcgi content key 1";
static const char TOKEN_LABEL[] = "speke-fcgi token key 1";
static const char CHECK_LABEL[] = "speke-fcgi kek check";

enum { SCHEME_MAX_BYTES = 255, TOKEN_KID_MAX_BYTES = 255, SEAL = 1, OPEN = 0 };

struct sealer {
    EVP_CIPHER *cipher; /* fetched once: a fetch costs more than sealing does */
    EVP_CIPHER_CTX *context;
};

int kek_check(const unsigned char kek[static KEK_BYTES], unsigned char out[static KEK_CHECK_BYTES])
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    if (HMAC(EVP_sha256(), kek, KEK_BYTES, (const unsigned char *)CHECK_LABEL,
             sizeof CHECK_LABEL - 1, mac, &n) == NULL ||
        n < KEK_CHECK_BYTES)
        return -1;
    memcpy(out, mac, KEK_CHECK_BYTES);
    return 0;
}

struct sealer *sealer_new(void)
{
    struct sealer *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    s->context = EVP_CIPHER_CTX_new();
    if (s->cipher == NULL || s->context == NULL) {
        sealer_free(s);
        return NULL;
    }
    return s;
}

void sealer_free(struct sealer *s)
{
    if (s == NULL)
        return;
    EVP_CIPHER_CTX_free(s->context);
    EVP_CIPHER_free(s->cipher);
    free(s);
}

int sealer_use(struct sealer *s, const unsigned char kek[static KEK_BYTES])
{
    return EVP_CipherInit_ex2(s->context, s->cipher, kek, NULL, SEAL, NULL) == 1 ? 0 : -1;
}

void sealer_rest(struct sealer *s)
{
    /* OpenSSL clears what it frees here. It fails for no context alone. */
    (void)EVP_CIPHER_CTX_reset(s->context);
}

static unsigned char *put_be32(unsigned char *p, uint32_t v)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        *p++ = (unsigned char)(v >> shift);
    return p;
}

static unsigned char *put_bytes(unsigned char *p, const void *bytes, size_t n)
{
    memcpy(p, bytes, n);
    return p + n;
}

/* Begins one key: the nonce, then the associated data, in which each text goes after its length. */
static int begin(const struct sealer *s, const struct seal_row *row, const unsigned char *nonce,
                 int direction)
{
    unsigned char head[sizeof LABEL + 3 * sizeof(uint32_t) + UUID_BYTES + 1 + SCHEME_MAX_BYTES];
    const size_t scheme = strlen(row->scheme);
    const size_t content = strlen(row->content_id);
    if (scheme > SCHEME_MAX_BYTES || content > INT_MAX)
        return -1;
    unsigned char *p = put_bytes(head, LABEL, sizeof LABEL);
    p = put_be32(p, row->tenant_id);
    p = put_be32(p, row->kek_version);
    p = put_bytes(p, row->kid.bytes, UUID_BYTES);
    *p++ = (unsigned char)scheme;
    p = put_bytes(p, row->scheme, scheme);
    p = put_be32(p, (uint32_t)content);
    int n;
    if (EVP_CipherInit_ex2(s->context, NULL, NULL, nonce, direction, NULL) != 1 ||
        EVP_CipherUpdate(s->context, NULL, &n, head, (int)(p - head)) != 1 ||
        EVP_CipherUpdate(s->context, NULL, &n, (const unsigned char *)row->content_id,
                         (int)content) != 1)
        return -1;
    return 0;
}

/* Seals n bytes after begin(). */
static int seal_bytes(const struct sealer *s, const unsigned char *plain, size_t size,
                      unsigned char *encrypted)
{
    unsigned char *tag = encrypted + size;
    int n, rest;
    if (EVP_CipherUpdate(s->context, encrypted, &n, plain, (int)size) != 1 ||
        EVP_CipherFinal_ex(s->context, tag, &rest) != 1 || (size_t)n + (size_t)rest != size ||
        EVP_CIPHER_CTX_ctrl(s->context, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_BYTES, tag) != 1)
        return -1;
    return 0;
}

/* Opens n bytes after begin(). */
static int open_bytes(const struct sealer *s, const unsigned char *encrypted, size_t size,
                      unsigned char *plain)
{
    unsigned char tag[SEAL_TAG_BYTES]; /* OpenSSL wants it writable */
    unsigned char nothing[EVP_MAX_BLOCK_LENGTH];
    int n, rest;
    memcpy(tag, encrypted + size, SEAL_TAG_BYTES);
    if (EVP_CipherUpdate(s->context, plain, &n, encrypted, (int)size) != 1 ||
        EVP_CIPHER_CTX_ctrl(s->context, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_BYTES, tag) != 1 ||
        EVP_CipherFinal_ex(s->context, nothing, &rest) != 1 || (size_t)n + (size_t)rest != size)
        return -1;
    return 0;
}

int seal_key(struct sealer *s, const struct seal_row *row,
             const unsigned char nonce[static SEAL_NONCE_BYTES],
             const unsigned char key[static SEAL_KEY_BYTES], unsigned char out[static SEALED_BYTES])
{
    unsigned char *encrypted = put_bytes(out, nonce, SEAL_NONCE_BYTES);
    return begin(s, row, nonce, SEAL) == 0 ? seal_bytes(s, key, SEAL_KEY_BYTES, encrypted) : -1;
}

int open_key(struct sealer *s, const struct seal_row *row,
             const unsigned char sealed[static SEALED_BYTES],
             unsigned char key[static SEAL_KEY_BYTES])
{
    if (begin(s, row, sealed, OPEN) == 0 &&
        open_bytes(s, sealed + SEAL_NONCE_BYTES, SEAL_KEY_BYTES, key) == 0)
        return 0;
    secret_wipe(key, SEAL_KEY_BYTES);
    return -1;
}

/* --- secrets that tokens are signed with ---------------------------------------------------- */

static int begin_token(const struct sealer *s, const struct seal_token_row *row,
                       const unsigned char *nonce, int direction)
{
    unsigned char head[sizeof TOKEN_LABEL + 2 * sizeof(uint32_t) + 1 + TOKEN_KID_MAX_BYTES];
    const size_t kid = strlen(row->kid);
    int n;
    if (kid > TOKEN_KID_MAX_BYTES)
        return -1;
    unsigned char *p = put_bytes(head, TOKEN_LABEL, sizeof TOKEN_LABEL);
    p = put_be32(p, row->tenant_id);
    p = put_be32(p, row->kek_version);
    *p++ = (unsigned char)kid;
    p = put_bytes(p, row->kid, kid);
    if (EVP_CipherInit_ex2(s->context, NULL, NULL, nonce, direction, NULL) != 1 ||
        EVP_CipherUpdate(s->context, NULL, &n, head, (int)(p - head)) != 1)
        return -1;
    return 0;
}

int seal_token_secret(struct sealer *s, const struct seal_token_row *row,
                      const unsigned char nonce[static SEAL_NONCE_BYTES],
                      const unsigned char *secret, size_t size,
                      unsigned char out[static SEALED_TOKEN_MAX_BYTES])
{
    unsigned char *encrypted = put_bytes(out, nonce, SEAL_NONCE_BYTES);
    if (size < TOKEN_SECRET_MIN_BYTES || size > TOKEN_SECRET_MAX_BYTES ||
        begin_token(s, row, nonce, SEAL) != 0)
        return -1;
    return seal_bytes(s, secret, size, encrypted);
}

int open_token_secret(struct sealer *s, const struct seal_token_row *row,
                      const unsigned char *sealed, size_t sealed_size,
                      unsigned char secret[static TOKEN_SECRET_MAX_BYTES], size_t *size)
{
    const size_t around = SEAL_NONCE_BYTES + SEAL_TAG_BYTES;
    if (sealed_size < around + TOKEN_SECRET_MIN_BYTES ||
        sealed_size > around + TOKEN_SECRET_MAX_BYTES)
        return -1;
    *size = sealed_size - around;
    if (begin_token(s, row, sealed, OPEN) == 0 &&
        open_bytes(s, sealed + SEAL_NONCE_BYTES, *size, secret) == 0)
        return 0;
    secret_wipe(secret, *size);
    return -1;
}
