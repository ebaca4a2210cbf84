/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the character at s, 1 to 4; 0 when n bytes from s on do not begin with well-formed
 * UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). Reads no byte after
 * one that cannot belong to the character, so that a zero-terminated text needs no length: any n
 * of at least 4 will do. */
size_t utf8_length(const void *s, size_t n);
/* Offset of the first byte that is not part of well-formed UTF-8 or is zero; size when there is
 * none. */
size_t utf8_valid_prefix(const void *text, size_t size);
/* Whether the character at s, of n bytes as utf8_length() gave, is a control character: U+0000 to
 * U+001F and U+007F to U+009F. */
bool utf8_is_control(const void *s, size_t n);

#endif
