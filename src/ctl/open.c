/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/open.h"

#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/failure.h"
#include "base/secret.h"
#include "cpix/delivery.h"
#include "ctl/request.h"

enum { RSA_BYTES_MAX = CERTIFICATE_RSA_BITS_MAX / 8 };

/* The keys of one document, on the secure heap, with room for what is on the way to them. */
struct secrets {
    unsigned char document[RSA_BYTES_MAX];
    unsigned char mac[RSA_BYTES_MAX];
    unsigned char plain[DELIVERY_CIPHER_BYTES];
};

/* One call of open_document(). */
struct opening {
    struct cpix_document *doc;
    EVP_PKEY *key;
    struct arena *arena;
    struct secrets *secrets;
    struct opened *out;
    char *why;
    size_t size;
};

static int refuse(const struct opening *o, const char *what, const char *whose)
{
    ERR_clear_error();
    (void)snprintf(o->why, o->size, "%s%s%.60s", what, whose[0] != '\0' ? " of KID " : "", whose);
    return -1;
}

/* --- RSA -------------------------------------------------------------------------------------- */

/* The DeliveryData whose certificate is of the key. */
static struct cpix_delivery *find_delivery(const struct opening *o)
{
    for (size_t i = 0; i < o->doc->delivery_count; i++) {
        struct cpix_delivery *d = &o->doc->deliveries[i];
        const struct certificate *c;
        struct failure f;
        if (d->certificate == NULL || certificate_take(d->certificate, &c, &f) != 0 ||
            EVP_PKEY_eq(X509_get0_pubkey(c->x509), o->key) != 1)
            continue;
        o->out->delivery = i;
        return d;
    }
    return NULL;
}

/* RSA-OAEP with SHA-1 for digest and mask and an empty label (XML Encryption 5.4.2), which are
 * OpenSSL's defaults. out has RSA_BYTES_MAX bytes; the content must have wanted. */
static int unwrap(const struct opening *o, const struct cpix_wrapped *w, unsigned char *out,
                  size_t wanted)
{
    size_t n, len = RSA_BYTES_MAX;
    const char *cipher = w->cipher != NULL ? answer_decode(o->arena, w->cipher, &n) : NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, o->key, NULL);
    const bool ok = cipher != NULL && ctx != NULL && EVP_PKEY_decrypt_init(ctx) == 1 &&
                    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
                    EVP_PKEY_decrypt(ctx, out, &len, (const unsigned char *)cipher, n) == 1 &&
                    len == wanted;
    EVP_PKEY_CTX_free(ctx);
    return ok ? 0 : -1;
}

/* --- HMAC and AES ------------------------------------------------------------------------------
 */

/* Verifies the MAC over the decoded bytes of a cipher. */
static int verify(const struct opening *o, const struct cpix_wrapped *w)
{
    size_t n, mac_size;
    unsigned have;
    unsigned char expected[EVP_MAX_MD_SIZE];
    const char *cipher = w->cipher != NULL ? answer_decode(o->arena, w->cipher, &n) : NULL;
    const char *mac = w->mac != NULL ? answer_decode(o->arena, w->mac, &mac_size) : NULL;
    if (cipher == NULL || mac == NULL ||
        HMAC(EVP_sha512(), o->secrets->mac, DELIVERY_MAC_KEY_BYTES, (const unsigned char *)cipher,
             n, expected, &have) == NULL ||
        mac_size != have || !secret_equal(mac, expected, have))
        return -1;
    o->out->macs++;
    return 0;
}

/* The MACs of document key and MAC key are no must for CPIX, yet a wrong one is wrong. */
static int verify_all(const struct opening *o, const struct cpix_delivery *d)
{
    if (d->document_key.mac != NULL && verify(o, &d->document_key) != 0)
        return refuse(o, "the ValueMAC of the document key is wrong", "");
    if (d->mac_key.mac != NULL && verify(o, &d->mac_key) != 0)
        return refuse(o, "the ValueMAC of the MAC key is wrong", "");
    for (size_t i = 0; i < o->doc->key_count; i++) {
        const struct cpix_content_key *key = &o->doc->keys[i];
        const char *kid = key->kid_text != NULL ? key->kid_text : "(none)";
        if (key->encrypted.cipher == NULL)
            return refuse(o, "no EncryptedValue came for the key", kid);
        if (key->encrypted.mac == NULL)
            return refuse(o, "no ValueMAC came for the key", kid);
        if (verify(o, &key->encrypted) != 0)
            return refuse(o, "the ValueMAC is wrong for the key", kid);
    }
    return 0;
}

/* The first 16 bytes of the cipher are the IV. */
static int decrypt(const struct opening *o, EVP_CIPHER_CTX *ctx, const char *text,
                   unsigned char *out)
{
    size_t n;
    int len = 0, rest = 0;
    const unsigned char *bytes = (const unsigned char *)answer_decode(o->arena, text, &n);
    if (bytes == NULL || n != DELIVERY_CIPHER_BYTES ||
        EVP_DecryptInit_ex(ctx, EVP_aes_256_cbc(), NULL, o->secrets->document, bytes) != 1 ||
        EVP_DecryptUpdate(ctx, o->secrets->plain, &len, bytes + CPIX_IV_BYTES,
                          (int)n - CPIX_IV_BYTES) != 1 ||
        EVP_DecryptFinal_ex(ctx, o->secrets->plain + len, &rest) != 1 ||
        len + rest != CPIX_KEY_BYTES)
        return -1;
    memcpy(out, o->secrets->plain, CPIX_KEY_BYTES);
    return 0;
}

static int decrypt_all(const struct opening *o)
{
    const size_t count = o->doc->key_count;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    o->out->size = (count + 1) * CPIX_KEY_BYTES;
    o->out->keys = secret_alloc(o->out->size);
    int result = ctx != NULL && o->out->keys != NULL ? 0 : refuse(o, "out of memory", "");
    for (size_t i = 0; i < count && result == 0; i++) {
        struct cpix_content_key *key = &o->doc->keys[i];
        unsigned char *value = o->out->keys + i * CPIX_KEY_BYTES;
        if (decrypt(o, ctx, key->encrypted.cipher, value) == 0)
            key->key = value;
        else
            result = refuse(o, "the cipher holds no key of 16 bytes for the key",
                            key->kid_text != NULL ? key->kid_text : "(none)");
    }
    EVP_CIPHER_CTX_free(ctx); /* wipes the key schedule */
    return result;
}

static int open_all(const struct opening *o)
{
    if (o->doc->delivery_count == 0)
        return refuse(o, "the document has no DeliveryData", "");
    const struct cpix_delivery *d = find_delivery(o);
    if (d == NULL)
        return refuse(o, "no DeliveryData is for this private key", "");
    if (unwrap(o, &d->document_key, o->secrets->document, DELIVERY_DOCUMENT_KEY_BYTES) != 0)
        return refuse(o, "DocumentKey holds no key of 32 bytes for this private key", "");
    if (unwrap(o, &d->mac_key, o->secrets->mac, DELIVERY_MAC_KEY_BYTES) != 0)
        return refuse(o, "MACMethod holds no key of 64 bytes for this private key", "");
    return verify_all(o, d) == 0 ? decrypt_all(o) : -1;
}

int open_document(struct cpix_document *doc, EVP_PKEY *key, struct arena *arena, struct opened *out,
                  char *why, size_t size)
{
    struct opening o = {.doc = doc,
                        .key = key,
                        .arena = arena,
                        .secrets = secret_alloc(sizeof *o.secrets),
                        .out = out,
                        .why = why,
                        .size = size};
    *out = (struct opened){0};
    const int result = o.secrets != NULL ? open_all(&o) : refuse(&o, "the secure heap is full", "");
    secret_free(o.secrets, sizeof *o.secrets);
    if (result != 0)
        opened_free(out, doc);
    return result;
}

void opened_free(struct opened *o, struct cpix_document *doc)
{
    for (size_t i = 0; i < doc->key_count && o->keys != NULL; i++)
        doc->keys[i].key = NULL;
    secret_free(o->keys, o->size);
    *o = (struct opened){0};
}
