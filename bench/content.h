/* SPDX-License-Identifier: Apache-2.0 */
/* The contents that the measuring programs ask for. Content IDs and KIDs follow from two numbers,
 * so that the load generator and the trivial responder mean the same rows without talking. */
#ifndef BENCH_CONTENT_H
#define BENCH_CONTENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/uuid.h"

enum { BENCH_CONTENT_ID_SIZE = 40, BENCH_KEYS_MAX = 100 };

/* Writes the content ID of a run's content and a terminating zero. All are of one length, so that
 * answers are of one size. */
void bench_content_id(uint64_t run, uint64_t content, char out[static BENCH_CONTENT_ID_SIZE]);
/* The KID of key index of that content. */
void bench_kid(uint64_t run, uint64_t content, size_t index, struct uuid *out);

#endif
