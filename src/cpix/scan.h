/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused before an XML parser sees it, because refusing is cheap and parsing is not. */
#ifndef CPIX_SCAN_H
#define CPIX_SCAN_H

#include <stddef.h>

struct cpix_limits;
struct failure;

/* Looks at the bytes of a document once: they must be UTF-8 without a zero byte, say so if they
 * declare an encoding, hold no DOCTYPE or other declaration, and keep to the limits of markup and
 * of attributes in one element. libxml2 compares each attribute of an element with each other one,
 * so that 100 000 of them would cost seconds. Returns 0, or -1 with the failure set: 400, or 422
 * for a limit. Well-formedness is left to the parser. */
int cpix_scan(const char *text, size_t size, const struct cpix_limits *limits, struct failure *f);

#endif
