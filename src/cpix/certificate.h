/* SPDX-License-Identifier: Apache-2.0 */
/* Recipients' certificates: taken from base64 text, judged, and kept ready for encryption in a
 * bounded cache, since parsing one costs more than encrypting to it. */
#ifndef CPIX_CERTIFICATE_H
#define CPIX_CERTIFICATE_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <time.h>

struct failure;

enum {
    CERTIFICATE_FINGERPRINT_BYTES = 32, /* SHA-256 of the DER bytes */
    CERTIFICATE_DER_MAX = 16 * 1024,
    CERTIFICATE_SUBJECT_SIZE = 256,
    CERTIFICATE_RSA_BITS_MAX = 8192,
    CERTIFICATES_KEPT = 64
};

struct certificate_fingerprint {
    unsigned char bytes[CERTIFICATE_FINGERPRINT_BYTES];
};

struct certificate {
    struct certificate_fingerprint fingerprint;
    char *text;                             /* that it was taken from last */
    char subject[CERTIFICATE_SUBJECT_SIZE]; /* RFC 2253, cut when it is longer */
    X509 *x509;
    EVP_PKEY_CTX *encryption; /* ready for EVP_PKEY_encrypt(): RSA-OAEP with SHA-1, empty label */
    int bits;                 /* of the modulus */
    size_t modulus_bytes;     /* length of what the encryption gives */
};

/* Finds the certificate that the text of X509Certificate holds (base64 of DER, blanks allowed). It
 * belongs to the cache and is valid until CERTIFICATES_KEPT others have been taken, so a document
 * must have fewer recipients than that. Returns 0, or -1 with 422 for what is no certificate, has
 * no RSA key, one above CERTIFICATE_RSA_BITS_MAX, or one that cannot be encrypted to. */
int certificate_take(const char *text, const struct certificate **out, struct failure *f);
/* -1 when it is not valid yet at that time, 1 when it has expired, else 0. */
int certificate_validity(const struct certificate *c, time_t at);
/* Encrypts n bytes to the certificate's key. *out has room for c->modulus_bytes, which is what is
 * written. Returns 0, or -1 with the failure set. */
int certificate_encrypt(const struct certificate *c, const unsigned char *bytes, size_t n,
                        unsigned char *out, struct failure *f);
/* Frees what the cache holds; for tests that look for leaks. */
void certificate_forget_all(void);

#endif
