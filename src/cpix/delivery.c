/* SPDX-License-Identifier: Apache-2.0 */
#include "cpix/delivery.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/x509_vfy.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/failure.h"
#include "base/secret.h"

const struct delivery_policy DELIVERY_DEFAULT_POLICY = {
    .min_rsa_bits = 2048,
    .mac_shape = CPIX_MAC_SHAPE_SPEKE,
};

/* --- Judging recipients --------------------------------------------------------------------- */

static bool has_fingerprint(const struct delivery_policy *policy, const struct certificate *c)
{
    for (size_t i = 0; i < policy->fingerprint_count; i++) {
        if (memcmp(&policy->fingerprints[i], &c->fingerprint, sizeof c->fingerprint) == 0)
            return true;
    }
    return false;
}

/* Whether the certificate chains to one of the tenant's CAs. Its purpose is not looked at:
 * certificates for this are made for TLS servers, clients, or nothing in particular. */
static bool has_authority(const struct delivery_policy *policy, const struct certificate *c)
{
    if (policy->authorities == NULL)
        return false;
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    bool chained = ctx != NULL && X509_STORE_CTX_init(ctx, policy->authorities, c->x509, NULL) == 1;
    if (chained && !policy->check_validity)
        X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_NO_CHECK_TIME);
    chained = chained && X509_verify_cert(ctx) == 1;
    X509_STORE_CTX_free(ctx);
    ERR_clear_error();
    return chained;
}

static int judge(const struct certificate *c, const struct delivery_policy *policy,
                 struct failure *f)
{
    if (c->bits < policy->min_rsa_bits)
        return fail(f, 422, "X509Certificate has an RSA key of %d bits, less than %d", c->bits,
                    policy->min_rsa_bits);
    const int validity = policy->check_validity ? certificate_validity(c, time(NULL)) : 0;
    if (validity != 0)
        return fail(f, 422, "X509Certificate %s",
                    validity < 0 ? "is not valid yet" : "has expired");
    if (policy->registered_only && !has_fingerprint(policy, c) && !has_authority(policy, c))
        return fail(f, 422, "X509Certificate is of no registered recipient");
    return 0;
}

static int accept_one(const struct cpix_delivery *d, const struct delivery_policy *policy,
                      const struct certificate **recipient, struct failure *f)
{
    if (d->certificate == NULL)
        return fail(f, 422, "DeliveryData has no X509Certificate");
    if (certificate_take(d->certificate, recipient, f) != 0)
        return -1;
    return judge(*recipient, policy, f);
}

int delivery_accept(const struct cpix_document *doc, const struct delivery_policy *policy,
                    struct arena *arena, const struct certificate ***recipients, struct failure *f)
{
    _Static_assert((int)CPIX_RECIPIENTS_MOST < (int)CERTIFICATES_KEPT,
                   "a document's certificates are kept");
    if (doc->delivery_count > CPIX_RECIPIENTS_MOST)
        return fail(f, 422, "More than %d DeliveryData elements", CPIX_RECIPIENTS_MOST);
    /* An array of pointers, whatever it looks like. NOLINTNEXTLINE(bugprone-sizeof-expression) */
    *recipients = arena_array(arena, doc->delivery_count, sizeof **recipients);
    if (*recipients == NULL)
        return fail_memory(f);
    for (size_t i = 0; i < doc->delivery_count; i++) {
        const struct cpix_delivery *d = &doc->deliveries[i];
        const struct certificate **c = &(*recipients)[i];
        if (accept_one(d, policy, c, f) != 0)
            return fail_because(f, "DeliveryDataList/DeliveryData[%zu], line %d%s%s%s", i + 1,
                                d->line, *c != NULL ? ", subject \"" : "",
                                *c != NULL ? (*c)->subject : "", *c != NULL ? "\"" : "");
    }
    return 0;
}

/* --- Encrypting ----------------------------------------------------------------------------- */

/* What one document is encrypted with; both keys on the secure heap. */
struct document_keys {
    unsigned char document[DELIVERY_DOCUMENT_KEY_BYTES];
    unsigned char mac[DELIVERY_MAC_KEY_BYTES];
};

/* Algorithms are fetched once a process, as a fetch costs more than what it is for. */
static EVP_CIPHER *cbc;
static EVP_CIPHER_CTX *cipher_context;
static EVP_MAC_CTX *mac_context;

static EVP_MAC_CTX *new_mac_context(void)
{
    char digest[] = "SHA512";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_end()};
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    EVP_MAC_CTX *ctx = hmac == NULL ? NULL : EVP_MAC_CTX_new(hmac);
    EVP_MAC_free(hmac); /* the context keeps its own reference */
    if (ctx != NULL && EVP_MAC_CTX_set_params(ctx, params) == 1)
        return ctx;
    EVP_MAC_CTX_free(ctx);
    return NULL;
}

static int set_up(void)
{
    if (mac_context != NULL)
        return 0;
    if (cbc == NULL)
        cbc = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (cipher_context == NULL)
        cipher_context = EVP_CIPHER_CTX_new();
    if (cbc != NULL && cipher_context != NULL)
        mac_context = new_mac_context();
    return mac_context != NULL ? 0 : -1;
}

static int begin_macs(const unsigned char *key)
{
    return EVP_MAC_init(mac_context, key, DELIVERY_MAC_KEY_BYTES, NULL) == 1 ? 0 : -1;
}

/* HMAC-SHA512 with the key of begin_macs(). */
static int put_mac(const unsigned char *bytes, size_t n, unsigned char *out)
{
    size_t length;
    return EVP_MAC_init(mac_context, NULL, 0, NULL) == 1 &&
                   EVP_MAC_update(mac_context, bytes, n) == 1 &&
                   EVP_MAC_final(mac_context, out, &length, DELIVERY_MAC_BYTES) == 1 &&
                   length == DELIVERY_MAC_BYTES
               ? 0
               : -1;
}

static int put_cipher(const unsigned char *document_key, const unsigned char *iv,
                      const unsigned char *key, unsigned char *out)
{
    int n, rest;
    memcpy(out, iv, CPIX_IV_BYTES);
    return EVP_EncryptInit_ex2(cipher_context, cbc, document_key, iv, NULL) == 1 &&
                   EVP_EncryptUpdate(cipher_context, out + CPIX_IV_BYTES, &n, key,
                                     CPIX_KEY_BYTES) == 1 &&
                   EVP_EncryptFinal_ex(cipher_context, out + CPIX_IV_BYTES + n, &rest) == 1 &&
                   CPIX_IV_BYTES + n + rest == DELIVERY_CIPHER_BYTES
               ? 0
               : -1;
}

/* Leaves no key schedule behind. */
static void forget_keys(void)
{
    static const unsigned char nothing[DELIVERY_MAC_KEY_BYTES];
    (void)EVP_CIPHER_CTX_reset(cipher_context); /* always 1 */
    /* OpenSSL wipes the former key when it takes another; a failure leaves what was. */
    if (begin_macs(nothing) != 0) {
        EVP_MAC_CTX_free(mac_context);
        mac_context = NULL;
    }
}

int delivery_encrypt_key(const unsigned char document_key[static DELIVERY_DOCUMENT_KEY_BYTES],
                         const unsigned char mac_key[static DELIVERY_MAC_KEY_BYTES],
                         const unsigned char iv[static CPIX_IV_BYTES],
                         const unsigned char key[static CPIX_KEY_BYTES],
                         unsigned char cipher[static DELIVERY_CIPHER_BYTES],
                         unsigned char mac[static DELIVERY_MAC_BYTES])
{
    if (set_up() != 0)
        return -1;
    const int result = begin_macs(mac_key) == 0 && put_cipher(document_key, iv, key, cipher) == 0
                           ? put_mac(cipher, DELIVERY_CIPHER_BYTES, mac)
                           : -1;
    forget_keys();
    return result;
}

static const char *base64_text(const unsigned char *bytes, size_t n, struct arena *arena)
{
    char *text = arena_alloc(arena, BASE64_SIZE(n));
    if (text != NULL)
        (void)base64_encode(bytes, n, text); /* the length is known */
    return text;
}

/* cipher of n bytes and its MAC as the texts that are written. */
static int take_wrapped(struct cpix_wrapped *w, const unsigned char *cipher, size_t n,
                        struct arena *arena, struct failure *f)
{
    unsigned char mac[DELIVERY_MAC_BYTES];
    if (put_mac(cipher, n, mac) != 0)
        return fail_internal(f, "HMAC-SHA512 failed");
    w->cipher = base64_text(cipher, n, arena);
    w->mac = base64_text(mac, sizeof mac, arena);
    return w->cipher != NULL && w->mac != NULL ? 0 : fail_memory(f);
}

static int wrap_for(struct cpix_delivery *d, const struct certificate *c,
                    const struct document_keys *keys, struct arena *arena, struct failure *f)
{
    unsigned char cipher[CERTIFICATE_RSA_BITS_MAX / 8];
    if (certificate_encrypt(c, keys->document, sizeof keys->document, cipher, f) != 0 ||
        take_wrapped(&d->document_key, cipher, c->modulus_bytes, arena, f) != 0 ||
        certificate_encrypt(c, keys->mac, sizeof keys->mac, cipher, f) != 0)
        return -1;
    return take_wrapped(&d->mac_key, cipher, c->modulus_bytes, arena, f);
}

static int encrypt_all(struct cpix_document *doc, const struct certificate *const *recipients,
                       const struct document_keys *keys, struct arena *arena, struct failure *f)
{
    unsigned char *ivs = arena_array(arena, doc->key_count, CPIX_IV_BYTES);
    if (ivs == NULL)
        return fail_memory(f);
    if (RAND_bytes(ivs, (int)(doc->key_count * CPIX_IV_BYTES)) != 1 || set_up() != 0 ||
        begin_macs(keys->mac) != 0)
        return fail_internal(f, "content key encryption could not begin");
    for (size_t i = 0; i < doc->delivery_count; i++) {
        if (wrap_for(&doc->deliveries[i], recipients[i], keys, arena, f) != 0)
            return -1;
    }
    for (size_t i = 0; i < doc->key_count; i++) {
        unsigned char cipher[DELIVERY_CIPHER_BYTES];
        if (put_cipher(keys->document, ivs + i * CPIX_IV_BYTES, doc->keys[i].key, cipher) != 0)
            return fail_internal(f, "AES-256-CBC failed");
        if (take_wrapped(&doc->keys[i].encrypted, cipher, sizeof cipher, arena, f) != 0)
            return -1;
    }
    return 0;
}

int delivery_encrypt(struct cpix_document *doc, const struct certificate *const *recipients,
                     enum cpix_mac_shape shape, struct arena *arena, struct failure *f)
{
    struct document_keys *keys = secret_alloc(sizeof *keys);
    int result;
    if (keys == NULL)
        result = fail_memory(f);
    else if (RAND_priv_bytes((unsigned char *)keys, sizeof *keys) != 1)
        result = fail_internal(f, "no random bytes");
    else
        result = encrypt_all(doc, recipients, keys, arena, f);
    if (mac_context != NULL)
        forget_keys();
    secret_free(keys, sizeof *keys);
    for (size_t i = 0; i < doc->key_count; i++)
        doc->keys[i].key = NULL;
    doc->mac_shape = shape;
    return result;
}
