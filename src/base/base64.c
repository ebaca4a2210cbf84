/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>

size_t base64_encode(const void *bytes, size_t n, char *out)
{
    return (size_t)EVP_EncodeBlock((unsigned char *)out, bytes, (int)n);
}

/* Returns 0xff when lo <= c <= hi and 0 otherwise, without a branch or a table that a cache
 * could tell tales of. */
static unsigned in_range(unsigned c, unsigned lo, unsigned hi)
{
    return (((lo - 1 - c) & (c - hi - 1)) >> 8) & 0xff;
}

/* The six bits of a digit, or -1. */
static int digit(unsigned c)
{
    unsigned value = (in_range(c, 'A', 'Z') & (c - 'A')) |
                     (in_range(c, 'a', 'z') & (c - 'a' + 26U)) |
                     (in_range(c, '0', '9') & (c - '0' + 52U)) | (in_range(c, '+', '+') & 62) |
                     (in_range(c, '/', '/') & 63);
    unsigned known = in_range(c, 'A', 'Z') | in_range(c, 'a', 'z') | in_range(c, '0', '9') |
                     in_range(c, '+', '+') | in_range(c, '/', '/');
    return known != 0 ? (int)(value & 63) : -1;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct decoder {
    unsigned char *out;
    size_t size, len;
    uint32_t bits;
    unsigned digits;  /* of the group at hand, 0 to 3 */
    unsigned padding; /* '=' seen */
};

static int take(struct decoder *d, char c)
{
    if (c == '=') {
        d->padding++;
        return d->digits >= 2 && d->digits + d->padding <= 4 ? 0 : -1;
    }
    int value = digit((unsigned char)c);
    if (value < 0 || d->padding > 0)
        return -1;
    d->bits = d->bits << 6 | (uint32_t)value;
    if (++d->digits < 4)
        return 0;
    if (d->size - d->len < 3)
        return -1;
    d->out[d->len++] = (unsigned char)(d->bits >> 16);
    d->out[d->len++] = (unsigned char)(d->bits >> 8);
    d->out[d->len++] = (unsigned char)d->bits;
    d->digits = 0;
    return 0;
}

static int finish(struct decoder *d)
{
    if (d->digits == 0)
        return d->padding == 0 ? 0 : -1;
    if (d->digits + d->padding != 4 || d->size - d->len < d->digits - 1)
        return -1;
    d->bits <<= 6 * (4 - d->digits);
    d->out[d->len++] = (unsigned char)(d->bits >> 16);
    if (d->digits == 3)
        d->out[d->len++] = (unsigned char)(d->bits >> 8);
    return 0;
}

int base64_decode(const char *text, size_t n, unsigned char *out, size_t size, size_t *len)
{
    struct decoder d = {.out = out, .size = size};
    int result = 0;
    for (size_t i = 0; i < n && result == 0; i++) {
        if (!is_space(text[i]))
            result = take(&d, text[i]);
    }
    if (result == 0)
        result = finish(&d);
    OPENSSL_cleanse(&d.bits, sizeof d.bits);
    if (result != 0) {
        OPENSSL_cleanse(out, d.len);
        return -1;
    }
    *len = d.len;
    return 0;
}
