/* SPDX-License-Identifier: Apache-2.0 */
/* UUIDs, UTF-8, blanks, what is fit to print, schemes and versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "base/printable.h"
#include "base/scheme.h"
#include "base/trim.h"
#include "base/utf8.h"
#include "base/uuid.h"

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* --- UUID ----------------------------------------------------------------------------------- */

static void uuids_are_read_and_written(void **state)
{
    (void)state;
    static const uint8_t BYTES[UUID_BYTES] = {0x5c, 0x0f, 0x7a, 0x3e, 0x1b, 0x2d, 0x4e, 0x6f,
                                              0x8a, 0x90, 0xb1, 0xc2, 0xd3, 0xe4, 0xf5, 0x06};
    static const uint8_t GUID[UUID_BYTES] = {0x3e, 0x7a, 0x0f, 0x5c, 0x2d, 0x1b, 0x6f, 0x4e,
                                             0x8a, 0x90, 0xb1, 0xc2, 0xd3, 0xe4, 0xf5, 0x06};
    struct uuid u, v;
    char text[UUID_TEXT_SIZE];
    uint8_t guid[UUID_BYTES];
    assert_int_equal(uuid_parse("5C0F7A3E-1b2d-4E6F-8a90-b1c2d3e4f506", &u), 0);
    assert_memory_equal(u.bytes, BYTES, UUID_BYTES);
    uuid_format(&u, text);
    assert_string_equal(text, "5c0f7a3e-1b2d-4e6f-8a90-b1c2d3e4f506");
    uuid_guid_order(&u, guid);
    assert_memory_equal(guid, GUID, UUID_BYTES);
    assert_int_equal(uuid_parse(text, &v), 0);
    assert_true(uuid_equal(&u, &v));
    assert_int_equal(uuid_compare(&u, &v), 0);
    v.bytes[15]++;
    assert_false(uuid_equal(&u, &v));
    assert_true(uuid_compare(&u, &v) < 0);
    v.bytes[0]--;
    assert_true(uuid_compare(&u, &v) > 0);
}

static void what_is_no_uuid_is_refused(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {
        "",
        "5",
        "5c0f7a3e-1b2d-4e6f-8a90-b1c2d3e4f50",
        "5c0f7a3e-1b2d-4e6f-8a90-b1c2d3e4f5066",
        "5c0f7a3e-1b2d-4e6f-8a90-b1c2d3e4f506 ",
        " 5c0f7a3e-1b2d-4e6f-8a90-b1c2d3e4f506",
        "{5c0f7a3e-1b2d-4e6f-8a90-b1c2d3e4f506}",
        "5c0f7a3e1b2d4e6f8a90b1c2d3e4f506",
        "5c0f7a3e-1b2d-4e6f-8a90b-1c2d3e4f506",
        "5c0f7a3g-1b2d-4e6f-8a90-b1c2d3e4f506",
        "5c0f7a3e_1b2d_4e6f_8a90_b1c2d3e4f506",
        "5c0f7a3e-1b2d-4e6f-8a90-",
        "urn:uuid:5c0f7a3e-1b2d-4e6f-8a90-b1c2d3e4f506",
    };
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        struct uuid u;
        memset(&u, 0xa5, sizeof u);
        const struct uuid before = u;
        if (uuid_parse(TEXTS[i], &u) == 0)
            fail_msg("\"%s\" was taken", TEXTS[i]);
        assert_true(uuid_equal(&u, &before));
    }
}

/* --- UTF-8 ---------------------------------------------------------------------------------- */

static const struct {
    const char *bytes;
    size_t length; /* of the character; 0: none */
} CHARACTERS[] = {
    {"a", 1},
    {"\x7f", 1},
    {"\xc2\x80", 2},
    {"\xdf\xbf", 2},
    {"\xe0\xa0\x80", 3},
    {"\xed\x9f\xbf", 3},
    {"\xee\x80\x80", 3},
    {"\xef\xbf\xbf", 3},
    {"\xf0\x90\x80\x80", 4},
    {"\xf4\x8f\xbf\xbf", 4},
    {"\x80", 0},
    {"\xbf", 0},
    {"\xc0\x80", 0}, /* overlong */
    {"\xc1\xbf", 0},
    {"\xe0\x9f\xbf", 0},
    {"\xf0\x8f\xbf\xbf", 0},
    {"\xed\xa0\x80", 0}, /* surrogate */
    {"\xed\xbf\xbf", 0},
    {"\xf4\x90\x80\x80", 0}, /* above U+10FFFF */
    {"\xf5\x80\x80\x80", 0},
    {"\xff", 0},
    {"\xc2", 0}, /* cut */
    {"\xe2\x82", 0},
    {"\xf0\x9f\x98", 0},
    {"\xc2\x41", 0},
    {"\xe2\x28\xa1", 0},
    {"\xf0\x9f\x98\x28", 0},
};

static void characters_have_their_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(CHARACTERS); i++) {
        /* In a block of its own size, so that a sanitizer sees a byte too many. */
        const size_t n = strlen(CHARACTERS[i].bytes);
        char *exact = malloc(n);
        assert_non_null(exact);
        memcpy(exact, CHARACTERS[i].bytes, n);
        const size_t length = utf8_length(exact, n);
        free(exact);
        if (length != CHARACTERS[i].length || utf8_length(CHARACTERS[i].bytes, 4) != length)
            fail_msg("character %zu has length %zu", i, length);
    }
    assert_int_equal(utf8_length("a", 0), 0);
}

static void the_first_bad_byte_is_found_wherever_it_is(void **state)
{
    (void)state;
    static const char *const BAD[] = {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xe2\x82"};
    for (size_t before = 0; before < 40; before++) {
        for (size_t kind = 0; kind <= COUNT(BAD); kind++) {
            char text[64];
            memset(text, 'a', sizeof text);
            if (before % 3 == 0)
                memcpy(text + before / 2, "ü", before >= 4 ? 2 : 0);
            const size_t n = kind < COUNT(BAD) ? strlen(BAD[kind]) : 1;
            memcpy(text + before, kind < COUNT(BAD) ? BAD[kind] : "\0", n);
            if (utf8_valid_prefix(text, sizeof text) != before)
                fail_msg("kind %zu behind %zu bytes: %zu", kind, before,
                         utf8_valid_prefix(text, sizeof text));
            assert_int_equal(utf8_valid_prefix(text, before), before);
        }
    }
    assert_int_equal(utf8_valid_prefix("", 0), 0);
}

static void control_characters_are_known(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        bool control;
    } CASES[] = {{"\x01", true},      {"\n", true},           {"\x1f", true},
                 {" ", false},        {"~", false},           {"\x7f", true},
                 {"\xc2\x80", true},  {"\xc2\x9f", true},     {"\xc2\xa0", false},
                 {"\xc3\x9f", false}, {"\xe2\x82\xac", false}};
    for (size_t i = 0; i < COUNT(CASES); i++)
        assert_int_equal(utf8_is_control(CASES[i].bytes, strlen(CASES[i].bytes)), CASES[i].control);
}

static void what_is_printed_forges_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } CASES[] = {{"plain text", "plain text"},        {"a\nb\r\tc", "a\\x0ab\\x0d\\x09c"},
                 {"\x1b[31m", "\\x1b[31m"},           {"Grüße 😀", "Grüße 😀"},
                 {"\xff\xc0\x80", "\\xff\\xc0\\x80"}, {"cut \xe2\x82", "cut \\xe2\\x82"},
                 {"\xc2\x9b", "\\xc2\\x9b"},          {"\x7f", "\\x7f"}};
    char out[64];
    for (size_t i = 0; i < COUNT(CASES); i++) {
        assert_int_equal(printable(out, sizeof out, CASES[i].text), strlen(CASES[i].shown));
        assert_string_equal(out, CASES[i].shown);
    }
    for (size_t size = 6; size < 20; size++) {
        char *exact = malloc(size);
        assert_non_null(exact);
        const size_t n = printable(exact, size, "üüü\n\n\nabcdefgh");
        assert_true(n < size);
        assert_int_equal(strlen(exact), n);
        assert_int_equal(utf8_valid_prefix(exact, n), n);
        free(exact);
    }
}

/* --- Blanks --------------------------------------------------------------------------------- */

static void blanks_are_trimmed(void **state)
{
    (void)state;
    assert_true(span_is(trim(" \t\r\na b \n"), "a b"));
    assert_true(span_is(trim("a"), "a"));
    assert_true(span_is(trim("   "), ""));
    assert_true(span_is(trim(""), ""));
    assert_true(span_is(trim(NULL), ""));
    assert_false(span_is(trim("ab"), "a"));
    assert_false(span_is(trim("a"), "ab"));
    assert_true(span_is(trim("\xc2\xa0"), "\xc2\xa0"));
    assert_true(span_is(trim_span((struct span){.text = " ab cd", .n = 4}), "ab"));
    assert_true(span_compare(trim("a"), trim(" a ")) == 0);
    assert_true(span_compare(trim("a"), trim("ab")) < 0);
    assert_true(span_compare(trim("b"), trim("ab")) > 0);
    assert_true(span_compare(trim(""), trim("a")) < 0);
}

/* --- Schemes and versions ------------------------------------------------------------------- */

static void schemes_are_read_by_version(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum scheme v2_0, v2_1;
    } CASES[] = {
        {NULL, SCHEME_NONE, SCHEME_NONE},
        {"", SCHEME_NONE, SCHEME_NONE},
        {" \t\n", SCHEME_NONE, SCHEME_NONE},
        {"cenc", SCHEME_CENC, SCHEME_CENC},
        {"cbc1", SCHEME_CBC1, SCHEME_CBC1},
        {"cens", SCHEME_CENS, SCHEME_CENS},
        {" cbcs ", SCHEME_CBCS, SCHEME_CBCS},
        {"AES-128", SCHEME_UNKNOWN, SCHEME_HLS_AES_128},
        {"SAMPLE-AES", SCHEME_UNKNOWN, SCHEME_HLS_SAMPLE_AES},
        {"SAMPLE-AES-CTR", SCHEME_UNKNOWN, SCHEME_HLS_SAMPLE_AES_CTR},
        {"NONE", SCHEME_UNKNOWN, SCHEME_UNKNOWN},
        {"CENC", SCHEME_UNKNOWN, SCHEME_UNKNOWN},
        {"cenc cbcs", SCHEME_UNKNOWN, SCHEME_UNKNOWN},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        assert_int_equal(scheme_parse(CASES[i].text, SPEKE_V2_0), CASES[i].v2_0);
        assert_int_equal(scheme_parse(CASES[i].text, SPEKE_V2_1), CASES[i].v2_1);
    }
    for (enum scheme s = SCHEME_CENC; s < SCHEME_UNKNOWN; s++)
        assert_int_equal(scheme_parse(scheme_name(s), SPEKE_V2_1), s);
    assert_string_equal(scheme_name(SCHEME_NONE), "");
    assert_string_equal(scheme_name(SCHEME_UNKNOWN), "");
}

static void versions_have_names(void **state)
{
    (void)state;
    assert_string_equal(speke_version_name(SPEKE_V1), "1.0");
    assert_string_equal(speke_version_name(SPEKE_V2_0), "2.0");
    assert_string_equal(speke_version_name(SPEKE_V2_1), "2.1");
}

static void hexadecimal_is_written_and_read(void **state)
{
    static const unsigned char BYTES[] = {0x00, 0x9a, 0xff};
    char text[2 * sizeof BYTES + 1];
    unsigned char back[sizeof BYTES];
    (void)state;
    hex_encode(BYTES, sizeof BYTES, text);
    assert_string_equal(text, "009aff");
    assert_int_equal(hex_decode("009AfF!", back, sizeof back), 0);
    assert_memory_equal(back, BYTES, sizeof BYTES);
    assert_int_equal(hex_decode("009af", back, sizeof back), -1);
    assert_int_equal(hex_decode("009ag0", back, sizeof back), -1);
    assert_int_equal(hex_decode("", back, 1), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hexadecimal_is_written_and_read),
        cmocka_unit_test(uuids_are_read_and_written),
        cmocka_unit_test(what_is_no_uuid_is_refused),
        cmocka_unit_test(characters_have_their_length),
        cmocka_unit_test(the_first_bad_byte_is_found_wherever_it_is),
        cmocka_unit_test(control_characters_are_known),
        cmocka_unit_test(what_is_printed_forges_nothing),
        cmocka_unit_test(blanks_are_trimmed),
        cmocka_unit_test(schemes_are_read_by_version),
        cmocka_unit_test(versions_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
