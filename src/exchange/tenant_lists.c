/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/tenant_lists.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    const char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

int tenant_fingerprint_parse(const char *text, size_t n,
                             unsigned char out[static CERTIFICATE_FINGERPRINT_BYTES])
{
    size_t at = 0;
    for (size_t i = 0; i < CERTIFICATE_FINGERPRINT_BYTES; i++) {
        if (i > 0 && at < n && text[at] == ':')
            at++;
        if (n - at < 2 || digit(text[at]) < 0 || digit(text[at + 1]) < 0)
            return -1;
        out[i] = (unsigned char)(digit(text[at]) << 4 | digit(text[at + 1]));
        at += 2;
    }
    return at == n ? 0 : -1;
}

/* Adds one certificate. Returns 0, or -1 with the fault in why. */
static int add(X509_STORE *store, X509 *certificate, int number, char *why, size_t size)
{
    if (X509_check_ca(certificate) == 0) {
        (void)snprintf(why, size, "certificate %d is no CA's", number);
        return -1;
    }
    if (X509_STORE_add_cert(store, certificate) == 1)
        return 0;
    (void)snprintf(why, size, "certificate %d: out of memory", number);
    return -1;
}

/* Reads certificate after certificate until there is none. Returns how many, or -1. */
static int add_all(X509_STORE *store, BIO *in, char *why, size_t size)
{
    for (int count = 0;; count++) {
        X509 *certificate = PEM_read_bio_X509(in, NULL, NULL, NULL);
        if (certificate == NULL) {
            const bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
            ERR_clear_error();
            if (end)
                return count;
            (void)snprintf(why, size, "certificate %d does not decode", count + 1);
            return -1;
        }
        const int result = add(store, certificate, count + 1, why, size);
        X509_free(certificate);
        if (result != 0)
            return -1;
    }
}

X509_STORE *tenant_authorities(const char *pem, char *why, size_t size)
{
    const size_t n = strlen(pem);
    BIO *in = n > INT_MAX ? NULL : BIO_new_mem_buf(pem, (int)n);
    X509_STORE *store = X509_STORE_new();
    int count = -1;
    if (in == NULL || store == NULL)
        (void)snprintf(why, size, "out of memory");
    else
        count = add_all(store, in, why, size);
    if (count == 0)
        (void)snprintf(why, size, "no certificate in PEM form in it");
    BIO_free(in);
    if (count > 0)
        return store;
    X509_STORE_free(store);
    return NULL;
}
