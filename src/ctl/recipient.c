/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/buf.h"
#include "ctl/file.h"
#include "ctl/open.h"

enum { RSA_BITS = 2048, VALID_SECONDS = 86400, PEM_MAX = 256 * 1024, PIECE_OF_FILE = 16384 };

static int refuse(char *why, size_t size, const char *name, const char *text)
{
    ERR_clear_error();
    (void)snprintf(why, size, "%s%s%s", name, name[0] != '\0' ? ": " : "", text);
    return -1;
}

static char *certificate_text(const X509 *x509)
{
    unsigned char *der = NULL;
    const int n = i2d_X509(x509, &der);
    char *text = n > 0 ? malloc(BASE64_SIZE((size_t)n)) : NULL;
    if (text != NULL)
        (void)base64_encode(der, (size_t)n, text); /* the length is known */
    OPENSSL_free(der);
    return text;
}

/* --- Made ------------------------------------------------------------------------------------- */

static bool fill_in(X509 *x509, EVP_PKEY *key)
{
    static const unsigned char NAME[] = "spekectl request";
    X509_NAME *name = X509_get_subject_name(x509);
    return X509_set_version(x509, X509_VERSION_3) == 1 &&
           ASN1_INTEGER_set(X509_get_serialNumber(x509), 1) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(x509), 0) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(x509), VALID_SECONDS) != NULL &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, NAME, -1, -1, 0) == 1 &&
           X509_set_issuer_name(x509, name) == 1 && X509_set_pubkey(x509, key) == 1 &&
           X509_sign(x509, key, EVP_sha256()) > 0;
}

int recipient_make(struct recipient *out, char *why, size_t size)
{
    X509 *x509 = X509_new();
    *out = (struct recipient){.key = EVP_RSA_gen(RSA_BITS)};
    if (x509 != NULL && out->key != NULL && fill_in(x509, out->key))
        out->certificate = certificate_text(x509);
    X509_free(x509);
    return out->certificate != NULL ? 0 : refuse(why, size, "", "no RSA key could be made");
}

/* --- Read ------------------------------------------------------------------------------------- */

/* The whole file behind a BIO that reads from text, which is freed after it. */
static BIO *open_file(const char *path, struct buf *text, char *why, size_t size)
{
    buf_init(text, PEM_MAX + PIECE_OF_FILE);
    if (file_slurp(path, text, why, size) != 0)
        return NULL;
    BIO *bio = BIO_new_mem_buf(text->len > 0 ? (const char *)text->data : "", (int)text->len);
    if (bio == NULL)
        (void)refuse(why, size, path, "out of memory");
    return bio;
}

static int load_key(struct recipient *out, const char *path, char *why, size_t size)
{
    struct buf text;
    int result = -1;
    BIO *bio = open_file(path, &text, why, size);
    if (bio != NULL) {
        out->key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
        if (out->key != NULL && EVP_PKEY_get_base_id(out->key) == EVP_PKEY_RSA)
            result = 0;
        else
            (void)refuse(why, size, path, "no RSA private key in PEM form");
    }
    BIO_free(bio);
    buf_free(&text);
    return result;
}

/* The first certificate of a file; NULL when it has said what is wrong. */
static X509 *read_certificate(const char *path, char *why, size_t size)
{
    struct buf text;
    BIO *bio = open_file(path, &text, why, size);
    X509 *x509 = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    if (bio != NULL && x509 == NULL)
        (void)refuse(why, size, path, "no certificate in PEM form");
    BIO_free(bio);
    buf_free(&text);
    return x509;
}

static int load_certificate(struct recipient *out, const char *path, char *why, size_t size)
{
    int result = -1;
    X509 *x509 = read_certificate(path, why, size);
    if (x509 != NULL && X509_check_private_key(x509, out->key) != 1)
        (void)refuse(why, size, path, "the certificate is not that of the private key");
    else if (x509 != NULL && (out->certificate = certificate_text(x509)) == NULL)
        (void)refuse(why, size, path, "out of memory");
    else if (x509 != NULL)
        result = 0;
    X509_free(x509);
    return result;
}

char *recipient_certificate(const char *path, char *why, size_t size)
{
    X509 *x509 = read_certificate(path, why, size);
    char *text = x509 != NULL ? certificate_text(x509) : NULL;
    if (x509 != NULL && text == NULL)
        (void)refuse(why, size, path, "out of memory");
    X509_free(x509);
    return text;
}

int recipient_load(struct recipient *out, const char *key_path, const char *certificate_path,
                   char *why, size_t size)
{
    *out = (struct recipient){0};
    if (load_key(out, key_path, why, size) != 0)
        return -1;
    return certificate_path == NULL ? 0 : load_certificate(out, certificate_path, why, size);
}

void recipient_free(struct recipient *r)
{
    EVP_PKEY_free(r->key);
    free(r->certificate);
    *r = (struct recipient){0};
}
