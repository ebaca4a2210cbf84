/* SPDX-License-Identifier: Apache-2.0 */
#include "drm/text.h"

#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"

void text_put_hex(struct buf *b, const unsigned char *bytes, size_t n)
{
    static const char HEX[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        const char digits[2] = {HEX[bytes[i] >> 4], HEX[bytes[i] & 15]};
        buf_put(b, digits, sizeof digits);
    }
}

static void put_json_escape(struct buf *b, unsigned char c)
{
    static const char NAMED[] = "\"\\\b\f\n\r\t";
    static const char NAMES[] = "\"\\bfnrt";
    const char *named = strchr(NAMED, c);
    if (named != NULL) {
        buf_putc(b, '\\');
        buf_putc(b, NAMES[named - NAMED]);
    } else {
        buf_puts(b, "\\u00");
        text_put_hex(b, &c, 1);
    }
}

static bool needs_json_escape(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

void text_put_json(struct buf *b, const char *text)
{
    buf_putc(b, '"');
    for (;;) {
        size_t plain = 0;
        while (!needs_json_escape((unsigned char)text[plain]))
            plain++;
        buf_put(b, text, plain);
        if (text[plain] == '\0')
            break;
        put_json_escape(b, (unsigned char)text[plain]);
        text += plain + 1;
    }
    buf_putc(b, '"');
}

/* The code point of a well-formed character of 1 to 4 bytes. */
static uint32_t code_point(const unsigned char *p, size_t n)
{
    uint32_t c = n == 1 ? p[0] : p[0] & (0xffU >> (n + 1));
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3fU);
    return c;
}

/* C0, DEL and C1. */
static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

static unsigned char *write_le16(unsigned char *out, uint32_t unit)
{
    *out++ = (unsigned char)unit;
    *out++ = (unsigned char)(unit >> 8);
    return out;
}

int text_put_utf16le(struct buf *b, const char *text, size_t n)
{
    /* No character takes more than twice the bytes that it has in UTF-8. */
    unsigned char *const room = n > SIZE_MAX / 2 ? NULL : buf_room(b, 2 * n);
    unsigned char *out = room;
    if (room == NULL) {
        b->failed = true;
        return 0;
    }
    const unsigned char *p = (const unsigned char *)text;
    const unsigned char *const end = p + n;
    while (p < end) {
        if (*p >= 0x20 && *p < 0x7f) { /* nearly all of a header */
            out = write_le16(out, *p++);
            continue;
        }
        const size_t len = utf8_length(p, (size_t)(end - p));
        if (len == 0)
            return -1;
        const uint32_t c = code_point(p, len);
        if (is_control(c) || c == 0xfffe || c == 0xffff)
            return -1;
        if (c >= 0x10000) {
            out = write_le16(out, 0xd800 + ((c - 0x10000) >> 10));
            out = write_le16(out, 0xdc00 + ((c - 0x10000) & 0x3ff));
        } else {
            out = write_le16(out, c);
        }
        p += len;
    }
    b->len += (size_t)(out - room);
    return 0;
}

bool text_quotable(const unsigned char *text, size_t n)
{
    if (utf8_valid_prefix(text, n) != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        /* In UTF-8 the characters U+0080 to U+009F begin with C2. */
        const uint32_t c = text[i] == 0xc2 ? text[i + 1] : text[i] >= 0x80 ? 0xa0 : text[i];
        if (is_control(c) || c == '"')
            return false;
    }
    return true;
}
