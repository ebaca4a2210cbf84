/* SPDX-License-Identifier: Apache-2.0 */
/* The CPIX document of an export: the keys of one content, with the periods that name them. */
#ifndef CTL_KEY_DOCUMENT_H
#define CTL_KEY_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/uuid.h"
#include "cpix/cpix.h"

struct buf;
struct failure;

/* As many keys and about as many periods as other readers of CPIX take, too. */
enum { DOCUMENT_KEYS_MAX = 1000 };

/* A key that leaves. */
struct exported_key {
    const char *content_id, *scheme;
    struct uuid kid;
    const unsigned char *iv, *value; /* 16 bytes each, the value in the secure heap */
    const json_t *periods;           /* objects with the attributes of each; NULL for none */
};

struct key_document {
    char **recipients; /* certificates, base64 of DER; none: the keys go out in the clear */
    size_t recipient_count;
    struct cpix_document doc; /* no key in it: nothing has been added */
    const char **period_ids;  /* of its periods as they were, NULL for none */
    struct arena arena;
    unsigned char *values; /* of the keys, in the secure heap */
};

/* Returns 0, or -1 when memory ran out; ended with key_document_end() either way. */
int key_document_begin(struct key_document *d);
void key_document_end(struct key_document *d);
/* Whether a key still belongs into the document. */
bool key_document_takes(const struct key_document *d, const struct exported_key *key);
/* Returns 0, or -1 when memory ran out. */
int key_document_add(struct key_document *d, const struct exported_key *key);
/* Encrypts the keys for the recipients, appends the document to out and begins a new one. Returns
 * 0, or -1 with the failure set. */
int key_document_write(struct key_document *d, struct buf *out, struct failure *f);

#endif
