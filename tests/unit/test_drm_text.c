/* SPDX-License-Identifier: Apache-2.0 */
/* The pieces that DRM signalling is put together from: spellings of text, URI templates, pssh
 * boxes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/failure.h"
#include "drm/drm.h"
#include "drm/pssh.h"
#include "drm/template.h"
#include "drm/text.h"

#include <cmocka.h> /* after base/failure.h, as it makes a macro of "fail" */

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct uuid KID = {{0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb,
                                 0xcc, 0xdd, 0xee, 0xff, 0x00}};
static const unsigned char IV[16] = {0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
                                     0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f};

static void assert_buf(struct buf *b, const void *expected, size_t n)
{
    assert_true(buf_ok(b));
    assert_int_equal(b->len, n);
    if (n > 0)
        assert_memory_equal(b->data, expected, n);
    buf_free(b);
}

struct spelling {
    const char *text, *expected;
};

static void check_spellings(const struct spelling *rows, size_t count,
                            void (*put)(struct buf *, const char *))
{
    for (size_t i = 0; i < count; i++) {
        struct buf b;
        buf_init(&b, 4096);
        put(&b, rows[i].text);
        print_message("  %s\n", rows[i].expected);
        assert_buf(&b, rows[i].expected, strlen(rows[i].expected));
    }
}

static void hexadecimal_is_lower_case(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 64);
    text_put_hex(&b, (const unsigned char[]){0x00, 0x9f, 0xAB, 0xff}, 4);
    assert_buf(&b, "009fabff", 8);
}

static void percent_encoding_keeps_the_unreserved_alone(void **state)
{
    (void)state;
    static const struct spelling ROWS[] = {
        {"", ""},
        {"Movie-42_a.b~C", "Movie-42_a.b~C"},
        {"a/b", "a%2Fb"},
        {"../../etc/passwd", "..%2F..%2Fetc%2Fpasswd"},
        {"a b+c%2F", "a%20b%2Bc%252F"},
        {"?#&=;:@[]!$'()*,\"\\", "%3F%23%26%3D%3B%3A%40%5B%5D%21%24%27%28%29%2A%2C%22%5C"},
        {"gr\xc3\xbc\xc3\x9f", "gr%C3%BC%C3%9F"},
        {"\xf0\x9f\x98\x80", "%F0%9F%98%80"},
        {"{kid}\n", "%7Bkid%7D%0A"},
    };
    check_spellings(ROWS, COUNT(ROWS), buf_put_percent);
}

static void json_escapes_what_it_must_and_keeps_utf8(void **state)
{
    (void)state;
    static const struct spelling ROWS[] = {
        {"", "\"\""},
        {"movie-42", "\"movie-42\""},
        {"a\"b\\c/d", "\"a\\\"b\\\\c/d\""},
        {"\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""},
        {"\x01\x0b\x1f\x20\x7f", "\"\\u0001\\u000b\\u001f \x7f\""},
        {"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80", "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\""},
    };
    check_spellings(ROWS, COUNT(ROWS), text_put_json);
}

static void utf16_is_little_endian_with_surrogates(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
        size_t n;
    } ROWS[] = {
        {"", "", 0},
        {"<A", "<\0A", 4},
        {" ~", " \0~", 4},
        {"\xc2\xa0\xdf\xbf", "\xa0\0\xff\x07", 4},
        {"\xe0\xa0\x80\xe2\x82\xac\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbd",
         "\x00\x08\xac\x20\xff\xd7\x00\xe0\xfd\xff", 10},
        {"\xf0\x90\x80\x80\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf",
         "\x00\xd8\x00\xdc\x3d\xd8\x00\xde\xff\xdb\xff\xdf", 12},
    };
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct buf b;
        buf_init(&b, 4096);
        print_message("  row %zu\n", i);
        assert_int_equal(text_put_utf16le(&b, ROWS[i].text, strlen(ROWS[i].text)), 0);
        assert_buf(&b, ROWS[i].expected, ROWS[i].n);
    }
}

static void utf16_refuses_what_is_no_text(void **state)
{
    (void)state;
    static const char *const ROWS[] = {
        "\x01",             /* control characters */
        "a\x1f",            /* … */
        "\n",               /* … */
        "\x7f",             /* … */
        "\xc2\x80",         /* … */
        "\xc2\x9f",         /* … */
        "\x80",             /* a continuation byte alone */
        "\xbf",             /* … */
        "\xc0\xaf",         /* not the shortest form */
        "\xc1\xbf",         /* … */
        "\xe0\x9f\xbf",     /* … */
        "\xf0\x8f\xbf\xbf", /* … */
        "\xed\xa0\x80",     /* surrogates */
        "\xed\xbf\xbf",     /* … */
        "\xf4\x90\x80\x80", /* above U+10FFFF */
        "\xf5\x80\x80\x80", /* … */
        "\xff",             /* no UTF-8 byte */
        "\xc3",             /* cut */
        "\xe2\x82",         /* … */
        "\xf0\x9f\x98",     /* … */
        "\xc3(",            /* no continuation byte */
        "\xe2\x82(",        /* … */
        "\xef\xbf\xbe",     /* U+FFFE and U+FFFF */
        "\xef\xbf\xbf",     /* … */
    };
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct buf b;
        /* From the heap, so that a read past its end is seen. */
        const size_t n = strlen(ROWS[i]);
        char *text = malloc(n);
        assert_non_null(text);
        memcpy(text, ROWS[i], n);
        buf_init(&b, 4096);
        print_message("  row %zu\n", i);
        assert_int_equal(text_put_utf16le(&b, text, n), -1);
        buf_free(&b);
        free(text);
    }
}

static void utf16_that_does_not_fit_fails_the_buffer(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 7);
    assert_int_equal(text_put_utf16le(&b, "abcd", 4), 0);
    assert_false(buf_ok(&b));
    buf_free(&b);
}

static void quoted_strings_hold_no_quote_and_no_control(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool quotable;
    } ROWS[] = {
        {"", true},         {"skd://a'b,c=d", true}, {"gr\xc3\xbc\xc3\x9f", true},
        {"a\"b", false},    {"a\nb", false},         {"a\r", false},
        {"\t", false},      {"a\x7f", false},        {"\xc2\x85", false},
        {"\xc2\xa0", true}, {"a\xff", false},        {"\xed\x9f\xbf", true},
    };
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        print_message("  row %zu\n", i);
        assert_int_equal(text_quotable((const unsigned char *)ROWS[i].text, strlen(ROWS[i].text)),
                         ROWS[i].quotable);
    }
}

static struct drm_input input(const struct drm_settings *settings)
{
    return (struct drm_input){
        .kid = &KID,
        .iv = IV,
        .iv_text = "EBESExQVFhcYGRobHB0eHw==",
        .content_id = "a/\"b\xc3\xbc",
        .settings = settings,
    };
}

static void templates_replace_each_name(void **state)
{
    (void)state;
    static const struct spelling ROWS[] = {
        {"", ""},
        {"skd://fixed", "skd://fixed"},
        {"{content_id}", "a%2F%22b%C3%BC"},
        {"{content_id_base64}", "YS8iYsO8"},
        {"skd://{kid}", "skd://11223344-5566-7788-99aa-bbccddeeff00"},
        {"skd://{kid_hex}:{iv_hex}",
         "skd://112233445566778899aabbccddeeff00:101112131415161718191a1b1c1d1e1f"},
        {"{iv_base64}x", "EBESExQVFhcYGRobHB0eHw==x"},
        {"{key_url}/{kid_hex}", "https://k.example/c/112233445566778899aabbccddeeff00"},
        /* {"ContentId":"a/\"b\u00fc","KeyId":"1122…","IV":"EBES…"} */
        {"{guide_json}",
         "eyJDb250ZW50SWQiOiJhL1wiYsO8IiwiS2V5SWQiOiIxMTIyMzM0NC01NTY2LTc3ODgtOTlhYS1iYmNjZGRlZWZmM"
         "DAiLCJJViI6IkVCRVNFeFFWRmhjWUdSb2JIQjBlSHc9PSJ9"},
    };
    struct drm_settings settings = DRM_DEFAULT_SETTINGS;
    settings.key_url_base = "https://k.example/c";
    const struct drm_input in = input(&settings);
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct buf b;
        struct failure f;
        buf_init(&b, 4096);
        print_message("  %s\n", ROWS[i].text);
        assert_int_equal(template_put(&b, TEMPLATE_URI, ROWS[i].text, &in, &f), 0);
        assert_buf(&b, ROWS[i].expected, strlen(ROWS[i].expected));
    }
}

/* The IV is the document's text, canonical or not; else it is made from the bytes, or left out. */
static void the_guide_json_takes_the_iv_that_is_there(void **state)
{
    (void)state;
    static const char WITH[] =
        "eyJDb250ZW50SWQiOiJtIiwiS2V5SWQiOiIxMTIyMzM0NC01NTY2LTc3ODgtOTlhYS1iYmNjZGRlZWZmMDAiLCJJVi"
        "I6IkVCRVNFeFFWRmhjWUdSb2JIQjBlSHc9PSJ9";
    static const char NOT_CANONICAL[] =
        "eyJDb250ZW50SWQiOiJtIiwiS2V5SWQiOiIxMTIyMzM0NC01NTY2LTc3ODgtOTlhYS1iYmNjZGRlZWZmMDAiLCJJVi"
        "I6IkVCRVNFeFFWRmhjWUdSb2JIQjBlSHo9PSJ9";
    static const char WITHOUT[] =
        "eyJDb250ZW50SWQiOiJtIiwiS2V5SWQiOiIxMTIyMzM0NC01NTY2LTc3ODgtOTlhYS1iYmNjZGRlZWZmMDAifQ==";
    const struct {
        const unsigned char *iv;
        const char *iv_text, *expected;
    } rows[] = {
        {IV, "EBESExQVFhcYGRobHB0eHw==", WITH},
        {IV, "EBESExQVFhcYGRobHB0eHz==", NOT_CANONICAL},
        {IV, NULL, WITH},
        {NULL, NULL, WITHOUT},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buf b;
        struct failure f;
        struct drm_input in = input(&DRM_DEFAULT_SETTINGS);
        in.content_id = "m";
        in.iv = rows[i].iv;
        in.iv_text = rows[i].iv_text;
        buf_init(&b, 4096);
        print_message("  row %zu\n", i);
        assert_int_equal(template_put(&b, TEMPLATE_URI, "{guide_json}", &in, &f), 0);
        assert_buf(&b, rows[i].expected, strlen(rows[i].expected));
    }
}

static void templates_that_make_no_uri_are_failures(void **state)
{
    (void)state;
    static const struct spelling ROWS[] = {
        {"skd://{kidd}", "{kidd} is no known name"},
        {"skd://{KID}", "{KID} is no known name"},
        {"skd://{kid", "a brace without its partner"},
        {"skd://kid}", "a brace without its partner"},
        {"skd://{}", "a brace without its partner"},
        {"skd://{{kid}}", "a brace without its partner"},
        {"skd://%s\"", "no text that can stand in quotes"},
        {"skd://a\nb", "no text that can stand in quotes"},
        {"skd://a\rb{kid}", "no text that can stand in quotes"},
        {"{iv_hex}", "{iv_hex} has no value"},
        {"{iv_base64}", "{iv_base64} has no value"},
        {"{key_url}/{kid}", "{key_url} has no value"},
    };
    struct drm_input in = input(&DRM_DEFAULT_SETTINGS);
    in.iv = NULL;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct buf b;
        struct failure f;
        buf_init(&b, 4096);
        failure_clear(&f);
        print_message("  %s\n", ROWS[i].expected);
        assert_int_equal(template_put(&b, TEMPLATE_URI, ROWS[i].text, &in, &f), -1);
        assert_int_equal(f.status, 500);
        assert_string_equal(f.text, "Internal error");
        assert_non_null(strstr(f.cause, ROWS[i].expected));
        buf_free(&b);
    }
}

static void a_uri_that_does_not_fit_fails_the_buffer(void **state)
{
    (void)state;
    static const char *const ROWS[] = {"{guide_json}",
                                       "skd://fixed-and-longer-than-32-bytes/{kid}"};
    const struct drm_input in = input(&DRM_DEFAULT_SETTINGS);
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct buf b;
        struct failure f;
        buf_init(&b, 32);
        assert_int_equal(template_put(&b, TEMPLATE_URI, ROWS[i], &in, &f), 0);
        assert_false(buf_ok(&b));
        buf_free(&b);
    }
}

/* The box that a packager is known to write for FairPlay. */
static void a_version_1_box_holds_one_kid(void **state)
{
    (void)state;
    static const struct uuid FAIRPLAY = {{0x94, 0xce, 0x86, 0xfb, 0x07, 0xff, 0x4f, 0x43, 0xad,
                                          0xb8, 0x93, 0xd2, 0xfa, 0x96, 0x8c, 0xa2}};
    static const char BOX[] = "\x00\x00\x00\x34pssh\x01\x00\x00\x00"
                              "\x94\xce\x86\xfb\x07\xff\x4f\x43\xad\xb8\x93\xd2\xfa\x96\x8c\xa2"
                              "\x00\x00\x00\x01"
                              "\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x00"
                              "\x00\x00\x00\x00";
    struct buf b;
    buf_init(&b, 4096);
    pssh_put_v1_header(&b, &FAIRPLAY, &KID, 0);
    assert_buf(&b, BOX, sizeof BOX - 1);
}

static void a_box_has_the_size_of_its_data(void **state)
{
    (void)state;
    static const char HEADER[] = "\x00\x01\x02\x23pssh\x00\x00\x00\x00"
                                 "\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x00"
                                 "\x00\x01\x02\x03";
    struct buf b;
    buf_init(&b, 4096);
    pssh_put_v0_header(&b, &KID, 0x10203);
    assert_buf(&b, HEADER, sizeof HEADER - 1);
    assert_int_equal(sizeof HEADER - 1, PSSH_V0_HEADER);
}

static void data_that_no_box_can_hold_fails_the_buffer(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4096);
    pssh_put_v0_header(&b, &KID, (size_t)UINT32_MAX - PSSH_V0_HEADER);
    assert_true(buf_ok(&b));
    pssh_put_v0_header(&b, &KID, (size_t)UINT32_MAX - PSSH_V0_HEADER + 1);
    assert_false(buf_ok(&b));
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hexadecimal_is_lower_case),
        cmocka_unit_test(percent_encoding_keeps_the_unreserved_alone),
        cmocka_unit_test(json_escapes_what_it_must_and_keeps_utf8),
        cmocka_unit_test(utf16_is_little_endian_with_surrogates),
        cmocka_unit_test(utf16_refuses_what_is_no_text),
        cmocka_unit_test(utf16_that_does_not_fit_fails_the_buffer),
        cmocka_unit_test(quoted_strings_hold_no_quote_and_no_control),
        cmocka_unit_test(templates_replace_each_name),
        cmocka_unit_test(the_guide_json_takes_the_iv_that_is_there),
        cmocka_unit_test(templates_that_make_no_uri_are_failures),
        cmocka_unit_test(a_uri_that_does_not_fit_fails_the_buffer),
        cmocka_unit_test(a_version_1_box_holds_one_kid),
        cmocka_unit_test(a_box_has_the_size_of_its_data),
        cmocka_unit_test(data_that_no_box_can_hold_fails_the_buffer),
    };
    return cmocka_run_group_tests_name("drm text", tests, NULL, NULL);
}
