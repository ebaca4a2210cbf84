/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 against the vectors of RFC 4648 section 10 and against OpenSSL, at every length around the
 * steps in which it is encoded. */
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"

enum { LONGEST = 300, CANARY = 0x7e };

static void encodes_and_decodes_the_vectors(void **state)
{
    static const struct {
        const char *bytes, *text;
    } vectors[] = {{"", ""},
                   {"f", "Zg=="},
                   {"fo", "Zm8="},
                   {"foo", "Zm9v"},
                   {"foob", "Zm9vYg=="},
                   {"fooba", "Zm9vYmE="},
                   {"foobar", "Zm9vYmFy"}};
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        char text[16];
        unsigned char bytes[16];
        size_t len;
        assert_int_equal(base64_encode(vectors[i].bytes, strlen(vectors[i].bytes), text),
                         strlen(vectors[i].text));
        assert_string_equal(text, vectors[i].text); /* which prints the two */
        assert_int_equal(base64_decode(text, strlen(text), bytes, sizeof bytes, &len), 0);
        assert_int_equal(len, strlen(vectors[i].bytes));
        assert_memory_equal(bytes, vectors[i].bytes, len);
    }
}

/* Bytes in blocks of exactly their size, so that a sanitizer sees a read or write beyond. */
static void check_encoding(const unsigned char *from, size_t n)
{
    unsigned char *bytes = malloc(n > 0 ? n : 1);
    char *text = malloc(BASE64_SIZE(n) + 1);
    unsigned char expected[BASE64_SIZE(LONGEST)];
    unsigned char back[LONGEST];
    size_t len;
    assert_non_null(bytes);
    assert_non_null(text);
    memcpy(bytes, from, n);
    text[BASE64_SIZE(n)] = CANARY;
    const int size = EVP_EncodeBlock(expected, bytes, (int)n);
    if (base64_encode(bytes, n, text) != (size_t)size || strcmp(text, (char *)expected) != 0 ||
        text[BASE64_SIZE(n)] != CANARY)
        fail_msg("%zu bytes: %s is encoded as %s", n, expected, text);
    if (base64_decode(text, (size_t)size, back, sizeof back, &len) != 0 || len != n ||
        memcmp(back, bytes, n) != 0)
        fail_msg("%zu bytes: %s is not decoded", n, text);
    free(text);
    free(bytes);
}

static void encodes_every_length_as_openssl_does(void **state)
{
    unsigned char bytes[LONGEST];
    uint32_t random = 1;
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        random = random * 1664525 + 1013904223;
        bytes[i] = (unsigned char)(random >> 24);
    }
    for (size_t n = 0; n <= LONGEST; n++) {
        check_encoding(bytes, n);
    }
}

/* All values of six bits, in each of the sixteen places of a step. */
static void encodes_every_digit_in_every_place(void **state)
{
    (void)state;
    for (unsigned value = 0; value < 64; value++) {
        for (unsigned place = 0; place < 16; place++) {
            unsigned char bytes[24] = {0};
            for (unsigned bit = 0; bit < 6; bit++) {
                const unsigned at = place * 6 + bit;
                bytes[at / 8] |= (unsigned char)((value >> (5 - bit) & 1) << (7 - at % 8));
            }
            check_encoding(bytes, sizeof bytes);
        }
    }
}

/* Values that are in use though they are not canonical: AWS's examples have surplus bits, XML has
 * blanks and line ends. */
static void decodes_what_is_in_use(void **state)
{
    (void)state;
    static const struct {
        const char *text, *bytes;
        size_t n;
    } cases[] = {
        {"L6jzdXrXAFbCJGBuMrrKrG==",
         "\x2f\xa8\xf3\x75\x7a\xd7\x00\x56\xc2\x24\x60\x6e\x32\xba\xca\xac", 16},
        {"h3toSFIlyAYpfXVQ795m6x==",
         "\x87\x7b\x68\x48\x52\x25\xc8\x06\x29\x7d\x75\x50\xef\xde\x66\xeb", 16},
        {" Zm\t9v\r\nYg = = \n", "foob", 4},
        {"Zh==", "f", 1},
        {"Zm9=", "fo", 2},
        {"  ", "", 0},
        {"+/+/", "\xfb\xff\xbf", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned char bytes[16];
        size_t len;
        if (base64_decode(cases[i].text, strlen(cases[i].text), bytes, sizeof bytes, &len) != 0)
            fail_msg("\"%s\" is refused", cases[i].text);
        assert_int_equal(len, cases[i].n);
        assert_memory_equal(bytes, cases[i].bytes, len);
    }
}

static void refuses_what_is_no_base64(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "A",     "AA",   "AAA",    "AAAAA",    "AA=",      "A===", "====",    "=",    "AAAA=",
        "AA==A", "AA=A", "AAA=A=", "AAAA====", "AA==AA==", "AA-_", "AA,A",    "AA.A", "AA\vA",
        "AAA@",  "AAA[", "AAA`",   "AAA{",     "AAA\xff",  "AAA:", "AAA/\x80"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        unsigned char bytes[16];
        size_t len = CANARY;
        if (base64_decode(texts[i], strlen(texts[i]), bytes, sizeof bytes, &len) == 0)
            fail_msg("\"%s\" is taken", texts[i]);
        assert_int_equal(len, CANARY);
    }
}

static void decodes_into_the_room_there_is(void **state)
{
    (void)state;
    static const char text[] = "Zm9vYmFy"; /* six bytes */
    for (size_t size = 0; size <= 6; size++) {
        unsigned char bytes[7];
        size_t len = 0;
        memset(bytes, CANARY, sizeof bytes);
        assert_int_equal(base64_decode(text, strlen(text), bytes, size, &len), size < 6 ? -1 : 0);
        assert_int_equal(bytes[size], CANARY);
        /* Nothing of a key that did not fit stays. */
        for (size_t i = 0; size < 6 && i < size; i++)
            assert_true(bytes[i] == 0 || bytes[i] == CANARY);
    }
    unsigned char one;
    size_t len;
    assert_int_equal(base64_decode("Zg==", 4, &one, 1, &len), 0);
    assert_int_equal(base64_decode("Zm8=", 4, &one, 1, &len), -1);
    assert_int_equal(base64_decode("Zg==", 4, &one, 0, &len), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_and_decodes_the_vectors),
        cmocka_unit_test(encodes_every_length_as_openssl_does),
        cmocka_unit_test(encodes_every_digit_in_every_place),
        cmocka_unit_test(decodes_what_is_in_use),
        cmocka_unit_test(refuses_what_is_no_base64),
        cmocka_unit_test(decodes_into_the_room_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
