/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer with a hard maximum. Whatever it lets go of is wiped first, since an
 * answer that holds clear keys is built in one. Appending never returns an error: the first
 * failure sticks, and whoever hands the bytes on asks buf_ok() once. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    unsigned char *data; /* NULL until the first append */
    size_t len;          /* bytes in use */
    size_t cap;          /* bytes allocated */
    size_t max;          /* len never passes this */
    bool failed;         /* an append did not fit or memory ran out */
};

/* Starts an empty buffer that refuses to hold more than max bytes. */
void buf_init(struct buf *b, size_t max);
/* Wipes and frees; the buffer is empty afterwards and keeps its maximum. NULL is allowed. */
void buf_free(struct buf *b);
/* Wipes the contents and clears a failure; the allocation is kept for the next use. */
void buf_clear(struct buf *b);
/* True when every append so far was kept whole. */
bool buf_ok(const struct buf *b);

/* Makes room for n more bytes and returns where they go, NULL when they do not fit. The caller
 * writes at most n bytes there and then adds what it wrote to len. */
unsigned char *buf_room(struct buf *b, size_t n);
void buf_put(struct buf *b, const void *bytes, size_t n);
void buf_puts(struct buf *b, const char *text);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_be32(struct buf *b, uint32_t v);
void buf_put_le16(struct buf *b, uint16_t v);
void buf_put_le32(struct buf *b, uint32_t v);
/* Appends n bytes as canonical base64 with padding, on one line (RFC 4648 section 4). */
void buf_put_base64(struct buf *b, const void *bytes, size_t n);
/* Appends text with the five XML characters escaped, and TAB, LF and CR as character references,
 * so that it reads back the same from an attribute (XML 1.0 section 3.3.3). */
void buf_put_xml(struct buf *b, const char *text);
/* Appends text with all but the unreserved characters percent-encoded (RFC 3986 section 2.3), so
 * that it stays one segment of a path. */
void buf_put_percent(struct buf *b, const char *text);

#endif
