/* SPDX-License-Identifier: Apache-2.0 */
/* Content key encryption: keys that leave encrypted for the recipients whose certificates the
 * request names (DASH-IF CPIX "Document-level encryption"; the shape is SPEKE's). Two steps, as
 * nobody's key is made or opened for a recipient that is then refused. */
#ifndef CPIX_DELIVERY_H
#define CPIX_DELIVERY_H

#include <stdbool.h>
#include <stddef.h>

#include "cpix/certificate.h"
#include "cpix/cpix.h"

struct arena;
struct failure;

/* What a tenant asks of recipients. */
struct delivery_policy {
    int min_rsa_bits;    /* 2048 is SPEKE's rule */
    bool check_validity; /* look at the dates of a certificate */
    bool registered_only;
    /* With registered_only: the SHA-256 fingerprints that may receive, and the CAs (X509_STORE, may
     * be NULL) whose certificates may as well. */
    const struct certificate_fingerprint *fingerprints;
    size_t fingerprint_count;
    X509_STORE *authorities;
    enum cpix_mac_shape mac_shape; /* of MACMethod */
};

/* At least 2048 bits, any certificate, dates not looked at, SPEKE's shape. */
extern const struct delivery_policy DELIVERY_DEFAULT_POLICY;

/* Judges the recipients of a checked document. *recipients gets one certificate for each
 * DeliveryData, in the arena, valid until the next document's. Returns 0, or -1 with the failure
 * set: 422 and one line for a recipient that cannot or may not receive. */
int delivery_accept(const struct cpix_document *doc, const struct delivery_policy *policy,
                    struct arena *arena, const struct certificate ***recipients, struct failure *f);

/* Encrypts all content keys of the document for these recipients with a document key and a MAC key
 * that are made for it alone, and takes the clear ones away (key becomes NULL), so that the writer
 * cannot write them. Returns 0, or -1 with the failure set and no clear key left. */
int delivery_encrypt(struct cpix_document *doc, const struct certificate *const *recipients,
                     enum cpix_mac_shape shape, struct arena *arena, struct failure *f);

/* The cryptography of one content key, for whoever holds the vectors against it: cipher gets the
 * IV (16 bytes), then AES-256-CBC with PKCS #7 padding of key; mac gets HMAC-SHA512 over these.
 * Returns 0 or -1. */
enum {
    DELIVERY_CIPHER_BYTES = 48,
    DELIVERY_MAC_BYTES = 64,
    DELIVERY_DOCUMENT_KEY_BYTES = 32,
    DELIVERY_MAC_KEY_BYTES = 64
};
int delivery_encrypt_key(const unsigned char document_key[static DELIVERY_DOCUMENT_KEY_BYTES],
                         const unsigned char mac_key[static DELIVERY_MAC_KEY_BYTES],
                         const unsigned char iv[static CPIX_IV_BYTES],
                         const unsigned char key[static CPIX_KEY_BYTES],
                         unsigned char cipher[static DELIVERY_CIPHER_BYTES],
                         unsigned char mac[static DELIVERY_MAC_BYTES]);

#endif
