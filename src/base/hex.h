/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal digits. */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stddef.h>

/* The value of a digit in either case, -1 for what is none. */
int hex_digit(char c);
/* Writes n bytes as 2 n lower-case digits and a zero. */
void hex_encode(const unsigned char *bytes, size_t n, char *out);
/* Reads n bytes from the first 2 n characters of a text that may end before. Returns 0, or -1 when
 * these are not all digits. */
int hex_decode(const char *text, unsigned char *out, size_t n);

#endif
