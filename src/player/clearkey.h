/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of W3C Clear Key: "License Request Format" and "License Format" of Encrypted Media
 * Extensions, sections 9.1.3 and 9.1.4. */
#ifndef PLAYER_CLEARKEY_H
#define PLAYER_CLEARKEY_H

#include <stddef.h>

#include "base/uuid.h"

struct buf;
struct failure;
struct keystore_delivery_slot;

enum {
    CLEARKEY_REQUEST_MAX = 16384, /* bytes */
    CLEARKEY_KIDS_MAX = 128       /* KIDs in one request */
};

struct clearkey_request {
    struct uuid kids[CLEARKEY_KIDS_MAX]; /* without repetition */
    size_t count;
    const char *type; /* static text: "temporary" or "persistent-license" */
};

/* Reads a licence request. Returns 0, or -1 with 400 or 413. */
int clearkey_read(struct clearkey_request *r, const void *body, size_t size, struct failure *f);
/* Appends the licence with the keys of those slots that were found. */
void clearkey_write(const struct keystore_delivery_slot *slots, size_t count, const char *type,
                    struct buf *out);

#endif
