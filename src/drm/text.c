/* SPDX-License-Identifier: Apache-2.0 */
#include "drm/text.h"

#include <stdint.h>
#include <string.h>

#include "base/buf.h"

void text_put_hex(struct buf *b, const unsigned char *bytes, size_t n)
{
    static const char HEX[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        const char digits[2] = {HEX[bytes[i] >> 4], HEX[bytes[i] & 15]};
        buf_put(b, digits, sizeof digits);
    }
}

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void text_put_percent(struct buf *b, const char *text)
{
    static const char HEX[] = "0123456789ABCDEF"; /* RFC 3986 section 2.1 prefers upper case */
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        if (is_unreserved(*text)) {
            buf_putc(b, *text);
        } else {
            const char escape[3] = {'%', HEX[c >> 4], HEX[c & 15]};
            buf_put(b, escape, sizeof escape);
        }
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

void text_put_json(struct buf *b, const char *text)
{
    buf_putc(b, '"');
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == '"' || c == '\\')
            put_json_escape(b, c);
        else
            buf_putc(b, *text);
    }
    buf_putc(b, '"');
}

/* Reads one character of more than one byte: well-formed UTF-8 (RFC 3629 section 4), the shortest
 * form and no surrogate. Returns its length, 0 when it is no such thing. */
static size_t read_utf8(const unsigned char *p, size_t n, uint32_t *c)
{
    const size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    static const uint32_t LEAST[] = {[2] = 0x80, [3] = 0x800, [4] = 0x10000};
    if (p[0] < 0xc2 || p[0] > 0xf4 || len > n)
        return 0;
    uint32_t v = p[0] & (0xffU >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        v = v << 6 | (p[i] & 0x3fU);
    }
    if (v < LEAST[len] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
        return 0;
    *c = v;
    return len;
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
        uint32_t c = *p;
        const size_t len = c < 0x80 ? 1 : read_utf8(p, (size_t)(end - p), &c);
        const bool control = c < 0x20 && c != '\t' && c != '\n' && c != '\r';
        if (len == 0 || control || c == 0xfffe || c == 0xffff)
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
    for (size_t i = 0; i < n; i++) {
        if (text[i] < 0x20 || text[i] == '"' || text[i] == 0x7f)
            return false;
    }
    return true;
}
