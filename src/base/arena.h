/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that lives as long as one request: many small allocations, one reset. Nothing in it is
 * secret by rule (keys live in the secure heap, base/secret.h), yet a reset wipes it. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used;                /* bytes handed out since the last reset, padding included */
    size_t max;                 /* used never passes this */
};

void arena_init(struct arena *a, size_t max);
/* n zeroed bytes aligned for any type, NULL when the maximum or memory is reached. Freed by
 * arena_reset() or arena_free(). */
void *arena_alloc(struct arena *a, size_t n);
/* count elements of size bytes each, zeroed; the product is checked. */
void *arena_array(struct arena *a, size_t count, size_t size);
/* A copy of n bytes of text with a terminating zero. */
char *arena_strndup(struct arena *a, const char *text, size_t n);
/* Wipes and takes everything back; one block is kept for the next request. */
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

#endif
