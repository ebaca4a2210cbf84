/* SPDX-License-Identifier: Apache-2.0 */
/* What every way of asking for keys has in common, from the client's name to the document: the
 * steps that exchange.c (SPEKE) and fetch.c (packagers that fetch) put together. */
#ifndef EXCHANGE_RUN_H
#define EXCHANGE_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "cpix/cpix.h"
#include "exchange/exchange.h"
#include "exchange/tenant.h"
#include "keystore/keystore.h"

struct certificate;

/* What one request gathers on its way. Made by run_begin(), ended by run_through(). */
struct run {
    struct exchange *x;
    struct exchange_caller caller;
    const void *request; /* of the file whose steps they are */
    void *answer;        /* likewise */
    enum speke_version version;
    const char *version_text;           /* for the audit; NULL while it is not known */
    const struct tenant_config *config; /* of the client's tenant; NULL until it is known */
    long long generation;               /* of that configuration */
    bool stale;                         /* the store has a newer one */
    struct cpix_document doc;
    const struct certificate **recipients; /* one for each DeliveryData; NULL for clear keys */
    struct keystore_slot *slots;           /* one for each ContentKey, in the same order */
    unsigned char *keys;                   /* the key bytes of all slots, in the secure heap */
    size_t keys_size;
};

/* The content id of the document at hand, in the member where its version has it. */
const char *run_content_id(const struct run *r);
/* Who asks, as the key store wants it; the texts are the run's. */
struct keystore_request run_identity(const struct run *r, const char *content_id);

/* A sink for the checks of documents that makes the first fault the failure (its context) and stops
 * there, as the client learns of no other. */
bool run_take_fault(void *context, const struct cpix_fault *fault);

/* The steps. Each returns 0, or -1 with the failure set. */

/* Finds the client's tenant and how it wants to be served. */
int run_identify(struct run *r, struct failure *f);
/* Gets or creates the keys of the document and puts them and their IVs into it. */
int run_acquire(struct run *r, struct failure *f);
/* Signals and, where there are recipients, encrypts the keys. */
int run_fill(struct run *r, struct failure *f);
/* Writes the document. */
int run_write(struct run *r, struct buf *out, struct failure *f);

/* Goes through the steps, a second time when they stood on a configuration that has changed; a
 * refusal goes into the audit. Returns 0, or -1 with *f and an empty *out. Wipes the keys other
 * than in *out and resets the arena. */
int run_through(struct run *r, int (*steps)(struct run *r, struct buf *out, struct failure *f),
                struct buf *out, struct failure *f);
/* Writes the refusal in *f into the audit. Returns -1, with 503 in *f when that failed. */
int run_refuse(struct run *r, struct failure *f);

#endif
