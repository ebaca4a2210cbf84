/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#ifdef __x86_64__
#include <tmmintrin.h>
#endif

#include "base/secret.h"

#ifdef __x86_64__
/* Encodes as many groups of 12 bytes as it can and returns how many bytes that were. Most of what
 * an answer costs beside XML is its base64, and this takes a fifth of EVP_EncodeBlock()'s time. It
 * reads no table in memory that a cache could tell tales of. W. Mula, D. Lemire: "Faster Base64
 * Encoding and Decoding Using AVX2 Instructions", ACM Transactions on the Web 12 (2018). */
__attribute__((target("ssse3"))) static size_t encode_groups(const unsigned char *in, size_t n,
                                                             char *out)
{
    const __m128i spread = _mm_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10);
    /* What to add to a value to get its digit, by the ranges a-z, 0-9 (ten times), +, / and A-Z. */
    const __m128i shifts = _mm_setr_epi8(71, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -19, -16, 65,
                                         0, 0);
    size_t done = 0;
    /* Each step loads 16 bytes and uses 12. */
    for (; n - done >= 16; done += 12, out += 16) {
        const __m128i bytes = _mm_loadu_si128((const void *)(in + done));
        /* Three bytes to a lane of 32 bits, and from there one value of six bits to a byte. */
        const __m128i lanes = _mm_shuffle_epi8(bytes, spread);
        const __m128i even = _mm_mulhi_epu16(_mm_and_si128(lanes, _mm_set1_epi32(0x0fc0fc00)),
                                             _mm_set1_epi32(0x04000040));
        const __m128i odd = _mm_mullo_epi16(_mm_and_si128(lanes, _mm_set1_epi32(0x003f03f0)),
                                            _mm_set1_epi32(0x01000010));
        const __m128i values = _mm_or_si128(even, odd);
        /* The range of each: 0 for a-z and A-Z, 1 to 12 above, then 13 for A-Z. */
        const __m128i above = _mm_subs_epu8(values, _mm_set1_epi8(51));
        const __m128i capital = _mm_cmpgt_epi8(_mm_set1_epi8(26), values);
        const __m128i range = _mm_or_si128(above, _mm_and_si128(capital, _mm_set1_epi8(13)));
        _mm_storeu_si128((void *)out, _mm_add_epi8(values, _mm_shuffle_epi8(shifts, range)));
    }
    return done;
}
#endif

size_t base64_encode(const void *bytes, size_t n, char *out)
{
    const unsigned char *in = bytes;
    size_t done = 0;
#ifdef __x86_64__
    if (n >= 16 && __builtin_cpu_supports("ssse3")) {
        done = encode_groups(in, n, out);
        in += done;
        out += done / 3 * 4;
    }
#endif
    return done / 3 * 4 + (size_t)EVP_EncodeBlock((unsigned char *)out, in, (int)(n - done));
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
    secret_wipe(&d.bits, sizeof d.bits);
    if (result != 0) {
        secret_wipe(out, d.len);
        return -1;
    }
    *len = d.len;
    return 0;
}

size_t base64url_encode(const void *bytes, size_t n, char *out)
{
    size_t length = base64_encode(bytes, n, out);
    while (length > 0 && out[length - 1] == '=')
        length--;
    out[length] = '\0';
    for (size_t i = 0; i < length; i++) {
        if (out[i] == '+')
            out[i] = '-';
        else if (out[i] == '/')
            out[i] = '_';
    }
    return length;
}

/* The value of a character of base64url, -1 for any other. */
static int url_digit(char c)
{
    if (c == '-')
        return digit('+');
    if (c == '_')
        return digit('/');
    return c == '+' || c == '/' ? -1 : digit((unsigned char)c);
}

int base64url_decode(const char *text, size_t n, unsigned char *out, size_t size, size_t *len)
{
    unsigned bits = 0;
    unsigned count = 0;
    *len = 0;
    for (size_t i = 0; i < n; i++) {
        const int value = url_digit(text[i]);
        if (value < 0 || (count >= 2 && *len == size))
            break;
        bits = (bits << 6 | (unsigned)value) & 0x3fff;
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[(*len)++] = (unsigned char)(bits >> count);
        }
        if (i + 1 == n && count < 6 && (bits & ((1U << count) - 1)) == 0)
            return 0;
    }
    if (n == 0)
        return 0;
    secret_wipe(out, *len);
    *len = 0;
    return -1;
}
