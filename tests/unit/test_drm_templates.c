/* SPDX-License-Identifier: Apache-2.0 */
/* Systems from templates: what the templates make of KID, content id and IV, element by element. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "drm/template.h"
#include "test_drm_fixture.h"

#include <cmocka.h> /* after base/failure.h, as it makes a macro of "fail" */

static const struct uuid IRDETO = {{0x80, 0xa6, 0xbe, 0x7e, 0x14, 0x48, 0x4c, 0x37, 0x9e, 0x70,
                                    0xd5, 0xae, 0xbe, 0x04, 0xc8, 0xd2}};

static int start(void **state)
{
    const int result = set_up(state);
    struct fixture *x = *state;
    x->in.system_id = &IRDETO;
    return result;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, tear_down)

static void signal_all(struct fixture *x)
{
    failure_clear(&x->f);
    if (drm_signal(drm_from_templates(), &x->in, ALL_FIELDS, &x->arena, &x->values, &x->f) != 0)
        fail_msg("%s", x->f.cause);
}

static void the_box_holds_the_data_of_the_template(void **state)
{
    struct fixture *x = *state;
    static const char BOX[] = "\x00\x00\x00\x26pssh\x00\x00\x00\x00"
                              "\x80\xa6\xbe\x7e\x14\x48\x4c\x37\x9e\x70\xd5\xae\xbe\x04\xc8\xd2"
                              "\x00\x00\x00\x06{k\x00\xff}!";
    x->settings.pssh = "{{k{hex:00fF}}}!";
    signal_all(x);
    (void)decode(x, x->values.pssh);
    assert_int_equal(x->n, sizeof BOX - 1);
    assert_memory_equal(x->bytes, BOX, x->n);
}

static void a_box_of_version_1_names_the_kid(void **state)
{
    struct fixture *x = *state;
    static const char BOX[] = "\x00\x00\x00\x36pssh\x01\x00\x00\x00"
                              "\x80\xa6\xbe\x7e\x14\x48\x4c\x37\x9e\x70\xd5\xae\xbe\x04\xc8\xd2"
                              "\x00\x00\x00\x01"
                              "\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x00"
                              "\x00\x00\x00\x02hi";
    x->settings.pssh = "hi";
    x->settings.pssh_kid = true;
    signal_all(x);
    (void)decode(x, x->values.pssh);
    assert_int_equal(x->n, sizeof BOX - 1);
    assert_memory_equal(x->bytes, BOX, x->n);
}

static void names_stand_for_their_values(void **state)
{
    struct fixture *x = *state;
    static const struct {
        enum template_use use;
        const char *template, *expected;
    } ROWS[] = {
        {TEMPLATE_DATA, "{content_id_raw}|{content_id_json}", "a&<\"\xc3\xbc|\"a&<\\\"\xc3\xbc\""},
        {TEMPLATE_DATA, "{content_id}", "a%26%3C%22%C3%BC"},
        {TEMPLATE_DATA, "{kid_bytes}",
         "\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"},
        {TEMPLATE_DATA, "{kid_base64} {iv_hex}",
         "ESIzRFVmd4iZqrvM3e7/AA== 101112131415161718191a1b1c1d1e1f"},
        {TEMPLATE_XML, "<a b=\"{content_id_raw}\">{content_id_json}</a>{{}}",
         "<a b=\"a&amp;&lt;&quot;\xc3\xbc\">&quot;a&amp;&lt;\\&quot;\xc3\xbc&quot;</a>{}"},
        {TEMPLATE_XML, "{system_id}{pssh}", "80a6be7e-1448-4c37-9e70-d5aebe04c8d2AAAA"},
        {TEMPLATE_URI, "x:{system_id}/{pssh}", "x:80a6be7e-1448-4c37-9e70-d5aebe04c8d2/AAAA"},
    };
    x->in.content_id = "a&<\"\xc3\xbc";
    x->in.pssh = "AAAA";
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct buf b;
        print_message("  %s\n", ROWS[i].template);
        buf_init(&b, 4096);
        assert_int_equal(template_put(&b, ROWS[i].use, ROWS[i].template, &x->in, &x->f), 0);
        buf_putc(&b, '\0');
        assert_true(buf_ok(&b));
        assert_string_equal((const char *)b.data, ROWS[i].expected);
        buf_free(&b);
    }
}

static void content_protection_is_the_template_or_the_box(void **state)
{
    struct fixture *x = *state;
    x->settings.pssh = "hi";
    signal_all(x);
    char expected[512];
    (void)snprintf(expected, sizeof expected,
                   "<cenc:pssh xmlns:cenc=\"urn:mpeg:cenc:2013\">%s</cenc:pssh>", x->values.pssh);
    assert_string_equal(decode(x, x->values.content_protection), expected);
    x->settings.content_protection = "<a>{pssh}</a>";
    signal_all(x);
    (void)snprintf(expected, sizeof expected, "<a>%s</a>", x->values.pssh);
    assert_string_equal(decode(x, x->values.content_protection), expected);
}

static void hls_lines_have_the_systems_own_format(void **state)
{
    struct fixture *x = *state;
    x->settings.hls_uri = "irdeto:{kid_hex}";
    signal_all(x);
    assert_string_equal(decode(x, x->values.hls_media),
                        "#EXT-X-KEY:METHOD=SAMPLE-AES,"
                        "URI=\"irdeto:112233445566778899aabbccddeeff00\","
                        "KEYFORMAT=\"urn:uuid:80a6be7e-1448-4c37-9e70-d5aebe04c8d2\","
                        "KEYFORMATVERSIONS=\"1\"");
    x->settings.hls_keyformat = "com.irdeto";
    x->settings.hls_keyformatversions = "1/2";
    x->settings.hls_ctr_method = true;
    x->in.scheme = SCHEME_CENC;
    signal_all(x);
    assert_string_equal(decode(x, x->values.hls_master),
                        "#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES-CTR,"
                        "URI=\"irdeto:112233445566778899aabbccddeeff00\","
                        "KEYFORMAT=\"com.irdeto\",KEYFORMATVERSIONS=\"1/2\"");
    x->in.version = SPEKE_V1;
    signal_all(x);
    assert_null(x->values.hls_media);
    assert_string_equal(decode(x, x->values.key_uri), "irdeto:112233445566778899aabbccddeeff00");
    assert_string_equal(decode(x, x->values.key_format), "com.irdeto");
    assert_string_equal(decode(x, x->values.key_format_versions), "1/2");
}

static void what_has_no_template_is_left_out(void **state)
{
    struct fixture *x = *state;
    signal_all(x);
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        assert_null(field(&x->values, i));
    x->settings.content_protection = "<a/>";
    signal_all(x);
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        assert_int_equal(field(&x->values, i) != NULL, 1U << i == DRM_CONTENT_PROTECTION);
}

/* A name whose value is not there is our own failure, not an element with a hole in it. */
static void a_value_that_is_missing_is_a_failure(void **state)
{
    struct fixture *x = *state;
    x->settings.content_protection = "<a>{pssh}</a>";
    failure_clear(&x->f);
    assert_int_equal(
        drm_signal(drm_from_templates(), &x->in, ALL_FIELDS, &x->arena, &x->values, &x->f), -1);
    assert_int_equal(x->f.status, 500);
    assert_non_null(strstr(x->f.cause, "{pssh} has no value"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_box_holds_the_data_of_the_template),
        TEST(a_box_of_version_1_names_the_kid),
        TEST(names_stand_for_their_values),
        TEST(content_protection_is_the_template_or_the_box),
        TEST(hls_lines_have_the_systems_own_format),
        TEST(what_has_no_template_is_left_out),
        TEST(a_value_that_is_missing_is_a_failure),
    };
    return cmocka_run_group_tests_name("drm templates", tests, NULL, NULL);
}
