/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader keeps of a document, whatever its dress. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cpix_fixture.h"

#include <cmocka.h>

/* A document with one element of each kind below a root, for the pieces of a test. */
#define HEAD                                                                                   \
    "<cpix:CPIX contentId='m' version='2.3' xmlns:cpix='urn:dashif:org:cpix'"                  \
    " xmlns:pskc='urn:ietf:params:xml:ns:keyprov:pskc' xmlns:speke='urn:aws:amazon:com:speke'" \
    " xmlns:ds='http://www.w3.org/2000/09/xmldsig#'>"
#define FOOT       "</cpix:CPIX>"
#define KEYS(x)    "<cpix:ContentKeyList>" x "</cpix:ContentKeyList>"
#define SYSTEMS(x) "<cpix:DRMSystemList>" x "</cpix:DRMSystemList>"
#define RULES(x)   "<cpix:ContentKeyUsageRuleList>" x "</cpix:ContentKeyUsageRuleList>"
#define PERIODS(x) "<cpix:ContentKeyPeriodList>" x "</cpix:ContentKeyPeriodList>"

static void reads_every_list(void **state)
{
    struct fixture *x = *state;
    const struct cpix_document *doc = &x->doc;
    fixture_read_well(x, FIXTURE_V2_0);
    assert_string_equal(doc->content_id, "movie-7781");
    assert_string_equal(doc->version_text, "2.3");
    assert_null(doc->id);
    assert_null(doc->name);
    assert_int_equal(doc->key_count, 2);
    assert_string_equal(doc->keys[1].kid_text, KID_2);
    assert_string_equal(doc->keys[1].scheme_text, "cbcs");
    assert_null(doc->keys[1].explicit_iv);
    assert_null(doc->keys[1].plain_value);
    assert_int_equal(doc->system_count, 2);
    assert_string_equal(doc->systems[0].system_id_text, WIDEVINE);
    assert_int_equal(doc->systems[0].placeholder_count, 3);
    assert_int_equal(doc->systems[0].placeholders[0].field, CPIX_PSSH);
    assert_string_equal(doc->systems[0].placeholders[0].received, "");
    assert_null(doc->systems[0].placeholders[0].value);
    assert_string_equal(doc->systems[0].placeholders[2].playlist, "master");
    assert_int_equal(doc->period_count, 1);
    assert_string_equal(doc->periods[0].id, "p1");
    assert_string_equal(doc->periods[0].index, "0");
    assert_int_equal(doc->rule_count, 2);
    assert_string_equal(doc->rules[1].kid_text, KID_2);
    assert_string_equal(doc->rules[1].intended_track_type, "AUDIO");
    assert_int_equal(doc->rules[1].filter_count, 2);
    assert_int_equal(doc->rules[1].filters[0].kind, CPIX_KEY_PERIOD_FILTER);
    assert_int_equal(doc->rules[1].filters[1].kind, CPIX_AUDIO_FILTER);
    assert_int_equal(doc->delivery_list.occurrences, 0);
    assert_int_equal(doc->rule_list.occurrences, 1);
}

static void reads_v1_placeholders(void **state)
{
    struct fixture *x = *state;
    static const enum cpix_field FIELDS[] = {CPIX_URI_EXT_X_KEY, CPIX_SPEKE_KEY_FORMAT,
                                             CPIX_SPEKE_KEY_FORMAT_VERSIONS};
    fixture_read_well(x, FIXTURE_V1);
    assert_string_equal(x->doc.id, "movie-7781");
    assert_int_equal(x->doc.systems[0].placeholder_count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(x->doc.systems[0].placeholders[i].field, FIELDS[i]);
    assert_int_equal(x->doc.systems[1].placeholders[0].field, CPIX_SPEKE_PROTECTION_HEADER);
}

static void knows_the_line_of_each_element(void **state)
{
    struct fixture *x = *state;
    const struct cpix_document *doc = &x->doc;
    fixture_read_well(x, FIXTURE_V2_0);
    assert_int_equal(doc->line, 1);
    assert_int_equal(doc->key_list.line, 2);
    assert_int_equal(doc->keys[0].line, 3);
    assert_int_equal(doc->keys[1].line, 4);
    assert_int_equal(doc->system_list.line, 6);
    assert_int_equal(doc->systems[1].line, 12);
    assert_int_equal(doc->systems[0].placeholders[2].line, 10);
    assert_int_equal(doc->periods[0].line, 17);
    assert_int_equal(doc->rules[0].line, 20);
    assert_int_equal(doc->rules[1].filters[1].line, 26);
}

static void line_is_where_a_tag_begins(void **state)
{
    struct fixture *x = *state;
    fixture_read_well(
        x, "<?xml version='1.0' encoding='utf-8'?>\n<!-- a\nb -->\n\n"
           "<c:CPIX\n  contentId='a\nb'\n xmlns:c='urn:dashif:org:cpix'\n><c:ContentKeyList\n"
           "><c:ContentKey\n\n kid='x'/><c:ContentKey kid='>\n'\n/></c:ContentKeyList></c:CPIX>");
    assert_int_equal(x->doc.line, 5);
    assert_int_equal(x->doc.key_list.line, 9);
    assert_int_equal(x->doc.keys[0].line, 10);
    assert_int_equal(x->doc.keys[1].line, 12);
}

static void prefixes_do_not_matter(void **state)
{
    struct fixture *x = *state;
    fixture_read_well(x, "<CPIX xmlns='urn:dashif:org:cpix' contentId='m'><ContentKeyList>"
                         "<x:ContentKey xmlns:x='urn:dashif:org:cpix' kid='k'><Data>"
                         "<pksc:Secret xmlns:pksc='urn:ietf:params:xml:ns:keyprov:pskc'>"
                         "<pksc:PlainValue>AAAA</pksc:PlainValue></pksc:Secret></Data>"
                         "</x:ContentKey></ContentKeyList></CPIX>");
    assert_int_equal(x->doc.key_count, 1);
    assert_string_equal(x->doc.keys[0].plain_value, "AAAA");
}

static void other_namespaces_are_not_ours(void **state)
{
    struct fixture *x = *state;
    fixture_read_well(x, HEAD "<ContentKeyList/><speke:ContentKeyList/>"
                              "<cpix:ContentKeyList><ContentKey kid='a'/><pskc:ContentKey kid='b'/>"
                              "<cpix:ContentKey cpix:kid='c' kid='d'/></cpix:ContentKeyList>" FOOT);
    assert_int_equal(x->doc.key_list.occurrences, 1);
    assert_int_equal(x->doc.key_count, 1);
    assert_string_equal(x->doc.keys[0].kid_text, "d");
}

static void skips_what_it_does_not_know(void **state)
{
    struct fixture *x = *state;
    fixture_read_well(
        x, HEAD "text<cpix:UpdateHistoryItemList><cpix:ContentKeyList><cpix:ContentKey kid='no'/>"
                "</cpix:ContentKeyList></cpix:UpdateHistoryItemList><cpix:ContentKey kid='no'/>" //
        KEYS("<cpix:ContentKey kid='a' dependsOnKey='z' new='1'><cpix:New><cpix:Data/></cpix:New>"
             "</cpix:ContentKey><!-- <cpix:ContentKey kid='no'/> -->"
             "<?x <cpix:ContentKey kid='no'/> ?>") FOOT);
    assert_int_equal(x->doc.key_list.occurrences, 1);
    assert_int_equal(x->doc.key_count, 1);
    assert_string_equal(x->doc.keys[0].kid_text, "a");
}

static void counts_repeated_lists(void **state)
{
    struct fixture *x = *state;
    fixture_read_well(
        x,
        HEAD "\n<cpix:ContentKeyList id='l1'><cpix:ContentKey kid='a'/></cpix:ContentKeyList>\n"
             "<cpix:ContentKeyList id='l2'><cpix:ContentKey kid='b'/></cpix:ContentKeyList>" FOOT);
    assert_int_equal(x->doc.key_list.occurrences, 2);
    assert_int_equal(x->doc.key_list.line, 2);
    assert_int_equal(x->doc.key_list.last_line, 3);
    assert_string_equal(x->doc.key_list.id, "l1");
    assert_int_equal(x->doc.key_count, 2);
    assert_string_equal(x->doc.keys[1].kid_text, "b");
}

/* Values of contentId as they stand in the document, and what they mean. */
static const struct {
    const char *name, *written, *meant;
} VALUES[] = {
    {"ampersand", "a&amp;b", "a&b"},
    {"ampersands in a row", "&amp;&amp;&amp;", "&&&"},
    {"ampersand as decimal reference", "&#38;x", "&x"},
    {"ampersand as hexadecimal reference", "&#x26;x", "&x"},
    {"written reference to an ampersand", "&amp;#38;", "&#38;"},
    {"written entity", "&amp;amp;lt;", "&amp;lt;"},
    {"ampersand at the end", "x&amp;", "x&"},
    {"entity that looks cut", "&amp;#38", "&#38"},
    {"less and greater", "&lt;a&gt;", "<a>"},
    {"quotes", "&quot;&apos;\"", "\"'\""},
    {"literal TAB and LF become blanks", "a\tb\nc", "a b c"},
    {"written TAB, LF and CR stay", "a&#9;b&#10;c&#13;", "a\tb\nc\r"},
    {"non-ASCII", "Grüße 世界 😀", "Grüße 世界 😀"},
    {"non-ASCII by reference", "&#xFC;&#x4E16;&#x1F600;", "ü世😀"},
    {"blanks stay", "  a  ", "  a  "},
    {"empty", "", ""},
    {"percent and path", "../%s/..%n", "../%s/..%n"},
};

static void attribute_values_mean_what_was_meant(void **state)
{
    struct fixture *x = *state;
    for (size_t i = 0; i < sizeof VALUES / sizeof VALUES[0]; i++) {
        char text[256];
        (void)snprintf(text, sizeof text, "<c:CPIX xmlns:c='urn:dashif:org:cpix' contentId='%s'/>",
                       VALUES[i].written);
        fixture_read_well(x, text);
        if (strcmp(x->doc.content_id, VALUES[i].meant) != 0)
            fail_msg("%s: got \"%s\"", VALUES[i].name, x->doc.content_id);
    }
}

static void collects_texts(void **state)
{
    struct fixture *x = *state;
    fixture_read_well(
        x,
        HEAD SYSTEMS(
            "<cpix:DRMSystem kid='k'><cpix:PSSH>AA<!-- c -->BB<![CDATA[CC&]]>&amp;&lt;"
            "<cpix:Other>no</cpix:Other>DD</cpix:PSSH>"
            "<cpix:ContentProtectionData robustness='x'> E\nF </cpix:ContentProtectionData>"
            "<cpix:SmoothStreamingProtectionHeaderData></cpix:SmoothStreamingProtectionHeaderData>"
            "</cpix:DRMSystem>") FOOT);
    const struct cpix_placeholder *p = x->doc.systems[0].placeholders;
    assert_int_equal(x->doc.systems[0].placeholder_count, 3);
    assert_string_equal(p[0].received, "AABBCC&&<DD");
    assert_string_equal(p[1].received, " E\nF ");
    assert_string_equal(p[2].received, "");
}

static void reads_answers(void **state)
{
    struct fixture *x = *state;
    fixture_read_well(
        x,
        HEAD KEYS(
            "<cpix:ContentKey kid='k' explicitIV='ABEiM0RVZneImaq7zN3u/w==' id='i' Algorithm='a'>"
            "<cpix:Data><pskc:Secret><pskc:PlainValue>jW8LHlLDSpew4dLzpLXG1w==</pskc:PlainValue>"
            "<pskc:PlainValue>second</pskc:PlainValue></pskc:Secret></cpix:Data></cpix:ContentKey>"
            "<cpix:ContentKey kid='l'><cpix:Data><pskc:Secret/></cpix:Data></cpix:ContentKey>")
            FOOT);
    assert_string_equal(x->doc.keys[0].plain_value, "jW8LHlLDSpew4dLzpLXG1w==");
    assert_string_equal(x->doc.keys[0].explicit_iv, "ABEiM0RVZneImaq7zN3u/w==");
    assert_string_equal(x->doc.keys[0].id, "i");
    assert_string_equal(x->doc.keys[0].algorithm, "a");
    assert_null(x->doc.keys[1].plain_value);
    assert_null(x->doc.keys[0].key);
}

static void reads_recipients(void **state)
{
    struct fixture *x = *state;
    fixture_read_well(
        x, HEAD "<cpix:DeliveryDataList><cpix:DeliveryData id='a' name='n'><cpix:DeliveryKey>"
                "<ds:X509Data><ds:X509Certificate>MIID\nABC=</ds:X509Certificate></ds:X509Data>"
                "</cpix:DeliveryKey></cpix:DeliveryData><cpix:DeliveryData><cpix:DeliveryKey/>"
                "</cpix:DeliveryData></cpix:DeliveryDataList>" FOOT);
    assert_int_equal(x->doc.delivery_list.occurrences, 1);
    assert_int_equal(x->doc.delivery_count, 2);
    assert_string_equal(x->doc.deliveries[0].id, "a");
    assert_string_equal(x->doc.deliveries[0].name, "n");
    assert_string_equal(x->doc.deliveries[0].certificate, "MIID\nABC=");
    assert_null(x->doc.deliveries[1].certificate);
}

static void keeps_periods_and_rules_whole(void **state)
{
    struct fixture *x = *state;
    fixture_read_well(
        x,
        HEAD PERIODS("<cpix:ContentKeyPeriod end='2027-03-01T10:05:00.250+02:00' id='p' x:y='z'"
                     " start='s' startOffset='PT0S' endOffset='PT5M' label='l' xmlns:x='urn:x'/>")
            RULES(
                "<cpix:ContentKeyUsageRule xml:lang='de' kid='k' id='r' intendedTrackType='T'>"
                "<cpix:VideoFilter b='1' a='2'/><cpix:LabelFilter label='x'/><cpix:BitrateFilter/>"
                "<cpix:Odd/><Bare/><x:VideoFilter xmlns:x='urn:x'/></cpix:ContentKeyUsageRule>")
                FOOT);
    const struct cpix_period *period = &x->doc.periods[0];
    assert_int_equal(period->attributes.count, 7);
    assert_string_equal(period->attributes.items[0].name, "end");
    assert_string_equal(period->attributes.items[0].value, "2027-03-01T10:05:00.250+02:00");
    assert_string_equal(period->attributes.items[2].name_space, "urn:x");
    assert_string_equal(period->end, "2027-03-01T10:05:00.250+02:00");
    assert_string_equal(period->start, "s");
    assert_string_equal(period->start_offset, "PT0S");
    assert_string_equal(period->end_offset, "PT5M");
    assert_null(period->index);
    const struct cpix_rule *rule = &x->doc.rules[0];
    static const enum cpix_filter_kind KINDS[] = {CPIX_VIDEO_FILTER,   CPIX_LABEL_FILTER,
                                                  CPIX_BITRATE_FILTER, CPIX_OTHER_FILTER,
                                                  CPIX_OTHER_FILTER,   CPIX_OTHER_FILTER};
    assert_int_equal(rule->attributes.count, 4);
    assert_string_equal(rule->attributes.items[0].name_space,
                        "http://www.w3.org/XML/1998/namespace");
    assert_string_equal(rule->intended_track_type, "T");
    assert_int_equal(rule->filter_count, 6);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(rule->filters[i].kind, KINDS[i]);
    assert_string_equal(rule->filters[0].attributes.items[1].name, "a");
    assert_string_equal(rule->filters[3].name, "Odd");
    assert_null(rule->filters[4].name_space);
    assert_string_equal(rule->filters[5].name_space, "urn:x");
}

static void notices_what_is_inside_a_filter(void **state)
{
    struct fixture *x = *state;
    fixture_read_well(x, HEAD RULES("<cpix:ContentKeyUsageRule kid='k'>"
                                    "<cpix:VideoFilter><cpix:AudioFilter/></cpix:VideoFilter>"
                                    "<cpix:VideoFilter>text</cpix:VideoFilter>"
                                    "<cpix:VideoFilter> \n<!-- c --></cpix:VideoFilter>"
                                    "</cpix:ContentKeyUsageRule>") FOOT);
    const struct cpix_rule *rule = &x->doc.rules[0];
    assert_int_equal(rule->filter_count, 3);
    assert_true(rule->filters[0].has_content);
    assert_true(rule->filters[1].has_content);
    assert_false(rule->filters[2].has_content);
}

static void lists_grow(void **state)
{
    struct fixture *x = *state;
    static char text[60000];
    size_t len = (size_t)snprintf(text, sizeof text, HEAD "<cpix:ContentKeyList>");
    for (int i = 0; i < 1000; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "<cpix:ContentKey kid='%d'/>\n", i);
    (void)snprintf(text + len, sizeof text - len, "</cpix:ContentKeyList>" FOOT);
    fixture_read_well(x, text);
    assert_int_equal(x->doc.key_count, 1000);
    for (int i = 0; i < 1000; i++) {
        char kid[16];
        (void)snprintf(kid, sizeof kid, "%d", i);
        assert_string_equal(x->doc.keys[i].kid_text, kid);
        assert_int_equal(x->doc.keys[i].line, i + 1);
    }
}

static void accepts_what_xml_allows_before_the_root(void **state)
{
    struct fixture *x = *state;
    static const char *const HEADS[] = {
        "\xef\xbb\xbf", "<?xml version='1.0'?>", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n",
        "\xef\xbb\xbf<?xml version='1.0' encoding = 'utf-8' standalone='yes'?>",
        "\n \t<!-- <!DOCTYPE x> & -->\n<?pi <!DOCTYPE x>?>"};
    for (size_t i = 0; i < sizeof HEADS / sizeof HEADS[0]; i++) {
        char text[8192];
        (void)snprintf(text, sizeof text, "%s%s<!-- end -->\n", HEADS[i], FIXTURE_V2_0);
        fixture_read_well(x, text);
        assert_int_equal(x->doc.key_count, 2);
    }
}

static void arena_that_is_full_is_an_internal_error(void **state)
{
    struct fixture *x = *state;
    struct arena small;
    for (size_t max = 0; max < 2048; max += 16) {
        arena_init(&small, max);
        const int result = cpix_read(FIXTURE_V2_0, strlen(FIXTURE_V2_0), &CPIX_DEFAULT_LIMITS,
                                     &small, &x->doc, &x->failure);
        assert_int_equal(result, -1);
        assert_int_equal(x->failure.status, 500);
        arena_free(&small);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_list),
        cmocka_unit_test(reads_v1_placeholders),
        cmocka_unit_test(knows_the_line_of_each_element),
        cmocka_unit_test(line_is_where_a_tag_begins),
        cmocka_unit_test(prefixes_do_not_matter),
        cmocka_unit_test(other_namespaces_are_not_ours),
        cmocka_unit_test(skips_what_it_does_not_know),
        cmocka_unit_test(counts_repeated_lists),
        cmocka_unit_test(attribute_values_mean_what_was_meant),
        cmocka_unit_test(collects_texts),
        cmocka_unit_test(reads_answers),
        cmocka_unit_test(reads_recipients),
        cmocka_unit_test(keeps_periods_and_rules_whole),
        cmocka_unit_test(notices_what_is_inside_a_filter),
        cmocka_unit_test(lists_grow),
        cmocka_unit_test(accepts_what_xml_allows_before_the_root),
        cmocka_unit_test(arena_that_is_full_is_an_internal_error),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
