/* SPDX-License-Identifier: Apache-2.0 */
/* What the database keeps of a document besides the keys: systems, periods, recipients. */
#ifndef EXCHANGE_DETAILS_H
#define EXCHANGE_DETAILS_H

#include <stddef.h>

struct arena;
struct certificate;
struct cpix_document;
struct failure;
struct keystore_details;

/* Gathers them from a checked document into *details; recipients are the certificates of its
 * DeliveryData elements, NULL when there is none. Everything is in the arena or the document.
 * Returns 0, or -1 with the failure set (memory). */
int details_gather(const struct cpix_document *doc, const struct certificate *const *recipients,
                   struct arena *arena, struct keystore_details *details, struct failure *f);

#endif
