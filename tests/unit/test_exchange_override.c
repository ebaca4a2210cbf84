/* SPDX-License-Identifier: Apache-2.0 */
/* KID override. The expected KIDs were computed with Python's uuid.uuid5(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "cpix_fixture.h"
#include "exchange/override.h"

#include <cmocka.h> /* after base/failure.h, as it makes a macro of "fail" */

#define VIDEO_0  "c902dd58-8fac-5e46-9e22-5d259de3934f"
#define OFFSET_0 "2e4023be-d155-5c3a-b317-84e8183abebe"
#define AUDIO_0  "92296068-bf9f-5929-b673-9c57cf35628e"

static void assert_uuid(const struct uuid *u, const char *expected)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(u, text);
    assert_string_equal(text, expected);
}

/* The example that RFC 9562 (A.4) gives: www.example.com in the namespace of DNS names. */
static void uuids_of_version_5_are_those_of_the_standard(void **state)
{
    (void)state;
    struct uuid dns, out;
    assert_int_equal(uuid_parse("6ba7b810-9dad-11d1-80b4-00c04fd430c8", &dns), 0);
    assert_int_equal(override_uuid5(&dns, "www.example.com", 15, &out), 0);
    assert_uuid(&out, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

/* Reads and checks a document, which must be good but for the systems' wishes. */
static void read_checked(struct fixture *x, enum speke_version version, const char *base,
                         const struct edit edits[3])
{
    const struct cpix_rules rules = fixture_rules(version);
    struct fixture_faults faults = {0};
    fixture_read_edited(x, base, edits);
    fixture_check(x, &rules, &faults);
    if (faults.count > 0)
        fail_msg("%s: %s", faults.items[0].place, faults.items[0].text);
}

static void kids_follow_from_content_track_type_and_period(void **state)
{
    struct fixture *x = *state;
    static const struct {
        const char *name;
        enum speke_version version;
        const char *base;
        struct edit edits[3];
        const char *expected;
    } ROWS[] = {
        {"index", SPEKE_V2_0, FIXTURE_V2_0, {{0}}, VIDEO_0},
        {"blanks around the values",
         SPEKE_V2_0,
         FIXTURE_V2_0,
         {{"\"VIDEO\"", "\" VIDEO \""}, {"index=\"0\"", "index=\" 0\n\""}},
         VIDEO_0},
        {"start without index",
         SPEKE_V2_1,
         FIXTURE_V2_0,
         {{"\"2.3\"", "\"2.4\""},
          {"index=\"0\"", "start=\"2027-03-01T10:00:00+02:00\" end=\"2027-03-01T10:05:00Z\""}},
         "0749e6fc-c9f4-5cd4-bc71-e3131f87aaca"},
        {"index before start",
         SPEKE_V2_1,
         FIXTURE_V2_0,
         {{"\"2.3\"", "\"2.4\""}, {"index=\"0\"", "index=\"0\" start=\"2027-03-01T10:00:00Z\""}},
         VIDEO_0},
        {"startOffset without either",
         SPEKE_V2_1,
         FIXTURE_V2_0,
         {{"\"2.3\"", "\"2.4\""}, {"index=\"0\"", "startOffset=\" PT0S\" endOffset=\"PT10M\""}},
         OFFSET_0},
        {"start before startOffset",
         SPEKE_V2_1,
         FIXTURE_V2_0,
         {{"\"2.3\"", "\"2.4\""},
          {"index=\"0\"", "start=\"2027-03-01T10:00:00+02:00\" end=\"2027-03-01T10:05:00Z\" "
                          "startOffset=\"PT0S\" endOffset=\"PT10M\""}},
         "0749e6fc-c9f4-5cd4-bc71-e3131f87aaca"},
        {"no period",
         SPEKE_V2_0,
         FIXTURE_V2_0,
         {{"<cpix:KeyPeriodFilter periodId=\"p1\"/>\n", ""}},
         "bcbe8647-6d52-5b97-9107-a51ab901f540"},
        {"other content",
         SPEKE_V2_0,
         FIXTURE_V2_0,
         {{"\"movie-7781\"", "\"\xc3\x84 &amp; &quot;x&quot;\""},
          {"index=\"0\"", "index=\"11425\""}},
         "14e79fc8-06a1-5aca-ae31-aad76eab4cd1"},
        {"v1", SPEKE_V1, FIXTURE_V1, {{0}}, "5881c012-033b-5e4d-97da-714a7781d40a"},
        {"v1 with a track type, which counts for nothing",
         SPEKE_V1,
         FIXTURE_V1,
         {{"<cpix:ContentKeyUsageRule ", "<cpix:ContentKeyUsageRule intendedTrackType=\"ALL\" "}},
         "5881c012-033b-5e4d-97da-714a7781d40a"},
    };
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        print_message("  %s\n", ROWS[i].name);
        read_checked(x, ROWS[i].version, ROWS[i].base, ROWS[i].edits);
        assert_int_equal(override_kids(&x->doc, &x->arena, &x->failure), 0);
        assert_uuid(&x->doc.keys[0].kid, ROWS[i].expected);
        assert_string_equal(x->doc.keys[0].kid_text, ROWS[i].expected);
    }
}

/* What is written afterwards has the new KIDs in the old places and no old one. */
static void every_place_has_the_new_kid(void **state)
{
    struct fixture *x = *state;
    struct buf out;
    buf_init(&out, 1 << 20);
    read_checked(x, SPEKE_V2_0, FIXTURE_V2_0, (struct edit[3]){{0}});
    assert_int_equal(override_kids(&x->doc, &x->arena, &x->failure), 0);
    cpix_write(&x->doc, &out);
    buf_putc(&out, '\0');
    assert_true(buf_ok(&out));
    const char *text = (const char *)out.data;
    assert_null(strstr(text, KID_1));
    assert_null(strstr(text, KID_2));
    static const char *const ORDER[] = {
        "<cpix:ContentKey kid=\"" VIDEO_0,          "<cpix:ContentKey kid=\"" AUDIO_0,
        "<cpix:DRMSystem kid=\"" VIDEO_0,           "<cpix:DRMSystem kid=\"" AUDIO_0,
        "<cpix:ContentKeyUsageRule kid=\"" VIDEO_0, "<cpix:ContentKeyUsageRule kid=\"" AUDIO_0,
    };
    for (size_t i = 0; i < COUNT(ORDER); i++) {
        text = strstr(text, ORDER[i]);
        if (text == NULL)
            fail_msg("%s is missing or not in its place", ORDER[i]);
    }
    buf_free(&out);
}

static void v1_follows_too(void **state)
{
    struct fixture *x = *state;
    read_checked(x, SPEKE_V1, FIXTURE_V1, (struct edit[3]){{0}});
    assert_int_equal(override_kids(&x->doc, &x->arena, &x->failure), 0);
    for (size_t i = 0; i < x->doc.system_count; i++)
        assert_string_equal(x->doc.systems[i].kid_text, "5881c012-033b-5e4d-97da-714a7781d40a");
    assert_string_equal(x->doc.rules[0].attributes.items[0].value,
                        "5881c012-033b-5e4d-97da-714a7781d40a");
}

/* A key whose period differs gets another KID; what does not differ is refused. */
static void two_keys_with_one_new_kid_are_refused(void **state)
{
    struct fixture *x = *state;
    static const struct edit SAME[3] = {
        {"intendedTrackType=\"AUDIO\"", "intendedTrackType=\"VIDEO \""}};
    const struct cpix_rules rules = fixture_rules(SPEKE_V2_0);
    struct fixture_faults faults = {0};
    fixture_read_edited(x, FIXTURE_V2_0, SAME);
    fixture_check(x, &rules, &faults);
    assert_int_not_equal(override_kids(&x->doc, &x->arena, &x->failure), 0);
    assert_int_equal(x->failure.status, 422);
    assert_string_equal(x->failure.text,
                        "KID override gives two ContentKeys the same KID: " VIDEO_0);
    assert_non_null(strstr(x->failure.cause, "ContentKeyList/ContentKey[2]@kid, line "));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_start, fixture_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uuids_of_version_5_are_those_of_the_standard),
        TEST(kids_follow_from_content_track_type_and_period),
        TEST(every_place_has_the_new_kid),
        TEST(v1_follows_too),
        TEST(two_keys_with_one_new_kid_are_refused),
    };
    return cmocka_run_group_tests_name("exchange override", tests, NULL, NULL);
}
