/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of XML that are no documents: what base64 elements of CPIX carry. */
#ifndef CPIX_FRAGMENT_H
#define CPIX_FRAGMENT_H

#include <stddef.h>

/* Judges whether a text is well-formed XML elements, with all their namespaces declared in it and
 * without a declaration or DOCTYPE; with root, one element of that local name. cpix_setup() must
 * have been called. Returns 0, or -1 with place and fault in why. */
int cpix_fragment_check(const char *text, const char *root, char *why, size_t size);

#endif
