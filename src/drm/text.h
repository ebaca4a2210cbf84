/* SPDX-License-Identifier: Apache-2.0 */
/* Text in the spellings that URIs, JSON and PlayReady headers want. */
#ifndef DRM_TEXT_H
#define DRM_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* Appends two lower-case hexadecimal digits a byte. */
void text_put_hex(struct buf *b, const unsigned char *bytes, size_t n);
/* Appends text as a JSON string in quotes; what is not ASCII stays UTF-8 (RFC 8259 section 7). */
void text_put_json(struct buf *b, const char *text);
/* Appends n bytes of UTF-8 as UTF-16LE. Returns 0, or -1 when they are no UTF-8 or hold a control
 * character or one that XML 1.0 (section 2.2) does not allow. */
int text_put_utf16le(struct buf *b, const char *text, size_t n);
/* Whether n bytes may stand in a quoted string of a playlist: UTF-8 without a quote and without
 * control characters (RFC 8216 sections 4.1 and 4.2). */
bool text_quotable(const unsigned char *text, size_t n);

#endif
