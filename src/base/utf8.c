/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

/* Bytes that a sequence with this first byte has, 0 when no sequence begins with it. */
static size_t announced(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf)
        return 2;
    if (first >= 0xe0 && first <= 0xef)
        return 3;
    return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

size_t utf8_length(const void *s, size_t n)
{
    const unsigned char *b = s;
    const size_t length = n > 0 ? announced(b[0]) : 0;
    if (length > n)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((b[i] & 0xc0) != 0x80)
            return 0;
    }
    if (length > 2 && ((b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xed && b[1] > 0x9f) ||
                       (b[0] == 0xf0 && b[1] < 0x90) || (b[0] == 0xf4 && b[1] > 0x8f)))
        return 0;
    return length;
}

/* Whether eight bytes are ASCII without a zero byte: the usual case, and worth eight tests. */
static bool plain_word(const unsigned char *s)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t high_bits = UINT64_C(0x8080808080808080);
    uint64_t word;
    memcpy(&word, s, sizeof word);
    return ((word | (word - ones)) & high_bits) == 0;
}

size_t utf8_valid_prefix(const void *text, size_t size)
{
    const unsigned char *s = text;
    size_t at = 0;
    while (at < size) {
        if (size - at >= sizeof(uint64_t) && plain_word(s + at)) {
            at += sizeof(uint64_t);
            continue;
        }
        const size_t n = s[at] == '\0' ? 0 : utf8_length(s + at, size - at);
        if (n == 0)
            break;
        at += n;
    }
    return at;
}

bool utf8_is_control(const void *s, size_t n)
{
    const unsigned char *b = s;
    if (n == 1)
        return b[0] < 0x20 || b[0] == 0x7f;
    return n == 2 && b[0] == 0xc2 && b[1] < 0xa0;
}
