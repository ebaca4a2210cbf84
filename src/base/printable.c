/* SPDX-License-Identifier: Apache-2.0 */
#include "base/printable.h"

#include <string.h>

#include "base/utf8.h"

size_t printable(char *out, size_t size, const char *text)
{
    static const char HEX[] = "0123456789abcdef";
    size_t len = 0;
    const unsigned char *s = (const unsigned char *)text;
    while (*s != '\0' && len + 5 < size) {
        const size_t n = utf8_length(s, 4); /* the terminating zero bounds it */
        if (n > 0 && !utf8_is_control(s, n)) {
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
