/* SPDX-License-Identifier: Apache-2.0 */
/* Where key bytes live: OpenSSL's secure heap, which is locked into memory, left out of cores and
 * wiped when freed. Each process makes its own after fork(), as a lock does not survive one. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

struct failure;

/* Forbids core dumps and tracing by other processes of the same user, and makes a secure heap of
 * size bytes (a power of two). A heap that could not be locked (RLIMIT_MEMLOCK) is logged and
 * used. Returns 0, or -1 with the failure set when there is no heap at all. */
int secret_setup(size_t size, struct failure *f);
/* n zeroed bytes in the secure heap; NULL when it is full. Freed with secret_free(). */
void *secret_alloc(size_t n);
/* Wipes n bytes and gives them back. NULL is allowed. */
void secret_free(void *p, size_t n);
/* Wipes n bytes that are not on the secure heap, in a way no compiler leaves out. */
void secret_wipe(void *p, size_t n);
/* Compares in time that depends on n alone. */
bool secret_equal(const void *a, const void *b, size_t n);

#endif
