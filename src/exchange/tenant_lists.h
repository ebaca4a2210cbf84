/* SPDX-License-Identifier: Apache-2.0 */
/* The settings that are lists of fingerprints and certificates. */
#ifndef EXCHANGE_TENANT_LISTS_H
#define EXCHANGE_TENANT_LISTS_H

#include <openssl/x509.h>
#include <stddef.h>

#include "cpix/certificate.h"

/* Reads 64 hexadecimal digits of either case, which may have colons between the bytes. Returns 0
 * or -1. */
int tenant_fingerprint_parse(const char *text, size_t n,
                             unsigned char out[static CERTIFICATE_FINGERPRINT_BYTES]);
/* Makes a store of the CA certificates in a PEM text. Freed with X509_STORE_free(). NULL with place
 * and fault in why: no certificate, one that does not decode, one that is no CA's. */
X509_STORE *tenant_authorities(const char *pem, char *why, size_t size);

#endif
