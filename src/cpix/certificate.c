/* SPDX-License-Identifier: Apache-2.0 */
#include "cpix/certificate.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/failure.h"

static struct certificate cache[CERTIFICATES_KEPT];
static size_t cached, oldest;

static void drop(struct certificate *c)
{
    free(c->text);
    EVP_PKEY_CTX_free(c->encryption);
    X509_free(c->x509);
    *c = (struct certificate){0};
}

void certificate_forget_all(void)
{
    for (size_t i = 0; i < cached; i++)
        drop(&cache[i]);
    cached = 0;
    oldest = 0;
}

static int write_subject(const X509 *x509, char *out, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int n = -1;
    if (bio != NULL &&
        X509_NAME_print_ex(bio, X509_get_subject_name(x509), 0, XN_FLAG_RFC2253) >= 0)
        n = BIO_read(bio, out, (int)size - 1);
    BIO_free_all(bio);
    /* A subject without a name gives nothing to read. */
    out[n > 0 ? n : 0] = '\0';
    return bio == NULL ? -1 : 0;
}

/* CPIX wraps keys with the defaults of rsa-oaep-mgf1p (XML Encryption 5.4.2): SHA-1 for the digest
 * and the mask, and an empty label. */
static EVP_PKEY_CTX *make_encryption(EVP_PKEY *key)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    if (ctx != NULL && EVP_PKEY_encrypt_init(ctx) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
        EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha1()) == 1 &&
        EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha1()) == 1)
        return ctx;
    EVP_PKEY_CTX_free(ctx);
    return NULL;
}

static int refuse(struct failure *f, const char *text)
{
    ERR_clear_error();
    return fail(f, 422, "%s", text);
}

/* Whether the numbers can be those of an RSA key, as far as a look tells: OpenSSL reads any, fails
 * with an even modulus, and with an exponent of 1 "encrypts" to the very same number. Then whether
 * OpenSSL takes them: it has limits of its own. */
static bool is_usable(const struct certificate *c, EVP_PKEY *key)
{
    static const unsigned char PROBE[CERTIFICATE_FINGERPRINT_BYTES];
    unsigned char out[CERTIFICATE_RSA_BITS_MAX / 8];
    size_t size = c->modulus_bytes;
    BIGNUM *modulus = NULL, *exponent = NULL;
    const bool fits = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &modulus) == 1 &&
                      EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 &&
                      BN_is_odd(modulus) && BN_is_odd(exponent) && !BN_is_one(exponent);
    BN_free(modulus);
    BN_free(exponent);
    return fits && EVP_PKEY_encrypt(c->encryption, out, &size, PROBE, sizeof PROBE) == 1 &&
           size == c->modulus_bytes;
}

static int take_key(struct certificate *c, struct failure *f)
{
    EVP_PKEY *key = X509_get0_pubkey(c->x509);
    if (key == NULL || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
        return refuse(f, "X509Certificate has no RSA key");
    c->bits = EVP_PKEY_get_bits(key);
    const int size = EVP_PKEY_get_size(key);
    if (c->bits <= 0 || c->bits > CERTIFICATE_RSA_BITS_MAX || size <= 0)
        return refuse(f, "X509Certificate has an RSA key that is too large");
    c->modulus_bytes = (size_t)size;
    c->encryption = make_encryption(key);
    if (c->encryption == NULL || !is_usable(c, key))
        return refuse(f, "X509Certificate has no usable RSA key");
    return 0;
}

static int parse(const unsigned char *der, size_t n, struct certificate *c, struct failure *f)
{
    const unsigned char *end = der;
    c->x509 = d2i_X509(NULL, &end, (long)n);
    if (c->x509 == NULL || end != der + n)
        return refuse(f, "X509Certificate is no DER certificate");
    if (write_subject(c->x509, c->subject, sizeof c->subject) != 0)
        return fail_memory(f);
    return take_key(c, f);
}

static struct certificate *find(const struct certificate_fingerprint *fingerprint)
{
    for (size_t i = 0; i < cached; i++) {
        if (memcmp(&cache[i].fingerprint, fingerprint, sizeof *fingerprint) == 0)
            return &cache[i];
    }
    return NULL;
}

/* A packager sends the same text each time. To compare it takes a tenth of the time of decoding it
 * and computing the fingerprint. */
static const struct certificate *find_text(const char *text)
{
    for (size_t i = 0; i < cached; i++) {
        if (cache[i].text != NULL && strcmp(cache[i].text, text) == 0)
            return &cache[i];
    }
    return NULL;
}

/* Without the text, when memory is short, it is found by its fingerprint. */
static void remember_text(struct certificate *c, const char *text)
{
    free(c->text);
    c->text = strdup(text);
}

static struct certificate *keep(const struct certificate *c)
{
    struct certificate *place = &cache[oldest];
    if (cached < CERTIFICATES_KEPT)
        cached++;
    else
        drop(place);
    *place = *c;
    oldest = (oldest + 1) % CERTIFICATES_KEPT;
    return place;
}

/* Finds or parses what is not known by its text. */
static int take_text(const char *text, const struct certificate **out, struct failure *f)
{
    unsigned char der[CERTIFICATE_DER_MAX];
    struct certificate c = {0};
    size_t n;
    if (strlen(text) > 2 * sizeof der)
        return refuse(f, "X509Certificate is too large");
    if (base64_decode(text, strlen(text), der, sizeof der, &n) != 0 || n == 0)
        return refuse(f, "X509Certificate is not base64 of a DER certificate");
    if (EVP_Digest(der, n, c.fingerprint.bytes, NULL, EVP_sha256(), NULL) != 1)
        return fail_memory(f);
    struct certificate *found = find(&c.fingerprint);
    if (found == NULL) {
        if (parse(der, n, &c, f) != 0) {
            drop(&c);
            return -1;
        }
        found = keep(&c);
    }
    remember_text(found, text);
    *out = found;
    return 0;
}

int certificate_take(const char *text, const struct certificate **out, struct failure *f)
{
    const struct certificate *known = find_text(text);
    if (known == NULL)
        return take_text(text, out, f);
    *out = known;
    return 0;
}

int certificate_validity(const struct certificate *c, time_t at)
{
    if (X509_cmp_time(X509_get0_notBefore(c->x509), &at) > 0)
        return -1;
    return X509_cmp_time(X509_get0_notAfter(c->x509), &at) < 0 ? 1 : 0;
}

int certificate_encrypt(const struct certificate *c, const unsigned char *bytes, size_t n,
                        unsigned char *out, struct failure *f)
{
    size_t size = c->modulus_bytes;
    if (EVP_PKEY_encrypt(c->encryption, out, &size, bytes, n) == 1 && size == c->modulus_bytes)
        return 0;
    ERR_clear_error();
    return fail_internal(f, "RSA-OAEP to certificate \"%s\" failed", c->subject);
}
