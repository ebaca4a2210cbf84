/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uuid.h"

#include <stddef.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

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
        int high = hex_digit(text[0]);
        int low = high < 0 ? -1 : hex_digit(text[1]);
        if (low < 0)
            return -1;
        u.bytes[i] = (uint8_t)(high << 4 | low);
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
