/* SPDX-License-Identifier: Apache-2.0 */
/* Documents as they leave: byte by byte for small ones, and read back for all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "cpix_fixture.h"

#include <cmocka.h>

#define NAMESPACES \
    "xmlns:cpix=\"urn:dashif:org:cpix\" xmlns:pskc=\"urn:ietf:params:xml:ns:keyprov:pskc\""

static const unsigned char KEY[CPIX_KEY_BYTES] = {0x8d, 0x6f, 0x0b, 0x1e, 0x52, 0xc3, 0x4a, 0x97,
                                                  0xb0, 0xe1, 0xd2, 0xf3, 0xa4, 0xb5, 0xc6, 0xd7};
#define KEY_TEXT "jW8LHlLDSpew4dLzpLXG1w=="

/* The document as text; in static memory that the next call overwrites. */
static const char *written(const struct cpix_document *doc)
{
    static char text[65536];
    struct buf out;
    buf_init(&out, sizeof text - 1);
    cpix_write(doc, &out);
    assert_true(buf_ok(&out));
    memcpy(text, out.data, out.len);
    text[out.len] = '\0';
    assert_int_equal(strlen(text), out.len);
    buf_free(&out);
    return text;
}

static void check_well(struct fixture *x, enum speke_version version)
{
    struct fixture_faults faults = {0};
    const struct cpix_rules rules = fixture_rules(version);
    fixture_check(x, &rules, &faults);
    if (faults.count > 0)
        fail_msg("%s at %s", faults.items[0].rule, faults.items[0].place);
}

/* Fills all places, each placeholder with a value that tells where it belongs. */
static void fill(struct fixture *x)
{
    for (size_t i = 0; i < x->doc.key_count; i++) {
        x->doc.keys[i].key = KEY;
        x->doc.keys[i].explicit_iv = "ABEiM0RVZneImaq7zN3u/w==";
    }
    for (size_t i = 0; i < x->doc.system_count; i++) {
        struct cpix_drm_system *system = &x->doc.systems[i];
        for (size_t j = 0; j < system->placeholder_count; j++) {
            char value[32];
            const int n = snprintf(value, sizeof value, "value%zu/%zu+", i, j);
            system->placeholders[j].value = arena_strndup(&x->arena, value, (size_t)n);
            assert_non_null(system->placeholders[j].value);
        }
    }
}

static void v2_answer_to_the_byte(void **state)
{
    struct fixture *x = *state;
    fixture_read_well(x, fixture_edit(FIXTURE_V2_0, "version=", "name=\"N\" id=\"gone\" version="));
    check_well(x, SPEKE_V2_0);
    fill(x);
    x->doc.systems[1].placeholders[0].value = "";
    x->doc.systems[0].placeholders[0].value = NULL;
    assert_string_equal(
        written(&x->doc),
        "<cpix:CPIX " NAMESPACES " contentId=\"movie-7781\" version=\"2.3\" name=\"N\">\n"
        "<cpix:ContentKeyList>\n"
        "<cpix:ContentKey kid=\"" KID_1 "\" commonEncryptionScheme=\"cbcs\""
        " explicitIV=\"ABEiM0RVZneImaq7zN3u/w==\">\n"
        "<cpix:Data>\n<pskc:Secret>\n<pskc:PlainValue>" KEY_TEXT "</pskc:PlainValue>\n"
        "</pskc:Secret>\n</cpix:Data>\n</cpix:ContentKey>\n"
        "<cpix:ContentKey kid=\"" KID_2 "\" commonEncryptionScheme=\"cbcs\""
        " explicitIV=\"ABEiM0RVZneImaq7zN3u/w==\">\n"
        "<cpix:Data>\n<pskc:Secret>\n<pskc:PlainValue>" KEY_TEXT "</pskc:PlainValue>\n"
        "</pskc:Secret>\n</cpix:Data>\n</cpix:ContentKey>\n"
        "</cpix:ContentKeyList>\n"
        "<cpix:DRMSystemList>\n"
        "<cpix:DRMSystem kid=\"" KID_1 "\" systemId=\"" WIDEVINE "\">\n"
        "<cpix:HLSSignalingData playlist=\"media\">value0/1+</cpix:HLSSignalingData>\n"
        "<cpix:HLSSignalingData playlist=\"master\">value0/2+</cpix:HLSSignalingData>\n"
        "</cpix:DRMSystem>\n"
        "<cpix:DRMSystem kid=\"" KID_2 "\" systemId=\"" FAIRPLAY "\">\n"
        "<cpix:PSSH/>\n"
        "</cpix:DRMSystem>\n"
        "</cpix:DRMSystemList>\n"
        "<cpix:ContentKeyPeriodList>\n"
        "<cpix:ContentKeyPeriod id=\"p1\" index=\"0\"/>\n"
        "</cpix:ContentKeyPeriodList>\n"
        "<cpix:ContentKeyUsageRuleList>\n"
        "<cpix:ContentKeyUsageRule kid=\"" KID_1 "\" intendedTrackType=\"VIDEO\">\n"
        "<cpix:KeyPeriodFilter periodId=\"p1\"/>\n"
        "<cpix:VideoFilter/>\n"
        "</cpix:ContentKeyUsageRule>\n"
        "<cpix:ContentKeyUsageRule kid=\"" KID_2 "\" intendedTrackType=\"AUDIO\">\n"
        "<cpix:KeyPeriodFilter periodId=\"p1\"/>\n"
        "<cpix:AudioFilter/>\n"
        "</cpix:ContentKeyUsageRule>\n"
        "</cpix:ContentKeyUsageRuleList>\n"
        "</cpix:CPIX>\n");
}

static void v1_answer_to_the_byte(void **state)
{
    struct fixture *x = *state;
    fixture_read_well(x, fixture_edit(FIXTURE_V1, "<cpix:ContentKey ",
                                      "<cpix:ContentKey commonEncryptionScheme=\"cbcs\" "));
    check_well(x, SPEKE_V1);
    fill(x);
    x->doc.keys[0].explicit_iv = NULL;
    assert_string_equal(
        written(&x->doc),
        "<cpix:CPIX " NAMESPACES " xmlns:speke=\"urn:aws:amazon:com:speke\" id=\"movie-7781\">\n"
        "<cpix:ContentKeyList>\n"
        "<cpix:ContentKey kid=\"" KID_1 "\">\n"
        "<cpix:Data>\n<pskc:Secret>\n<pskc:PlainValue>" KEY_TEXT "</pskc:PlainValue>\n"
        "</pskc:Secret>\n</cpix:Data>\n</cpix:ContentKey>\n"
        "</cpix:ContentKeyList>\n"
        "<cpix:DRMSystemList>\n"
        "<cpix:DRMSystem kid=\"" KID_1 "\" systemId=\"" AES_128_V1 "\">\n"
        "<cpix:URIExtXKey>value0/0+</cpix:URIExtXKey>\n"
        "<speke:KeyFormat>value0/1+</speke:KeyFormat>\n"
        "<speke:KeyFormatVersions>value0/2+</speke:KeyFormatVersions>\n"
        "</cpix:DRMSystem>\n"
        "<cpix:DRMSystem kid=\"" KID_1 "\" systemId=\"" PLAYREADY "\">\n"
        "<speke:ProtectionHeader>value1/0+</speke:ProtectionHeader>\n"
        "<cpix:PSSH>value1/1+</cpix:PSSH>\n"
        "</cpix:DRMSystem>\n"
        "</cpix:DRMSystemList>\n"
        "<cpix:ContentKeyPeriodList>\n"
        "<cpix:ContentKeyPeriod id=\"p7\" index=\"7\"/>\n"
        "</cpix:ContentKeyPeriodList>\n"
        "<cpix:ContentKeyUsageRuleList>\n"
        "<cpix:ContentKeyUsageRule kid=\"" KID_1 "\">\n"
        "<cpix:KeyPeriodFilter periodId=\"p7\"/>\n"
        "</cpix:ContentKeyUsageRule>\n"
        "</cpix:ContentKeyUsageRuleList>\n"
        "</cpix:CPIX>\n");
}

static void v2_never_holds_the_speke_namespace(void **state)
{
    struct fixture *x = *state;
    fixture_read_well(x, fixture_file("v2.0-other-prefixes.xml"));
    check_well(x, SPEKE_V2_0);
    fill(x);
    const char *text = written(&x->doc);
    assert_null(strstr(text, "urn:aws:amazon:com:speke"));
    assert_null(strstr(text, "speke:"));
    assert_null(strstr(text, "URIExtXKey"));
    assert_non_null(strstr(text, NAMESPACES));
    assert_null(strstr(text, "pksc"));
    assert_non_null(strstr(text, "<cpix:PSSH>value0/2+</cpix:PSSH>"));
    assert_non_null(strstr(text, "commonEncryptionScheme=\" cenc \""));
    /* Nor where attributes are echoed. */
    fixture_read_well(
        x, fixture_edit(FIXTURE_V2_0, "<cpix:ContentKeyPeriod ",
                        "<cpix:ContentKeyPeriod xmlns:s=\"urn:aws:amazon:com:speke\" s:a=\"b\" "));
    check_well(x, SPEKE_V2_0);
    assert_null(strstr(written(&x->doc), "amazon"));
}

static void v1_declares_the_speke_namespace_when_it_is_used(void **state)
{
    struct fixture *x = *state;
    fixture_read_well(x, FIXTURE_V1);
    check_well(x, SPEKE_V1);
    assert_null(strstr(written(&x->doc), "speke"));
    x->doc.systems[1].placeholders[0].value = "AAAA";
    assert_non_null(strstr(written(&x->doc), " xmlns:speke=\"urn:aws:amazon:com:speke\""));
}

/* Values that go back in attributes, as they have to stand in the answer. */
static const struct {
    const char *received, *echoed;
} ECHOES[] = {
    {"a&amp;b", "a&amp;b"},
    {"&amp;amp;&amp;#38;", "&amp;amp;&amp;#38;"},
    {"&lt;x y='z'/&gt;", "&lt;x y=&#39;z&#39;/&gt;"},
    {"&quot;", "&quot;"},
    {"a&#9;b&#10;c&#13;d", "a&#9;b&#10;c&#13;d"},
    {"Grüße 世界 😀", "Grüße 世界 😀"},
    {"&#xFC;", "ü"},
    {"  blanks  ", "  blanks  "},
    {"2027-03-01T10:00:00.040+02:00", "2027-03-01T10:00:00.040+02:00"},
    {"", ""},
};

static void values_are_echoed_to_the_byte(void **state)
{
    struct fixture *x = *state;
    for (size_t i = 0; i < COUNT(ECHOES); i++) {
        char text[1024], expected[1024];
        const char *r = ECHOES[i].received, *e = ECHOES[i].echoed;
        (void)snprintf(text, sizeof text,
                       "<c:CPIX xmlns:c='urn:dashif:org:cpix' contentId=\"%s\" name=\"%s\">"
                       "<c:ContentKeyPeriodList id=\"%s\"><c:ContentKeyPeriod z=\"%s\" end=\"%s\"/>"
                       "</c:ContentKeyPeriodList><c:ContentKeyUsageRuleList>"
                       "<c:ContentKeyUsageRule intendedTrackType=\"%s\"><c:VideoFilter a=\"%s\"/>"
                       "</c:ContentKeyUsageRule></c:ContentKeyUsageRuleList></c:CPIX>",
                       r, r, r, r, r, r, r);
        fixture_read_well(x, text);
        x->doc.version = SPEKE_V2_1;
        (void)snprintf(expected, sizeof expected,
                       "<cpix:CPIX " NAMESPACES " contentId=\"%s\" name=\"%s\">\n"
                       "<cpix:ContentKeyPeriodList id=\"%s\">\n"
                       "<cpix:ContentKeyPeriod z=\"%s\" end=\"%s\"/>\n"
                       "</cpix:ContentKeyPeriodList>\n<cpix:ContentKeyUsageRuleList>\n"
                       "<cpix:ContentKeyUsageRule intendedTrackType=\"%s\">\n"
                       "<cpix:VideoFilter a=\"%s\"/>\n</cpix:ContentKeyUsageRule>\n"
                       "</cpix:ContentKeyUsageRuleList>\n</cpix:CPIX>\n",
                       e, e, e, e, e, e, e);
        assert_string_equal(written(&x->doc), expected);
    }
}

static void foreign_names_are_echoed_with_their_namespace(void **state)
{
    struct fixture *x = *state;
    fixture_read_well(
        x,
        "<c:CPIX xmlns:c='urn:dashif:org:cpix' xmlns:cpix='urn:a&amp;b' xmlns:a1='urn:other'>"
        "<c:ContentKeyPeriodList><c:ContentKeyPeriod cpix:id='1' id='2' a1:id='3' c:id='4' "
        "xml:id='5'/>"
        "</c:ContentKeyPeriodList><c:ContentKeyUsageRuleList><c:ContentKeyUsageRule xml:lang='de'>"
        "<a1:VideoFilter b='c' cpix:d='e'/><VideoFilter/></c:ContentKeyUsageRule>"
        "</c:ContentKeyUsageRuleList></c:CPIX>");
    x->doc.version = SPEKE_V1;
    assert_string_equal(
        written(&x->doc),
        "<cpix:CPIX " NAMESPACES ">\n<cpix:ContentKeyPeriodList>\n"
        "<cpix:ContentKeyPeriod xmlns:a1=\"urn:a&amp;b\" a1:id=\"1\" id=\"2\""
        " xmlns:a3=\"urn:other\" a3:id=\"3\" xmlns:a4=\"urn:dashif:org:cpix\" a4:id=\"4\""
        " xml:id=\"5\"/>\n"
        "</cpix:ContentKeyPeriodList>\n<cpix:ContentKeyUsageRuleList>\n"
        "<cpix:ContentKeyUsageRule xml:lang=\"de\">\n"
        "<VideoFilter xmlns=\"urn:other\" b=\"c\" xmlns:a2=\"urn:a&amp;b\" a2:d=\"e\"/>\n"
        "<VideoFilter/>\n"
        "</cpix:ContentKeyUsageRule>\n</cpix:ContentKeyUsageRuleList>\n</cpix:CPIX>\n");
}

/* HDCPData before Data, as the schema of CPIX 2.4 has it; SPEKE v2.0 knows none of these. */
static void what_v21_adds_stands_in_v21_alone(void **state)
{
    struct fixture *x = *state;
    fixture_read_well(x,
                      fixture_edit(FIXTURE_V2_0, "<cpix:PSSH/>", "<cpix:ContentProtectionData/>"));
    check_well(x, SPEKE_V2_0);
    x->doc.keys[0].key = KEY;
    x->doc.keys[0].hdcp_level = "TYPE-1";
    x->doc.keys[0].hdcp_output_protection = "PGEvPg==";
    x->doc.systems[0].hls_allowed_cpc = "f:A&B";
    x->doc.systems[0].placeholders[0].value = "AAAA";
    x->doc.systems[0].placeholders[0].robustness = "<HW>";
    const char *text = written(&x->doc);
    assert_null(strstr(text, "HDCP"));
    assert_null(strstr(text, "HLSAllowedCPC"));
    assert_null(strstr(text, "robustness"));
    x->doc.version = SPEKE_V2_1;
    text = written(&x->doc);
    assert_non_null(strstr(text,
                           " commonEncryptionScheme=\"cbcs\">\n<cpix:HDCPData "
                           "HLSHDCPLevel=\"TYPE-1\">\n<cpix:HDCPOutputProtectionData>PGEvPg=="
                           "</cpix:HDCPOutputProtectionData>\n</cpix:HDCPData>\n<cpix:Data>\n"));
    assert_non_null(strstr(text, " HLSAllowedCPC=\"f:A&amp;B\">\n<cpix:ContentProtectionData "
                                 "robustness=\"&lt;HW&gt;\">AAAA<"));
    /* And all of it is read again. */
    struct fixture again = {0};
    arena_init(&again.arena, 1 << 20);
    fixture_read_well(&again, text);
    assert_string_equal(again.doc.keys[0].hdcp_level, "TYPE-1");
    assert_string_equal(again.doc.keys[0].hdcp_output_protection, "PGEvPg==");
    assert_null(again.doc.keys[1].hdcp_level);
    assert_string_equal(again.doc.systems[0].hls_allowed_cpc, "f:A&B");
    assert_string_equal(again.doc.systems[0].placeholders[0].robustness, "<HW>");
    arena_free(&again.arena);
}

static void texts_are_escaped(void **state)
{
    struct fixture *x = *state;
    fixture_read_well(x, FIXTURE_V2_0);
    check_well(x, SPEKE_V2_0);
    x->doc.systems[0].placeholders[0].value = "</cpix:PSSH>&\r";
    assert_non_null(
        strstr(written(&x->doc), "<cpix:PSSH>&lt;/cpix:PSSH&gt;&amp;&#13;</cpix:PSSH>\n"));
}

static void same_attributes(const struct cpix_attributes *a, const struct cpix_attributes *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_string_equal(a->items[i].name, b->items[i].name);
        assert_string_equal(a->items[i].value, b->items[i].value);
    }
}

static void same_contract(const struct cpix_document *a, const struct cpix_document *b)
{
    assert_int_equal(a->period_count, b->period_count);
    for (size_t i = 0; i < a->period_count; i++)
        same_attributes(&a->periods[i].attributes, &b->periods[i].attributes);
    assert_int_equal(a->rule_count, b->rule_count);
    for (size_t i = 0; i < a->rule_count; i++) {
        same_attributes(&a->rules[i].attributes, &b->rules[i].attributes);
        assert_int_equal(a->rules[i].filter_count, b->rules[i].filter_count);
        for (size_t j = 0; j < a->rules[i].filter_count; j++) {
            assert_string_equal(a->rules[i].filters[j].name, b->rules[i].filters[j].name);
            same_attributes(&a->rules[i].filters[j].attributes, &b->rules[i].filters[j].attributes);
        }
    }
}

static void same_places(const struct cpix_document *asked, const struct cpix_document *got)
{
    assert_int_equal(asked->key_count, got->key_count);
    for (size_t i = 0; i < asked->key_count; i++) {
        assert_string_equal(asked->keys[i].kid_text, got->keys[i].kid_text);
        assert_string_equal(got->keys[i].plain_value, KEY_TEXT);
    }
    assert_int_equal(asked->system_count, got->system_count);
    for (size_t i = 0; i < asked->system_count; i++) {
        const struct cpix_drm_system *a = &asked->systems[i], *b = &got->systems[i];
        assert_string_equal(a->kid_text, b->kid_text);
        assert_string_equal(a->system_id_text, b->system_id_text);
        size_t k = 0;
        for (size_t j = 0; j < b->placeholder_count; j++, k++) {
            while (a->placeholders[k].field != b->placeholders[j].field)
                k++; /* URIExtXKey and speke:KeyFormat are gone in v2.0 */
            assert_string_equal(a->placeholders[k].value, b->placeholders[j].received);
        }
    }
}

static void what_was_written_reads_the_same(void **state)
{
    static const struct {
        const char *file;
        enum speke_version version;
    } FILES[] = {
        {"v1-live.xml", SPEKE_V1},
        {"v1-vod.xml", SPEKE_V1},
        {"v2.0-vod.xml", SPEKE_V2_0},
        {"v2.0-live.xml", SPEKE_V2_0},
        {"v2.0-other-prefixes.xml", SPEKE_V2_0},
        {"v2.1-live-times.xml", SPEKE_V2_1},
        {"v2.1-vod-offsets.xml", SPEKE_V2_1},
    };
    struct fixture *x = *state;
    for (size_t i = 0; i < COUNT(FILES); i++) {
        static struct fixture again;
        char first[65536];
        fixture_read_well(x, fixture_file(FILES[i].file));
        check_well(x, FILES[i].version);
        fill(x);
        (void)strcpy(first, written(&x->doc));
        arena_init(&again.arena, 1 << 20);
        fixture_read_well(&again, first);
        same_places(&x->doc, &again.doc);
        same_contract(&x->doc, &again.doc);
        /* An answer is a good document too, and it is written as it was. */
        check_well(&again, FILES[i].version);
        for (size_t j = 0; j < again.doc.key_count; j++)
            again.doc.keys[j].key = KEY;
        for (size_t j = 0; j < again.doc.system_count; j++) {
            struct cpix_drm_system *system = &again.doc.systems[j];
            for (size_t k = 0; k < system->placeholder_count; k++)
                system->placeholders[k].value = system->placeholders[k].received;
        }
        assert_string_equal(written(&again.doc), first);
        arena_free(&again.arena);
    }
}

/* A request made in memory, as spekectl does. */
static void requests_are_written(void **state)
{
    (void)state;
    struct cpix_placeholder places[] = {
        {.field = CPIX_PSSH, .value = ""},
        {.field = CPIX_HLS_SIGNALING_DATA, .playlist = "media", .value = ""},
        {.field = CPIX_SMOOTH_HEADER}};
    struct cpix_content_key key = {
        .kid_text = KID_1, .scheme_text = "cenc", .id = "i", .algorithm = "a"};
    struct cpix_drm_system system = {.kid_text = KID_1,
                                     .system_id_text = WIDEVINE,
                                     .id = "s",
                                     .name = "n",
                                     .placeholders = places,
                                     .placeholder_count = COUNT(places)};
    struct cpix_attribute attributes[] = {{.name = "kid", .value = KID_1},
                                          {.name = "intendedTrackType", .value = "VIDEO"}};
    struct cpix_filter filter = {
        .kind = CPIX_VIDEO_FILTER, .name = "VideoFilter", .name_space = CPIX_NAMESPACE};
    struct cpix_rule rule = {
        .attributes = {attributes, COUNT(attributes)}, .filters = &filter, .filter_count = 1};
    const struct cpix_document doc = {.version = SPEKE_V2_0,
                                      .content_id = "m",
                                      .version_text = "2.3",
                                      .keys = &key,
                                      .key_count = 1,
                                      .systems = &system,
                                      .system_count = 1,
                                      .rules = &rule,
                                      .rule_count = 1};
    assert_string_equal(
        written(&doc),
        "<cpix:CPIX " NAMESPACES " contentId=\"m\" version=\"2.3\">\n<cpix:ContentKeyList>\n"
        "<cpix:ContentKey kid=\"" KID_1
        "\" commonEncryptionScheme=\"cenc\" id=\"i\" Algorithm=\"a\"/>\n"
        "</cpix:ContentKeyList>\n<cpix:DRMSystemList>\n"
        "<cpix:DRMSystem kid=\"" KID_1 "\" systemId=\"" WIDEVINE "\" id=\"s\" name=\"n\">\n"
        "<cpix:PSSH/>\n<cpix:HLSSignalingData playlist=\"media\"/>\n</cpix:DRMSystem>\n"
        "</cpix:DRMSystemList>\n<cpix:ContentKeyUsageRuleList>\n"
        "<cpix:ContentKeyUsageRule kid=\"" KID_1
        "\" intendedTrackType=\"VIDEO\">\n<cpix:VideoFilter/>\n"
        "</cpix:ContentKeyUsageRule>\n</cpix:ContentKeyUsageRuleList>\n</cpix:CPIX>\n");
}

static void buffer_that_is_full_is_told(void **state)
{
    struct fixture *x = *state;
    fixture_read_well(x, FIXTURE_V2_0);
    check_well(x, SPEKE_V2_0);
    fill(x);
    const size_t whole = strlen(written(&x->doc));
    for (size_t max = 0; max <= whole; max++) {
        struct buf out;
        buf_init(&out, max);
        cpix_write(&x->doc, &out);
        assert_int_equal(buf_ok(&out), max == whole);
        assert_true(out.len <= max);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(v2_answer_to_the_byte),
        cmocka_unit_test(v1_answer_to_the_byte),
        cmocka_unit_test(v2_never_holds_the_speke_namespace),
        cmocka_unit_test(v1_declares_the_speke_namespace_when_it_is_used),
        cmocka_unit_test(values_are_echoed_to_the_byte),
        cmocka_unit_test(foreign_names_are_echoed_with_their_namespace),
        cmocka_unit_test(texts_are_escaped),
        cmocka_unit_test(what_v21_adds_stands_in_v21_alone),
        cmocka_unit_test(what_was_written_reads_the_same),
        cmocka_unit_test(requests_are_written),
        cmocka_unit_test(buffer_that_is_full_is_told),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
