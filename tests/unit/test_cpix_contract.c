/* SPDX-License-Identifier: Apache-2.0 */
/* The encryption contract: the ten published ones, the presets of AWS's encryptors, and one bad
 * contract for each way in which it can be malformed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cpix_fixture.h"

#include <cmocka.h>

#define E8  "Malformed encryption contract"
#define E10 "Missing CPIX encryption contract"

#define V(attributes) "<cpix:VideoFilter " attributes "/>"
#define A(attributes) "<cpix:AudioFilter " attributes "/>"
#define P(id)         "<cpix:KeyPeriodFilter periodId='" id "'/>"

#define SD    V("maxPixels='589824'")
#define UHD   V("minPixels='2073601'")
#define UHD1  V("minPixels='2073601' maxPixels='8847360'")
#define UHD2  V("minPixels='8847361'")
#define HD1   V("minPixels='589825' maxPixels='921600'")
#define HD2   V("minPixels='921601' maxPixels='2073600'")
#define HD_UP V("minPixels='589825'")
#define HD    V("minPixels='589825' maxPixels='2073600'")

enum { MOST_RULES = 9 };

struct rule {
    const char *type, *filters; /* type NULL: no such rule */
    int key;                    /* 0: the key with the rule's number */
};

struct contract {
    const char *name;
    struct rule rules[MOST_RULES];
    const char *check, *place; /* of the first fault; NULL: there is none */
};

/* A document with a key for each rule, Widevine, and two periods. */
static void read_contract(struct fixture *x, const struct rule rules[MOST_RULES])
{
    static char text[32768];
    static const char KID[] = "00000000-0000-0000-0000-00000000000%d";
    char kid[UUID_TEXT_SIZE];
    size_t len = (size_t)snprintf(
        text, sizeof text,
        "<cpix:CPIX xmlns:cpix='urn:dashif:org:cpix' contentId='m' version='2.3'>"
        "<cpix:ContentKeyList>");
    for (int i = 0; i < MOST_RULES && rules[i].type != NULL; i++)
        if (rules[i].key == 0) {
            (void)snprintf(kid, sizeof kid, KID, i + 1);
            len += (size_t)snprintf(text + len, sizeof text - len,
                                    "<cpix:ContentKey kid='%s' commonEncryptionScheme='cenc'/>",
                                    kid);
        }
    len += (size_t)snprintf(
        text + len, sizeof text - len,
        "</cpix:ContentKeyList><cpix:DRMSystemList><cpix:DRMSystem kid='%.35s1' systemId='" WIDEVINE
        "'/>"
        "</cpix:DRMSystemList><cpix:ContentKeyPeriodList><cpix:ContentKeyPeriod id='p1' index='1'/>"
        "<cpix:ContentKeyPeriod id='p2' index='2'/></cpix:ContentKeyPeriodList>"
        "<cpix:ContentKeyUsageRuleList>",
        KID);
    for (int i = 0; i < MOST_RULES && rules[i].type != NULL; i++) {
        (void)snprintf(kid, sizeof kid, KID, rules[i].key == 0 ? i + 1 : rules[i].key);
        len += (size_t)snprintf(text + len, sizeof text - len,
                                "<cpix:ContentKeyUsageRule kid='%s' "
                                "intendedTrackType='%s'>%s</cpix:ContentKeyUsageRule>",
                                kid, rules[i].type, rules[i].filters);
    }
    (void)snprintf(text + len, sizeof text - len, "</cpix:ContentKeyUsageRuleList></cpix:CPIX>");
    fixture_read_well(x, text);
}

static void judge(const struct fixture_faults *faults, const struct contract *c)
{
    const struct cpix_fault *got = &faults->items[0];
    char place[128];
    if (c->check == NULL) {
        if (faults->count > 0)
            fail_msg("%s: %s \"%s\" at %s", c->name, got->rule, got->text, got->place);
        return;
    }
    if (faults->count == 0)
        fail_msg("%s: no fault", c->name);
    const bool whole = strncmp(c->place, "Content", 7) == 0;
    (void)snprintf(place, sizeof place, "%s%s",
                   whole ? "" : "ContentKeyUsageRuleList/ContentKeyUsageRule", c->place);
    const bool missing = strcmp(c->check, "V1") == 0 || strcmp(c->check, "V2") == 0;
    if (strcmp(got->rule, c->check) != 0 || strcmp(got->text, missing ? E10 : E8) != 0 ||
        strcmp(got->place, place) != 0)
        fail_msg("%s: %s \"%s\" at %s", c->name, got->rule, got->text, got->place);
}

static void check_table(struct fixture *x, const struct cpix_rules *rules,
                        const struct contract *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct fixture_faults faults = {0};
        read_contract(x, table[i].rules);
        fixture_check(x, rules, &faults);
        judge(&faults, &table[i]);
    }
}

/* --- What is allowed ------------------------------------------------------------------------ */

static const struct contract PUBLISHED[] = {
    {"1: one key for everything", {{"ALL", V("") A(""), 0}}, NULL, NULL},
    {"2: one video, one audio key", {{"VIDEO", V(""), 0}, {"AUDIO", A(""), 0}}, NULL, NULL},
    {"3: audio in the clear", {{"VIDEO", V(""), 0}}, NULL, NULL},
    {"4: SD, HD, audio", {{"SD", SD, 0}, {"HD", HD_UP, 0}, {"AUDIO", A(""), 0}}, NULL, NULL},
    {"5: SD, HD, UHD, audio",
     {{"SD", SD, 0}, {"HD", HD, 0}, {"UHD", UHD, 0}, {"AUDIO", A(""), 0}},
     NULL,
     NULL},
    {"6: two UHD levels",
     {{"SD", SD, 0}, {"HD", HD, 0}, {"UHD1", UHD1, 0}, {"UHD2", UHD2, 0}, {"AUDIO", A(""), 0}},
     NULL,
     NULL},
    {"7: two HD and two UHD levels",
     {{"SD", SD, 0},
      {"HD1", HD1, 0},
      {"HD2", HD2, 0},
      {"UHD1", UHD1, 0},
      {"UHD2", UHD2, 0},
      {"AUDIO", A(""), 0}},
     NULL,
     NULL},
    {"8: several filters in a rule",
     {{"SD+HD",
       V("maxPixels='442368' maxFps='30' hdr='false'")
           V("minPixels='442369' maxPixels='2073600' maxFps='30' hdr='false'"),
       0},
      {"HDR+HFR+UHD", V("hdr='true'") V("minFps='30'") V("minPixels='2073601'"), 0},
      {"AUDIO", A(""), 0}},
     NULL,
     NULL},
    {"9: stereo and multichannel",
     {{"VIDEO", V(""), 0},
      {"STEREO_AUDIO", A("maxChannels='2'"), 0},
      {"MULTICHANNEL_AUDIO", A("minChannels='3'"), 0}},
     NULL,
     NULL},
    {"10: three audio levels",
     {{"VIDEO", V(""), 0},
      {"STEREO_AUDIO", A("maxChannels='2'"), 0},
      {"MULTICHANNEL_AUDIO_3_6", A("minChannels='3' maxChannels='6'"), 0},
      {"MULTICHANNEL_AUDIO_7", A("minChannels='7'"), 0}},
     NULL,
     NULL},
};

static void the_ten_published_contracts(void **state)
{
    struct cpix_rules rules = fixture_rules(SPEKE_V2_0);
    check_table(*state, &rules, PUBLISHED, COUNT(PUBLISHED));
    rules.strict_cardinality = true;
    check_table(*state, &rules, PUBLISHED, COUNT(PUBLISHED));
}

/* The video and audio presets of MediaPackage and MediaConvert; SD+HD1 comes with one filter. */
static const struct rule VIDEO_PRESETS[][5] = {
    {{"VIDEO", V(""), 0}},
    {{"SD", SD, 0}, {"HD", HD_UP, 0}},
    {{"SD", SD, 0}, {"HD", HD_UP, 0}, {"UHD", UHD, 0}},
    {{"SD", SD, 0}, {"HD", HD, 0}, {"UHD1", UHD1, 0}, {"UHD2", UHD2, 0}},
    {{"SD", SD, 0}, {"HD1", HD1, 0}, {"HD2", HD2, 0}, {"UHD1", UHD1, 0}, {"UHD2", UHD2, 0}},
    {{"SD", SD, 0}, {"HD1", HD1, 0}, {"HD2", HD2, 0}, {"UHD", UHD, 0}},
    {{"SD+HD1", V("maxPixels='921600'"), 0}, {"HD2", HD2, 0}, {"UHD", UHD, 0}},
    {{"SD+HD1", V("maxPixels='921600'"), 0}, {"HD2", HD2, 0}, {"UHD1", UHD1, 0}, {"UHD2", UHD2, 0}},
    {{NULL, NULL, 0}}, /* UNENCRYPTED */
};
static const struct rule AUDIO_PRESETS[][3] = {
    {{"AUDIO", A(""), 0}},
    {{"STEREO_AUDIO", A("maxChannels='2'"), 0}, {"MULTICHANNEL_AUDIO", A("minChannels='3'"), 0}},
    {{"STEREO_AUDIO", A("maxChannels='2'"), 0},
     {"MULTICHANNEL_AUDIO_3_6", A("minChannels='3' maxChannels='6'"), 0},
     {"MULTICHANNEL_AUDIO_7", A("minChannels='7'"), 0}},
    {{NULL, NULL, 0}}, /* UNENCRYPTED */
};

static size_t append(struct rule *rules, size_t count, const struct rule *more, size_t most)
{
    for (size_t i = 0; i < most && more[i].type != NULL; i++)
        rules[count++] = more[i];
    return count;
}

static void every_pair_of_presets(void **state)
{
    const struct cpix_rules rules = fixture_rules(SPEKE_V2_0);
    for (size_t v = 0; v < COUNT(VIDEO_PRESETS); v++) {
        for (size_t a = 0; a < COUNT(AUDIO_PRESETS); a++) {
            struct contract c = {0};
            char name[64];
            (void)snprintf(name, sizeof name, "video %zu, audio %zu", v + 1, a + 1);
            c.name = name;
            const size_t count = append(c.rules, 0, VIDEO_PRESETS[v], COUNT(VIDEO_PRESETS[v]));
            if (append(c.rules, count, AUDIO_PRESETS[a], COUNT(AUDIO_PRESETS[a])) > 0)
                check_table(*state, &rules, &c, 1);
        }
    }
}

static const struct contract ALLOWED[] = {
    {"ALL the other way round", {{"ALL", A("") V(""), 0}}, NULL, NULL},
    {"blanks around a type", {{" ALL ", A("") V(""), 0}}, NULL, NULL},
    {"blanks around parts", {{"SD + HD", V("") V(""), 0}}, NULL, NULL},
    {"names of one's own", {{"KÜCHE", V(""), 0}, {"all", A(""), 0}}, NULL, NULL},
    {"overlapping ranges",
     {{"A", V("maxPixels='9'"), 0}, {"B", V("minPixels='1'"), 0}},
     NULL,
     NULL},
    {"gaps", {{"A", V("maxPixels='9'"), 0}, {"B", V("minPixels='1000'"), 0}}, NULL, NULL},
    {"one value in a range",
     {{"A", V("minPixels='9' maxPixels='9'"), 0}, {"B", A("minChannels='2' maxChannels='2'"), 0}},
     NULL,
     NULL},
    {"least and most", {{"A", V("minPixels='0' maxPixels='4294967295'"), 0}}, NULL, NULL},
    {"zeros and a sign", {{"A", V("minPixels='+007' maxPixels=' 9 '"), 0}}, NULL, NULL},
    {"frame rates", {{"A", V("minFps='29' maxFps='30'"), 0}}, NULL, NULL},
    {"all booleans",
     {{"A", V("hdr='1'"), 0},
      {"B", V("hdr='0'"), 0},
      {"C", V("hdr='true'"), 0},
      {"D", V("hdr=' false '"), 0}},
     NULL,
     NULL},
    {"periods", {{"VIDEO", P("p1") V(""), 0}, {"AUDIO", P("p1") P("p2") A(""), 0}}, NULL, NULL},
    {"blanks around a period", {{"VIDEO", P(" p1 ") V(""), 0}}, NULL, NULL},
    {"a period for one rule alone", {{"VIDEO", P("p1") V(""), 0}, {"AUDIO", A(""), 0}}, NULL, NULL},
    {"a type in each period",
     {{"VIDEO", P("p1") V(""), 0}, {"VIDEO", P("p2") V(""), 0}},
     NULL,
     NULL},
    {"ALL in each period",
     {{"ALL", P("p1") V("") A(""), 0}, {"ALL", P("p2") V("") A(""), 0}},
     NULL,
     NULL},
    {"ALL in one period, others in another",
     {{"ALL", P("p1") V("") A(""), 0}, {"VIDEO", P("p2") V(""), 0}, {"AUDIO", P("p2") A(""), 0}},
     NULL,
     NULL},
    {"attributes of a KeyPeriodFilter",
     {{"VIDEO", "<cpix:KeyPeriodFilter x='y' periodId='p1'/>" V(""), 0}},
     NULL,
     NULL},
    {"filter with a comment inside",
     {{"VIDEO", "<cpix:VideoFilter> <!-- x --> </cpix:VideoFilter>", 0}},
     NULL,
     NULL},
};

static void what_is_allowed(void **state)
{
    const struct cpix_rules rules = fixture_rules(SPEKE_V2_0);
    check_table(*state, &rules, ALLOWED, COUNT(ALLOWED));
}

/* --- What is malformed ---------------------------------------------------------------------- */

static const struct contract MALFORMED[] = {
    {"no filter at all",
     {{"VIDEO", P("p1"), 0}, {"AUDIO", "", 0}},
     "V2",
     "ContentKeyUsageRuleList"},
    {"only filters of other kinds",
     {{"VIDEO", "<cpix:LabelFilter label='x'/>", 0}},
     "V2",
     "ContentKeyUsageRuleList"},
    {"no track type", {{"VIDEO", V(""), 0}, {"  ", A(""), 0}}, "V4", "[2]@intendedTrackType"},
    {"rule for no key", {{"VIDEO", V(""), 0}, {"AUDIO", A(""), 7}}, "V5", "[2]@kid"},
    {"two rules for a key", {{"VIDEO", V(""), 0}, {"AUDIO", A(""), 1}}, "V6", "[2]@kid"},
    {"a type twice",
     {{"VIDEO", V(""), 0}, {"AUDIO", A(""), 0}, {"VIDEO ", V(""), 0}},
     "V7",
     "[3]@intendedTrackType"},
    {"a type twice in a period",
     {{"VIDEO", P("p1") V(""), 0}, {"VIDEO", P("p1") V(""), 0}},
     "V7",
     "[2]@intendedTrackType"},
    {"a type twice in the same periods",
     {{"VIDEO", P("p1") P("p2") V(""), 0}, {"VIDEO", P("p2") P("p1") P("p2") V(""), 0}},
     "V7",
     "[2]@intendedTrackType"},
    {"ALL without audio", {{"ALL", V(""), 0}}, "V8", "[1]"},
    {"ALL without video", {{"ALL", A(""), 0}}, "V8", "[1]"},
    {"ALL without filters", {{"ALL", "", 0}, {"AUDIO", A(""), 0}}, "V8", "[1]"},
    {"ALL with attributes on video", {{"ALL", V("maxPixels='9'") A(""), 0}}, "V8", "[1]"},
    {"ALL with attributes on audio", {{"ALL", V("") A("maxChannels='2'"), 0}}, "V8", "[1]"},
    {"ALL with three filters", {{"ALL", V("") V("") A(""), 0}}, "V8", "[1]"},
    {"ALL with two videos", {{"ALL", V("") V(""), 0}}, "V8", "[1]"},
    {"ALL as a part", {{"ALL+HD", V("") V(""), 0}}, "V8", "[1]@intendedTrackType"},
    {"ALL beside another", {{"ALL", V("") A(""), 0}, {"AUDIO", A(""), 0}}, "V9", "[1]"},
    {"ALL beside another in its period",
     {{"VIDEO", P("p1") P("p2") V(""), 0}, {"ALL", P("p2") V("") A(""), 0}},
     "V9",
     "[2]"},
    {"ALL in a period beside one everywhere",
     {{"ALL", P("p1") V("") A(""), 0}, {"AUDIO", A(""), 0}},
     "V9",
     "[1]"},
    {"ALL everywhere beside one in a period",
     {{"ALL", V("") A(""), 0}, {"AUDIO", P("p1") A(""), 0}},
     "V9",
     "[1]"},
    {"a rule without filter beside others",
     {{"VIDEO", V(""), 0}, {"AUDIO", P("p1"), 0}},
     "V10",
     "[2]"},
    {"two filters for one part", {{"VIDEO", V("") V(""), 0}}, "V11", "[1]"},
    {"three filters for two parts", {{"SD+HD", V("") V("") V(""), 0}}, "V11", "[1]"},
    {"two filters for three parts", {{"A+B+C", V("") A(""), 0}}, "V11", "[1]"},
    {"part missing behind", {{"SD+", V(""), 0}}, "V11", "[1]@intendedTrackType"},
    {"part missing before", {{"+SD", V(""), 0}}, "V11", "[1]@intendedTrackType"},
    {"part missing between", {{"SD++HD", V("") V("") V(""), 0}}, "V11", "[1]@intendedTrackType"},
    {"part of blanks", {{"SD+ +HD", V("") V("") V(""), 0}}, "V11", "[1]@intendedTrackType"},
    {"plus alone", {{"+", V(""), 0}}, "V11", "[1]@intendedTrackType"},
    {"LabelFilter",
     {{"VIDEO", V("") "<cpix:LabelFilter label='x'/>", 0}},
     "V12",
     "[1]/LabelFilter[1]"},
    {"BitrateFilter",
     {{"VIDEO", "<cpix:BitrateFilter minBitrate='1'/>" V(""), 0}},
     "V12",
     "[1]/BitrateFilter[1]"},
    {"unknown filter", {{"VIDEO", V("") "<cpix:TextFilter/>", 0}}, "V12", "[1]/*[2]"},
    {"filter without namespace", {{"VIDEO", V("") "<VideoFilter/>", 0}}, "V12", "[1]/*[2]"},
    {"filter of another namespace",
     {{"VIDEO", V("") "<x:VideoFilter xmlns:x='urn:x'/>", 0}},
     "V12",
     "[1]/*[2]"},
    {"filter in a filter",
     {{"VIDEO", "<cpix:VideoFilter><cpix:AudioFilter/></cpix:VideoFilter>", 0}},
     "V12",
     "[1]/VideoFilter[1]"},
    {"text in a filter",
     {{"VIDEO", "<cpix:VideoFilter>x</cpix:VideoFilter>", 0}},
     "V12",
     "[1]/VideoFilter[1]"},
    {"wcg", {{"VIDEO", V("wcg='true'"), 0}}, "V13", "[1]/VideoFilter[1]@wcg"},
    {"attribute of audio on video",
     {{"VIDEO", V("minChannels='1'"), 0}},
     "V13",
     "[1]/VideoFilter[1]@minChannels"},
    {"attribute of video on audio",
     {{"AUDIO", A("hdr='true'"), 0}},
     "V13",
     "[1]/AudioFilter[1]@hdr"},
    {"attribute in another case",
     {{"VIDEO", V("MinPixels='1'"), 0}},
     "V13",
     "[1]/VideoFilter[1]@MinPixels"},
    {"attribute of another namespace",
     {{"VIDEO", V(""), 0}, {"A+B", A("") A("xmlns:x='urn:x' x:minChannels='1'"), 0}},
     "V13",
     "[2]/AudioFilter[2]@minChannels"},
    {"empty number", {{"VIDEO", V("minPixels=''"), 0}}, "V14", "[1]/VideoFilter[1]@minPixels"},
    {"negative", {{"VIDEO", V("minPixels='-1'"), 0}}, "V14", "[1]/VideoFilter[1]@minPixels"},
    {"sign alone", {{"VIDEO", V("minPixels='+'"), 0}}, "V14", "[1]/VideoFilter[1]@minPixels"},
    {"no number", {{"VIDEO", V("maxPixels='many'"), 0}}, "V14", "[1]/VideoFilter[1]@maxPixels"},
    {"hexadecimal", {{"VIDEO", V("maxPixels='0x10'"), 0}}, "V14", "[1]/VideoFilter[1]@maxPixels"},
    {"fraction", {{"VIDEO", V("maxFps='29.97'"), 0}}, "V14", "[1]/VideoFilter[1]@maxFps"},
    {"33 bits", {{"VIDEO", V("maxPixels='4294967296'"), 0}}, "V14", "[1]/VideoFilter[1]@maxPixels"},
    {"40 digits",
     {{"VIDEO", V("maxPixels='9999999999999999999999999999999999999999'"), 0}},
     "V14",
     "[1]/VideoFilter[1]@maxPixels"},
    {"least above most",
     {{"SD+HD", V("") V("maxPixels='8' minPixels='9'"), 0}},
     "V14",
     "[1]/VideoFilter[2]@minPixels"},
    {"channels least above most",
     {{"AUDIO", A("minChannels='3' maxChannels='2'"), 0}},
     "V14",
     "[1]/AudioFilter[1]@minChannels"},
    {"frame rates equal",
     {{"VIDEO", V("minFps='30' maxFps='30'"), 0}},
     "V14",
     "[1]/VideoFilter[1]@minFps"},
    {"greatest frame rate as least",
     {{"VIDEO", V("minFps='4294967295' maxFps='4294967295'"), 0}},
     "V14",
     "[1]/VideoFilter[1]@minFps"},
    {"no boolean", {{"VIDEO", V("hdr='yes'"), 0}}, "V14", "[1]/VideoFilter[1]@hdr"},
    {"boolean in upper case", {{"VIDEO", V("hdr='TRUE'"), 0}}, "V14", "[1]/VideoFilter[1]@hdr"},
    {"empty boolean", {{"VIDEO", V("hdr=''"), 0}}, "V14", "[1]/VideoFilter[1]@hdr"},
    {"period that is not there",
     {{"VIDEO", P("p1") P("p3") V(""), 0}},
     "V15",
     "[1]/KeyPeriodFilter[2]"},
    {"period without name",
     {{"VIDEO", "<cpix:KeyPeriodFilter/>" V(""), 0}},
     "V15",
     "[1]/KeyPeriodFilter[1]"},
    {"period with an empty name", {{"VIDEO", P(" ") V(""), 0}}, "V15", "[1]/KeyPeriodFilter[1]"},
    {"period named in another namespace",
     {{"VIDEO", "<cpix:KeyPeriodFilter xmlns:x='urn:x' x:periodId='p1'/>" V(""), 0}},
     "V15",
     "[1]/KeyPeriodFilter[1]"},
};

static void what_is_malformed(void **state)
{
    const struct cpix_rules rules = fixture_rules(SPEKE_V2_0);
    check_table(*state, &rules, MALFORMED, COUNT(MALFORMED));
}

static const struct bad OF_THE_DOCUMENT[] = {
    {"no rule list", {WITHOUT("ContentKeyUsageRuleList")}, "V1", E10, 1, "ContentKeyUsageRuleList"},
    {"rule without kid",
     {{"Rule kid=\"" KID_2 "\"", "Rule"}},
     "V3",
     E8,
     24,
     "ContentKeyUsageRuleList/ContentKeyUsageRule[2]@kid"},
    {"rule with empty kid",
     {{"Rule kid=\"" KID_2, "Rule kid=\""}},
     "V3",
     E8,
     24,
     "ContentKeyUsageRuleList/ContentKeyUsageRule[2]@kid"},
    {"rule with odd kid",
     {{"Rule kid=\"" KID_2, "Rule kid=\"x"}},
     "V5",
     E8,
     24,
     "ContentKeyUsageRuleList/ContentKeyUsageRule[2]@kid"},
    {"rule without type",
     {{" intendedTrackType=\"AUDIO\"", ""}},
     "V4",
     E8,
     24,
     "ContentKeyUsageRuleList/ContentKeyUsageRule[2]@intendedTrackType"},
    {"key without rule",
     {{"</cpix:ContentKeyList>", "<cpix:ContentKey kid=\"" WIDEVINE
                                 "\" commonEncryptionScheme=\"cbcs\"/></cpix:ContentKeyList>"}},
     "V6",
     E8,
     5,
     "ContentKeyList/ContentKey[3]"},
    {"line of a filter",
     {{"<cpix:AudioFilter/>", "<cpix:AudioFilter\nminChannels=\"x\"/>"}},
     "V14",
     E8,
     26,
     "ContentKeyUsageRuleList/ContentKeyUsageRule[2]/AudioFilter[1]@minChannels"},
};

static void faults_of_the_whole_document(void **state)
{
    const struct cpix_rules rules = fixture_rules(SPEKE_V2_0);
    struct fixture_faults faults = {0};
    fixture_refuse_all(*state, &rules, FIXTURE_V2_0, OF_THE_DOCUMENT, COUNT(OF_THE_DOCUMENT));
    static const char EMPTY[] =
        "<c:CPIX xmlns:c='urn:dashif:org:cpix' contentId='m' version='2.3'><c:ContentKeyList>"
        "<c:ContentKey kid='" KID_1
        "' commonEncryptionScheme='cenc'/></c:ContentKeyList><c:DRMSystemList>"
        "<c:DRMSystem kid='" KID_1 "' systemId='" WIDEVINE
        "'/></c:DRMSystemList>\n<c:ContentKeyUsageRuleList/></c:CPIX>";
    fixture_read_well(*state, EMPTY);
    fixture_check(*state, &rules, &faults);
    assert_int_equal(faults.count, 1);
    assert_string_equal(faults.items[0].text, E10);
    assert_int_equal(faults.items[0].line, 2);
}

static void negative_documents_of_the_aws_tests(void **state)
{
    static const char *const FILES[] = {"bad-all-twice-for-video.xml",
                                        "bad-all-twice-for-audio.xml"};
    const struct cpix_rules rules = fixture_rules(SPEKE_V2_0);
    for (size_t i = 0; i < COUNT(FILES); i++) {
        struct fixture_faults faults = {.stop_at_first = true};
        fixture_read_well(*state, fixture_file(FILES[i]));
        fixture_check(*state, &rules, &faults);
        assert_int_equal(faults.count, 1);
        assert_string_equal(faults.items[0].text, E8);
        assert_string_equal(faults.items[0].rule, "V8");
    }
}

/* --- Options -------------------------------------------------------------------------------- */

static const struct contract STRICT[] = {
    {"SD+HD1 with one filter", {{"SD+HD1", V("maxPixels='921600'"), 0}}, "V11", "[1]"},
    {"SD+HD1 with two filters", {{"SD+HD1", SD HD1, 0}}, NULL, NULL},
    {"one part, one filter", {{"SD", SD, 0}}, NULL, NULL},
};

static void strict_cardinality(void **state)
{
    struct cpix_rules rules = fixture_rules(SPEKE_V2_0);
    rules.strict_cardinality = true;
    check_table(*state, &rules, STRICT, COUNT(STRICT));
}

static const struct contract UNSUPPORTED[] = {
    {"wcg", {{"VIDEO", V("wcg='true'"), 0}}, NULL, NULL},
    {"BitrateFilter", {{"VIDEO", V("") "<cpix:BitrateFilter minBitrate='1'/>", 0}}, NULL, NULL},
    {"ALL with wcg", {{"ALL", V("wcg='true'") A(""), 0}}, "V8", "[1]"},
    {"LabelFilter all the same",
     {{"VIDEO", V("") "<cpix:LabelFilter label='x'/>", 0}},
     "V12",
     "[1]/LabelFilter[1]"},
    {"other attributes all the same",
     {{"VIDEO", V("shape='round'"), 0}},
     "V13",
     "[1]/VideoFilter[1]@shape"},
};

static void unsupported_filters_allowed(void **state)
{
    struct cpix_rules rules = fixture_rules(SPEKE_V2_0);
    rules.allow_unsupported_filters = true;
    check_table(*state, &rules, UNSUPPORTED, COUNT(UNSUPPORTED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ten_published_contracts),
        cmocka_unit_test(every_pair_of_presets),
        cmocka_unit_test(what_is_allowed),
        cmocka_unit_test(what_is_malformed),
        cmocka_unit_test(faults_of_the_whole_document),
        cmocka_unit_test(negative_documents_of_the_aws_tests),
        cmocka_unit_test(strict_cardinality),
        cmocka_unit_test(unsupported_filters_allowed),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
