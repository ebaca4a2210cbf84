/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/secret.h"

enum { FIRST_ALLOCATION = 1024 };

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_free(struct buf *b)
{
    if (b == NULL)
        return;
    if (b->data != NULL) {
        secret_wipe(b->data, b->cap);
        free(b->data);
    }
    buf_init(b, b->max);
}

void buf_clear(struct buf *b)
{
    if (b->data != NULL)
        secret_wipe(b->data, b->len);
    b->len = 0;
    b->failed = false;
}

bool buf_ok(const struct buf *b)
{
    return !b->failed;
}

/* Allocates more, so that n more bytes fit. realloc() could leave a copy behind, so a larger block
 * is made and the old one is wiped. A block has one byte more than cap, for the zero that
 * formatting and encoding put behind their text. */
__attribute__((cold, noinline)) static bool grow(struct buf *b, size_t n)
{
    if (n > b->max - b->len)
        return false;
    size_t cap = b->cap > 0 ? b->cap : b->max < FIRST_ALLOCATION ? b->max : FIRST_ALLOCATION;
    while (cap < b->len + n)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    unsigned char *data = cap < SIZE_MAX ? malloc(cap + 1) : NULL;
    if (data == NULL)
        return false;
    if (b->data != NULL) {
        memcpy(data, b->data, b->len);
        secret_wipe(b->data, b->cap);
        free(b->data);
    }
    b->data = data;
    b->cap = cap;
    return true;
}

unsigned char *buf_room(struct buf *b, size_t n)
{
    /* Nearly always there is room, and this is called thousands of times for an answer. */
    if (!b->failed && b->data != NULL && n <= b->cap - b->len)
        return b->data + b->len;
    if (b->failed || !grow(b, n)) {
        b->failed = true;
        return NULL;
    }
    return b->data + b->len;
}

void buf_put(struct buf *b, const void *bytes, size_t n)
{
    unsigned char *room = buf_room(b, n);
    if (room == NULL || n == 0)
        return;
    memcpy(room, bytes, n);
    b->len += n;
}

void buf_puts(struct buf *b, const char *text)
{
    buf_put(b, text, strlen(text));
}

void buf_putc(struct buf *b, char c)
{
    buf_put(b, &c, 1);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) {
        b->failed = true;
        return;
    }
    unsigned char *room = buf_room(b, (size_t)n);
    if (room == NULL)
        return;
    va_start(args, format);
    int written = vsnprintf((char *)room, (size_t)n + 1, format, args);
    va_end(args);
    if (written != n)
        b->failed = true;
    else
        b->len += (size_t)n;
}

void buf_put_u8(struct buf *b, uint8_t v)
{
    buf_put(b, &v, 1);
}

void buf_put_be32(struct buf *b, uint32_t v)
{
    const uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
                              (uint8_t)v};
    buf_put(b, bytes, sizeof bytes);
}

void buf_put_le16(struct buf *b, uint16_t v)
{
    const uint8_t bytes[2] = {(uint8_t)v, (uint8_t)(v >> 8)};
    buf_put(b, bytes, sizeof bytes);
}

void buf_put_le32(struct buf *b, uint32_t v)
{
    const uint8_t bytes[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
                              (uint8_t)(v >> 24)};
    buf_put(b, bytes, sizeof bytes);
}

void buf_put_base64(struct buf *b, const void *bytes, size_t n)
{
    /* More would not fit into what base64_encode() takes. */
    enum { LARGEST = 1 << 29 };
    if (n > LARGEST) {
        b->failed = true;
        return;
    }
    unsigned char *room = buf_room(b, BASE64_SIZE(n) - 1);
    if (room != NULL)
        b->len += base64_encode(bytes, n, (char *)room);
}

static const char *xml_escape(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    case '\t':
        return "&#9;";
    case '\n':
        return "&#10;";
    case '\r':
        return "&#13;";
    default:
        return NULL;
    }
}

void buf_put_xml(struct buf *b, const char *text)
{
    for (;;) {
        size_t plain = strcspn(text, "&<>\"'\t\n\r");
        buf_put(b, text, plain);
        if (text[plain] == '\0')
            return;
        buf_puts(b, xml_escape(text[plain]));
        text += plain + 1;
    }
}

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void buf_put_percent(struct buf *b, const char *text)
{
    static const char HEX[] = "0123456789ABCDEF"; /* RFC 3986 section 2.1 prefers upper case */
    for (;;) {
        size_t plain = 0;
        while (is_unreserved(text[plain]))
            plain++;
        buf_put(b, text, plain);
        const unsigned char c = (unsigned char)text[plain];
        if (c == '\0')
            return;
        const char escape[3] = {'%', HEX[c >> 4], HEX[c & 15]};
        buf_put(b, escape, sizeof escape);
        text += plain + 1;
    }
}
