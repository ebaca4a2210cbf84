/* SPDX-License-Identifier: Apache-2.0 */
/* What is checked otherwise in SPEKE v2.1 and v1, and how faults are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cpix_fixture.h"

#include <cmocka.h>

/* --- SPEKE v2.1 ----------------------------------------------------------------------------- */

static const struct bad BAD_V2_1[] = {
    {"E3 2.3", {{"\"2.4\"", "\"2.3\""}}, "E3", "Unsupported CPIX@version", 1, "CPIX@version"},
    {"start alone",
     {{"index=\"0\"", "start=\"2027-03-01T10:00:00Z\""}},
     "R53",
     "Missing ContentKeyPeriod@index",
     17,
     PERIOD_1 "@index"},
    {"start and endOffset",
     {{"index=\"0\"", "start=\"2027-03-01T10:00:00Z\" endOffset=\"PT5M\""}},
     "R53",
     "Missing ContentKeyPeriod@index",
     17,
     PERIOD_1 "@index"},
    {"empty end",
     {{"index=\"0\"", "start=\"2027-03-01T10:00:00Z\" end=\"\""}},
     "R53",
     "Missing ContentKeyPeriod@index",
     17,
     PERIOD_1 "@index"},
    {"end before start",
     {{"index=\"0\"", "start=\"2027-03-01T10:00:00Z\" end=\"2027-03-01T09:59:59.9Z\""}},
     "S5",
     "ContentKeyPeriod@end is not after the period's beginning",
     17,
     PERIOD_1 "@end"},
    {"end at start",
     {{"index=\"0\"", "start=\"2027-03-01T10:00:00Z\" end=\"2027-03-01T12:00:00.000+02:00\""}},
     "S5",
     "ContentKeyPeriod@end is not after the period's beginning",
     17,
     PERIOD_1 "@end"},
    {"end before start with index",
     {{"index=\"0\"", "index=\"0\" start=\"2027-03-01T10:00:00\" end=\"2026-03-01T10:00:00\""}},
     "S5",
     "ContentKeyPeriod@end is not after the period's beginning",
     17,
     PERIOD_1 "@end"},
    {"start that is no time",
     {{"index=\"0\"", "start=\"yesterday\" end=\"2027-03-01T10:00:00Z\""}},
     "S5",
     "ContentKeyPeriod@start is no xs:dateTime",
     17,
     PERIOD_1 "@start"},
    {"end in month 13",
     {{"index=\"0\"", "start=\"2027-03-01T10:00:00Z\" end=\"2027-13-01T10:00:00Z\""}},
     "S5",
     "ContentKeyPeriod@end is no xs:dateTime",
     17,
     PERIOD_1 "@end"},
    {"end with rubbish",
     {{"index=\"0\"", "start=\"2027-03-01T10:00:00Z\" end=\"2027-03-01T10:00:00Zx\""}},
     "S5",
     "ContentKeyPeriod@end is no xs:dateTime",
     17,
     PERIOD_1 "@end"},
    {"end with a bare point",
     {{"index=\"0\"", "start=\"2027-03-01T10:00:00Z\" end=\"2027-03-01T10:00:00.Z\""}},
     "S5",
     "ContentKeyPeriod@end is no xs:dateTime",
     17,
     PERIOD_1 "@end"},
    {"endOffset before startOffset",
     {{"index=\"0\"", "startOffset=\"PT1H\" endOffset=\"PT59M59.999S\""}},
     "S5",
     "ContentKeyPeriod@endOffset is not after the period's beginning",
     17,
     PERIOD_1 "@endOffset"},
    {"startOffset that is no duration",
     {{"index=\"0\"", "startOffset=\"5 minutes\" endOffset=\"PT5M\""}},
     "S5",
     "ContentKeyPeriod@startOffset is no xs:duration",
     17,
     PERIOD_1 "@startOffset"},
    {"endOffset with units in disorder",
     {{"index=\"0\"", "startOffset=\"PT0S\" endOffset=\"PT5S5M\""}},
     "S5",
     "ContentKeyPeriod@endOffset is no xs:duration",
     17,
     PERIOD_1 "@endOffset"},
    {"endOffset without a part",
     {{"index=\"0\"", "startOffset=\"PT0S\" endOffset=\"PT\""}},
     "S5",
     "ContentKeyPeriod@endOffset is no xs:duration",
     17,
     PERIOD_1 "@endOffset"},
    {"master and multiVariant",
     {{"\"media\"", "\"multiVariant\""}},
     "S3.3",
     "Two HLSSignalingData with the same playlist",
     10,
     SYSTEM_1 "/HLSSignalingData[2]@playlist"},
    {"E6 method NONE",
     {{"cbcs", "NONE"}, {"cbcs", "NONE"}},
     "E6",
     E6 WIDEVINE,
     7,
     SYSTEM_1 "@systemId"},
    {"E6 FairPlay with SAMPLE-AES-CTR",
     {{"cbcs", "SAMPLE-AES-CTR"}, {"cbcs", "SAMPLE-AES-CTR"}},
     "E6",
     E6 FAIRPLAY,
     12,
     SYSTEM_2 "@systemId"},
    {"E5 method and scheme",
     {{"cbcs", "SAMPLE-AES"}},
     "E5",
     E5,
     4,
     KEY_2 "@commonEncryptionScheme"},
};

static const struct good GOOD_V2_1[] = {
    {"as it is", {{NULL, NULL}}},
    {"start and end",
     {{"index=\"0\"", "start=\"2027-03-01T10:00:00Z\" end=\"2027-03-01T10:05:00Z\""}}},
    {"offsets", {{"index=\"0\"", "startOffset=\"PT0S\" endOffset=\"PT5M\""}}},
    {"index with times",
     {{"index=\"0\"", "index=\"0\" start=\"2027-03-01T10:00:00Z\" end=\"2027-03-01T10:05:00Z\""}}},
    {"times with zones and fractions",
     {{"index=\"0\"", "start=\"2027-03-01T10:00:00.25+02:00\" end=\"2027-03-01T08:00:00.5Z\""}}},
    {"times of which one has no zone",
     {{"index=\"0\"", "start=\"2027-03-01T10:00:00Z\" end=\"2027-03-01T09:00:00\""}}},
    {"the last second of a leap day",
     {{"index=\"0\"", "start=\"2028-02-29T23:59:59Z\" end=\"2028-03-01T00:00:00Z\""}}},
    {"offsets in days and minutes",
     {{"index=\"0\"", "startOffset=\"PT1439M59.5S\" endOffset=\"P1D\""}}},
    {"offsets in months, which are not compared",
     {{"index=\"0\"", "startOffset=\"P2M\" endOffset=\"P1M\""}}},
    {"multiVariant", {{"\"master\"", "\"multiVariant\""}}},
    {"SAMPLE-AES", {{"cbcs", "SAMPLE-AES"}, {"cbcs", "SAMPLE-AES"}}},
};

static const char *base_of_v2_1(void)
{
    static char base[4096];
    (void)snprintf(base, sizeof base, "%s", fixture_edit(FIXTURE_V2_0, "\"2.3\"", "\"2.4\""));
    return base;
}

static void v2_1_refuses(void **state)
{
    const struct cpix_rules rules = fixture_rules(SPEKE_V2_1);
    fixture_refuse_all(*state, &rules, base_of_v2_1(), BAD_V2_1, COUNT(BAD_V2_1));
}

static void v2_1_accepts(void **state)
{
    const struct cpix_rules rules = fixture_rules(SPEKE_V2_1);
    fixture_accept_all(*state, &rules, base_of_v2_1(), GOOD_V2_1, COUNT(GOOD_V2_1));
}

/* --- SPEKE v1 ------------------------------------------------------------------------------- */

static const struct bad BAD_V1[] = {
    {"no id", {{"id=\"movie-7781\"", ""}}, "R67", "Missing CPIX@id", 1, "CPIX@id"},
    {"empty id", {{"movie-7781", " "}}, "R67", "Missing CPIX@id", 1, "CPIX@id"},
    {"a v2 document whose header is lost",
     {{"id=\"movie-7781\"", "contentId=\"movie-7781\" version=\"2.3\""}},
     "R67",
     "Missing header X-Speke-Version for a document with CPIX@contentId",
     1,
     "CPIX@id"},
    {"id with LF",
     {{"movie-7781", "a&#10;b"}},
     "S2.1",
     "CPIX@id holds a control character",
     1,
     "CPIX@id"},
    {"no key list",
     {WITHOUT("ContentKeyList")},
     "R17",
     "Missing ContentKeyList",
     1,
     "ContentKeyList"},
    {"empty key list",
     {{"<cpix:ContentKey kid=\"" KID_1 "\"/>", ""}},
     "R17",
     "ContentKeyList has no ContentKey",
     2,
     "ContentKeyList"},
    {"no system list",
     {WITHOUT("DRMSystemList")},
     "R17",
     "Missing DRMSystemList",
     1,
     "DRMSystemList"},
    {"two rule lists",
     {TWICE("ContentKeyUsageRuleList")},
     "R17",
     "More than one ContentKeyUsageRuleList",
     19,
     "ContentKeyUsageRuleList[2]"},
    {"two keys",
     {{"</cpix:ContentKeyList>", "<cpix:ContentKey kid=\"" KID_2 "\"/>\n</cpix:ContentKeyList>"}},
     "S2.1",
     "SPEKE v1 allows one ContentKey only",
     4,
     "ContentKeyList/ContentKey[2]"},
    {"empty kid",
     {{"ContentKey kid=\"" KID_1, "ContentKey kid=\""}},
     "R18",
     "Missing ContentKey@kid",
     3,
     KEY_1 "@kid"},
    {"bad IV",
     {{"<cpix:ContentKey kid", "<cpix:ContentKey explicitIV=\"AAAA\" kid"}},
     "R25",
     "ContentKey@explicitIV is not base64 of 16 bytes",
     3,
     KEY_1 "@explicitIV"},
    {"unknown system",
     {{PLAYREADY, KID_2}},
     "R28",
     "Unsupported DRMSystem " KID_2,
     11,
     SYSTEM_2 "@systemId"},
    {"system of v2",
     {{PLAYREADY, CLEAR_KEY}},
     "R28",
     "Unsupported DRMSystem " CLEAR_KEY,
     11,
     SYSTEM_2 "@systemId"},
    {"system of no key",
     {{"DRMSystem kid=\"" KID_1, "DRMSystem kid=\"" KID_2}},
     "R28",
     "DRMSystem@kid names no ContentKey: " KID_2,
     6,
     SYSTEM_1 "@kid"},
};

static const struct good GOOD_V1[] = {
    {"as it is", {{NULL, NULL}}},
    {"version and contentId beside id", {{"id=", "contentId=\"x\" version=\"2.3\" id="}}},
    {"rules are not looked at",
     {{"<cpix:KeyPeriodFilter periodId=\"p7\"/>",
       "<cpix:LabelFilter/><cpix:VideoFilter wcg=\"x\"/>"},
      {"UsageRule kid=\"" KID_1, "UsageRule kid=\"no"}}},
    {"period without id and index", {{" id=\"p7\" index=\"7\"", ""}}},
    {"scheme is not looked at",
     {{"<cpix:ContentKey kid", "<cpix:ContentKey commonEncryptionScheme=\"rot13\" kid"}}},
    {"all placeholders of v2",
     {{"<cpix:PSSH/>", "<cpix:PSSH/><cpix:HLSSignalingData/><cpix:HLSSignalingData/>"}}},
};

static void v1_refuses(void **state)
{
    const struct cpix_rules rules = fixture_rules(SPEKE_V1);
    fixture_refuse_all(*state, &rules, FIXTURE_V1, BAD_V1, COUNT(BAD_V1));
}

static void v1_accepts(void **state)
{
    struct fixture *x = *state;
    const struct cpix_rules rules = fixture_rules(SPEKE_V1);
    fixture_accept_all(*state, &rules, FIXTURE_V1, GOOD_V1, COUNT(GOOD_V1));
    struct fixture_faults faults = {0};
    fixture_read_well(x, FIXTURE_V1);
    fixture_check(x, &rules, &faults);
    assert_int_equal(x->doc.keys[0].scheme, SCHEME_NONE);
    assert_int_equal(x->doc.systems[1].key, 0);
    assert_int_equal(x->doc.rules[0].key, 0);
    fixture_read_edited(x, FIXTURE_V1, GOOD_V1[2].edits);
    fixture_check(x, &rules, &faults);
    assert_true(x->doc.rules[0].key == CPIX_NO_KEY);
}

static void v1_goes_without_periods_and_rules(void **state)
{
    struct fixture_faults faults = {0};
    const struct cpix_rules rules = fixture_rules(SPEKE_V1);
    fixture_read_well(*state, fixture_file("v1-vod.xml"));
    fixture_check(*state, &rules, &faults);
    assert_int_equal(faults.count, 0);
}

/* --- Sinks ---------------------------------------------------------------------------------- */

static void all_faults_are_told_in_order(void **state)
{
    struct fixture *x = *state;
    struct fixture_faults faults = {0};
    const struct cpix_rules rules = fixture_rules(SPEKE_V2_0);
    static const char TEXT[] =
        "<cpix:CPIX version='9' xmlns:cpix='urn:dashif:org:cpix'><cpix:DeliveryDataList/>"
        "<cpix:ContentKeyList><cpix:ContentKey kid='x' explicitIV='y'/>"
        "<cpix:ContentKey commonEncryptionScheme='cenc' kid='" KID_1 "'/>"
        "<cpix:ContentKey commonEncryptionScheme='cbcs' kid='" KID_1 "'/></cpix:ContentKeyList>"
        "<cpix:DRMSystemList><cpix:DRMSystem/><cpix:DRMSystem kid='" KID_1 "' systemId='" FAIRPLAY
        "'>"
        "<cpix:HLSSignalingData playlist='?'/></cpix:DRMSystem></cpix:DRMSystemList>"
        "<cpix:ContentKeyPeriodList><cpix:ContentKeyPeriod/></cpix:ContentKeyPeriodList>"
        "<cpix:ContentKeyUsageRuleList><cpix:ContentKeyUsageRule/></cpix:ContentKeyUsageRuleList></"
        "cpix:CPIX>";
    static const char *const RULES[] = {"E1",  "E3",  "R17",  "R18", "R25", "R18", "R28",
                                        "R28", "A10", "S3.2", "R53", "E4",  "E5",  "E6",
                                        "V2",  "V3",  "V4",   "V6",  "V6",  "V6"};
    fixture_read_well(x, TEXT);
    fixture_check(x, &rules, &faults);
    assert_int_equal(faults.count, COUNT(RULES));
    for (size_t i = 0; i < COUNT(RULES); i++)
        assert_string_equal(faults.items[i].rule, RULES[i]);
}

static bool ignore(void *context, const struct cpix_fault *fault)
{
    (void)context;
    (void)fault;
    return true;
}

static void arena_that_is_full_is_told(void **state)
{
    struct fixture *x = *state;
    const struct cpix_rules rules = fixture_rules(SPEKE_V2_0);
    struct arena scratch;
    int result = -1;
    size_t max = 0;
    for (; result != 0 && max < 8192; max += 16) {
        fixture_read_well(x, FIXTURE_V2_0);
        arena_init(&scratch, max);
        result = cpix_check(&x->doc, &rules, &scratch, ignore, NULL);
        arena_free(&scratch);
        assert_true(result == 0 || result == -1);
    }
    assert_int_equal(result, 0);
    assert_true(max > 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(v2_1_refuses),
        cmocka_unit_test(v2_1_accepts),
        cmocka_unit_test(v1_refuses),
        cmocka_unit_test(v1_accepts),
        cmocka_unit_test(v1_goes_without_periods_and_rules),
        cmocka_unit_test(all_faults_are_told_in_order),
        cmocka_unit_test(arena_that_is_full_is_told),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
