/* SPDX-License-Identifier: Apache-2.0 */
#include "base/printable.h"

#include <string.h>

/* Length of a valid UTF-8 sequence above ASCII at s (RFC 3629), 0 when it is none. */
static size_t utf8_length(const unsigned char *s)
{
    size_t n;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        n = 2;
    else if (s[0] >= 0xe0 && s[0] <= 0xef)
        n = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4)
        n = 4;
    else
        return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    /* U+0080 to U+009F are control characters too. */
    return n == 2 && s[0] == 0xc2 && s[1] < 0xa0 ? 0 : n;
}

size_t printable(char *out, size_t size, const char *text)
{
    static const char HEX[] = "0123456789abcdef";
    size_t len = 0;
    const unsigned char *s = (const unsigned char *)text;
    while (*s != '\0' && len + 5 < size) {
        size_t n = *s >= 0x20 && *s < 0x7f ? 1 : *s >= 0x80 ? utf8_length(s) : 0;
        if (n > 0) {
            memcpy(out + len, s, n);
            len += n;
            s += n;
            continue;
        }
        out[len++] = '\\';
        out[len++] = 'x';
        out[len++] = HEX[*s >> 4];
        out[len++] = HEX[*s & 15];
        s++;
    }
    out[len] = '\0';
    return len;
}
