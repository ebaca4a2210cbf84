/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uuid.h"

#include <stddef.h>
#include <string.h>

/* One more than the value of each hexadecimal digit, 0 for all other characters. A table, since the
 * digits are random: every second branch on one would be predicted wrong. */
static const uint8_t DIGITS[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

static bool hyphen_before(size_t byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

int uuid_parse(const char *text, struct uuid *out)
{
    struct uuid u;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (hyphen_before(i) && *text++ != '-')
            return -1;
        const unsigned high = DIGITS[(unsigned char)text[0]];
        const unsigned low = high == 0 ? 0 : DIGITS[(unsigned char)text[1]];
        if (low == 0)
            return -1;
        u.bytes[i] = (uint8_t)((high - 1) << 4 | (low - 1));
        text += 2;
    }
    if (*text != '\0')
        return -1;
    *out = u;
    return 0;
}

void uuid_format(const struct uuid *u, char out[static UUID_TEXT_SIZE])
{
    static const char HEX[] = "0123456789abcdef";
    char *p = out;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (hyphen_before(i))
            *p++ = '-';
        *p++ = HEX[u->bytes[i] >> 4];
        *p++ = HEX[u->bytes[i] & 15];
    }
    *p = '\0';
}

void uuid_guid_order(const struct uuid *u, uint8_t out[static UUID_BYTES])
{
    static const uint8_t ORDER[UUID_BYTES] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    for (size_t i = 0; i < UUID_BYTES; i++)
        out[i] = u->bytes[ORDER[i]];
}

bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, UUID_BYTES) == 0;
}

int uuid_compare(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, UUID_BYTES);
}
