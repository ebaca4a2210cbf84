/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stddef.h>

/* Bytes for the base64 text of n bytes and its terminating zero. */
#define BASE64_SIZE(n) (((n) + 2) / 3 * 4 + 1)

/* Writes n bytes (at most 2^29) as canonical base64 with padding on one line, and a terminating
 * zero: BASE64_SIZE(n) bytes. Returns the length without the zero. */
size_t base64_encode(const void *bytes, size_t n, char *out);

/* Decodes n characters of base64 (RFC 4648 section 4) into at most size bytes and sets *len.
 * White space is skipped and surplus bits of the last character are ignored, as values of both
 * kinds are in use; anything else, missing padding included, is refused. The time taken does not
 * depend on the values, since keys come this way. Returns 0, or -1 when the text is no base64
 * or does not fit; the bytes written so far are wiped then. */
int base64_decode(const char *text, size_t n, unsigned char *out, size_t size, size_t *len);

/* The same for base64url without padding (RFC 4648 section 5), as JWT and JWK have it. Writes
 * BASE64_SIZE(n) bytes at most. */
size_t base64url_encode(const void *bytes, size_t n, char *out);
/* Takes nothing but the one text that base64url_encode() makes: no padding, no white space, no
 * surplus bits. */
int base64url_decode(const char *text, size_t n, unsigned char *out, size_t size, size_t *len);

#endif
