/* SPDX-License-Identifier: Apache-2.0 */
/* The recipient's side of content key encryption: a private key with its certificate, and the keys
 * of an answer opened with it. */
#ifndef CTL_OPEN_H
#define CTL_OPEN_H

#include <openssl/evp.h>
#include <stddef.h>

struct arena;
struct buf;
struct cpix_document;

struct recipient {
    EVP_PKEY *key;     /* RSA, private */
    char *certificate; /* base64 of DER; NULL when there is none */
};

/* Each returns 0, or -1 with what is wrong in why; *out is freed with recipient_free() either way.
 * OpenSSL keeps the secret numbers of the key on the secure heap. */

/* Makes an RSA key of 2048 bits and a certificate for it that is valid for a day. */
int recipient_make(struct recipient *out, char *why, size_t size);
/* Reads PEM files. The certificate is the first of its file and must be that of the key;
 * certificate_path may be NULL. OpenSSL asks on the terminal for the passphrase of the key. */
int recipient_load(struct recipient *out, const char *key_path, const char *certificate_path,
                   char *why, size_t size);
/* The first certificate of a PEM file as base64 of DER, freed with free(); NULL when it has put
 * what is wrong into why. */
char *recipient_certificate(const char *path, char *why, size_t size);
void recipient_free(struct recipient *r);

/* What opening a document has shown. */
struct opened {
    unsigned char *keys; /* on the secure heap; the keys of the document point into it */
    size_t size;
    size_t delivery; /* index of the DeliveryData that is the recipient's */
    size_t macs;     /* that were verified */
};

/* Opens all content keys of a document that was read: finds the DeliveryData whose certificate is
 * of the key, unwraps document key and MAC key (RSA-OAEP with SHA-1), verifies every ValueMAC
 * (HMAC-SHA-512, compared in constant time), that of each content key being a must, and only then
 * decrypts (AES-256-CBC) and sets ContentKey.key. Returns 0, or -1 with what is wrong in why and
 * no key set. *out is freed with opened_free() either way. */
int open_document(struct cpix_document *doc, EVP_PKEY *key, struct arena *arena, struct opened *out,
                  char *why, size_t size);
/* Wipes the keys and takes them from the document. */
void opened_free(struct opened *o, struct cpix_document *doc);

#endif
