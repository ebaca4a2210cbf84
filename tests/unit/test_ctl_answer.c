/* SPDX-License-Identifier: Apache-2.0 */
/* What "spekectl request" finds wrong with an answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/failure.h"
#include "base/secret.h"
#include "ctl/describe.h"
#include "ctl/request.h"

#include <cmocka.h> /* after base/failure.h, as it makes a macro of "fail" */

#define VIDEO_KID  "11223344-5566-7788-99aa-bbccddeeff00"
#define AUDIO_KID  "fedcba98-7654-3210-0123-456789abcdef"
#define WIDEVINE   "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"
#define PSSH       "AAAAMnBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAABISEBEiM0RVZneImaq7zN3u/wA="
#define AUDIO_PSSH "AAAANHBzc2gBAAAA7e+LqXnWSs6jyCfc1R0h7QAAAAH+3LqYdlQyEAEjRWeJq83vAAAAAA=="
/* <cenc:pssh xmlns:cenc="urn:mpeg:cenc:2013">PSSH</cenc:pssh> */
#define MANIFEST                                                                                   \
    "PGNlbmM6cHNzaCB4bWxuczpjZW5jPSJ1cm46bXBlZzpjZW5jOjIwMTMiPkFBQUFNbkJ6YzJnQUFBQUE3ZStMcVhuV1Nz" \
    "Nmp5Q2ZjMVIwaDdRQUFBQklTRUJFaU0wUlZabmVJbWFxN3pOM3Uvd0E9PC9jZW5jOnBzc2g+"
#define MEDIA        "I0VYVC1YLUtFWTpNRVRIT0Q9U0FNUExFLUFFUyxLRVlGT1JNQVQ9ImEi" /* METHOD=SAMPLE-AES */
#define MASTER       "I0VYVC1YLVNFU1NJT04tS0VZOk1FVEhPRD1TQU1QTEUtQUVTLEtFWUZPUk1BVD0iYSI="
#define OTHER_MASTER "I0VYVC1YLVNFU1NJT04tS0VZOk1FVEhPRD1TQU1QTEUtQUVTLEtFWUZPUk1BVD0iYiI="
#define KEY_1        "AAECAwQFBgcICQoLDA0ODw=="
#define KEY_2        "EBESExQVFhcYGRobHB0eHw=="
#define IV           "//79/Pv6+fj39vX08/Lx8A=="

#define HEAD                                                                               \
    "<cpix:CPIX contentId=\"movie-1\" version=\"2.3\" xmlns:cpix=\"urn:dashif:org:cpix\" " \
    "xmlns:pskc=\"urn:ietf:params:xml:ns:keyprov:pskc\"><cpix:ContentKeyList>"
#define RULES                                                                      \
    "<cpix:ContentKeyUsageRuleList>"                                               \
    "<cpix:ContentKeyUsageRule kid=\"" VIDEO_KID "\" intendedTrackType=\"VIDEO\">" \
    "<cpix:VideoFilter/></cpix:ContentKeyUsageRule>"                               \
    "<cpix:ContentKeyUsageRule kid=\"" AUDIO_KID "\" intendedTrackType=\"AUDIO\">" \
    "<cpix:AudioFilter/></cpix:ContentKeyUsageRule></cpix:ContentKeyUsageRuleList></cpix:CPIX>"

static const char REQUEST[] = HEAD
    "<cpix:ContentKey kid=\"" VIDEO_KID "\" commonEncryptionScheme=\"cenc\"/>"
    "<cpix:ContentKey kid=\"" AUDIO_KID "\" commonEncryptionScheme=\"cenc\"/>"
    "</cpix:ContentKeyList><cpix:DRMSystemList>"
    "<cpix:DRMSystem kid=\"" VIDEO_KID "\" systemId=\"" WIDEVINE "\"><cpix:PSSH/>"
    "<cpix:ContentProtectionData/><cpix:HLSSignalingData playlist=\"media\"/>"
    "<cpix:HLSSignalingData playlist=\"master\"/></cpix:DRMSystem>"
    "<cpix:DRMSystem kid=\"" AUDIO_KID "\" systemId=\"" WIDEVINE "\"><cpix:PSSH/>"
    "</cpix:DRMSystem></cpix:DRMSystemList>" RULES;

static const char ANSWER[] = HEAD
    "<cpix:ContentKey kid=\"" VIDEO_KID "\" commonEncryptionScheme=\"cenc\" explicitIV=\"" IV
    "\"><cpix:Data><pskc:Secret><pskc:PlainValue>" KEY_1
    "</pskc:PlainValue></pskc:Secret></cpix:Data></cpix:ContentKey>"
    "<cpix:ContentKey kid=\"" AUDIO_KID "\" commonEncryptionScheme=\"cenc\" explicitIV=\"" IV
    "\"><cpix:Data><pskc:Secret><pskc:PlainValue>" KEY_2
    "</pskc:PlainValue></pskc:Secret></cpix:Data></cpix:ContentKey>"
    "</cpix:ContentKeyList><cpix:DRMSystemList>"
    "<cpix:DRMSystem kid=\"" VIDEO_KID "\" systemId=\"" WIDEVINE "\"><cpix:PSSH>" PSSH
    "</cpix:PSSH><cpix:ContentProtectionData>" MANIFEST "</cpix:ContentProtectionData>"
    "<cpix:HLSSignalingData playlist=\"media\">" MEDIA "</cpix:HLSSignalingData>"
    "<cpix:HLSSignalingData playlist=\"master\">" MASTER "</cpix:HLSSignalingData>"
    "</cpix:DRMSystem><cpix:DRMSystem kid=\"" AUDIO_KID "\" systemId=\"" WIDEVINE
    "\"><cpix:PSSH>" AUDIO_PSSH "</cpix:PSSH></cpix:DRMSystem></cpix:DRMSystemList>" RULES;

enum { TEXT_SIZE = 8192, ARENA_SIZE = 1 << 22 };

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    struct failure f = {0};
    cpix_setup();
    arena_init(&arena, ARENA_SIZE);
    return secret_setup(1 << 18, &f);
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static void read_document(const char *text, struct cpix_document *out)
{
    struct failure f = {0};
    if (cpix_read(text, strlen(text), &CPIX_DEFAULT_LIMITS, &arena, out, &f) != 0)
        fail_msg("%s", f.cause);
}

/* The faults of the answer in which the first occurrence of one text is replaced by another. */
static json_t *faults_of(const char *from, const char *to, const struct cpix_document *asked)
{
    char text[TEXT_SIZE];
    struct cpix_document got;
    const char *at = strstr(ANSWER, from);
    assert_non_null(at);
    assert_in_range(
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - ANSWER), ANSWER, to, at + strlen(from)),
        1, sizeof text - 1);
    read_document(text, &got);
    json_t *faults = json_array();
    answer_check(asked, &got, SPEKE_V2_0, &arena, faults);
    return faults;
}

static void a_good_answer_has_no_fault(void **state)
{
    (void)state;
    struct cpix_document asked;
    read_document(REQUEST, &asked);
    json_t *faults = faults_of("", "", &asked);
    assert_int_equal(json_array_size(faults), 0);
    json_decref(faults);
    faults = faults_of("", "", NULL);
    assert_int_equal(json_array_size(faults), 0);
    json_decref(faults);
}

static void each_fault_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *fault;
    } CASES[] = {
        {"contentId=\"movie-1\"", "contentId=\"movie-2\"", "CPIX@contentId is \"movie-2\""},
        {"version=\"2.3\"", "version=\"2.4\"", "CPIX@version"},
        {KEY_1, "AAECAwQFBgcICQoLDA0O", "no key of 16 bytes"},
        {KEY_1, "", "no key of 16 bytes"},
        {KEY_1, "AAECAwQFBgcICQoLDA0ODxA=", "no key of 16 bytes"},
        {KEY_1, KEY_2, "have the same key"},
        {"explicitIV=\"" IV, "explicitIV=\"" KEY_1, "is the key"},
        {"explicitIV=\"" IV, "explicitIV=\"AAAA", "not base64 of 16 bytes"},
        {"ContentKey kid=\"" VIDEO_KID, "ContentKey kid=\"" AUDIO_KID, "asked was " VIDEO_KID},
        {"Scheme=\"cenc\"", "Scheme=\"cbcs\"", "commonEncryptionScheme"},
        {"<cpix:PSSH>" PSSH, "<cpix:PSSH>" AUDIO_PSSH, "does not hold the KID"},
        {"<cpix:PSSH>" PSSH, "<cpix:PSSH>AAAA", "not base64 of pssh boxes"},
        {"<cpix:PSSH>" PSSH, "<cpix:PSSH>", "PSSH of Widevine for KID " VIDEO_KID " was asked"},
        {"<cpix:PSSH>" PSSH "</cpix:PSSH>", "", "was asked for and did not come"},
        {AUDIO_PSSH, "AAAANHBzc2gBAAAAEHfv7MCyTQKs4zweUuL7SwAAAAH+3LqYdlQyEAEjRWeJq83vAAAAAA==",
         "of another system"},
        {MANIFEST, "bm90IFhNTA==", "not base64 of XML"},
        {MANIFEST, "PHgvPg==", "does not hold its PSSH"},
        {">" MEDIA, ">" MASTER, "#EXT-X-KEY:"},
        {">" MASTER, ">" OTHER_MASTER, "KEYFORMAT of Widevine"},
        {">" MASTER, ">", "HLSSignalingData master"},
        {">" MEDIA, ">I0VYVC1YLUtFWTpNRVRIT0Q9Tk9ORQ==", "HLS METHOD"},
        {"systemId=\"" WIDEVINE, "systemId=\"9a04f079-9840-4286-ab92-e65be0885f95",
         "DRMSystem 1 is not"},
        {"<cpix:VideoFilter/>", "<cpix:VideoFilter maxPixels=\"1\"/>", "usage rules"},
        {"intendedTrackType=\"VIDEO\"", "intendedTrackType=\"video\"", "usage rules"},
        {"<cpix:AudioFilter/>", "", "usage rules"},
        {"<cpix:ContentKeyUsageRuleList>",
         "<cpix:ContentKeyPeriodList><cpix:ContentKeyPeriod id=\"p\" index=\"1\"/>"
         "</cpix:ContentKeyPeriodList><cpix:ContentKeyUsageRuleList>",
         "periods"},
    };
    struct cpix_document asked;
    read_document(REQUEST, &asked);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        bool found = false;
        size_t k;
        json_t *fault;
        json_t *faults = faults_of(CASES[i].from, CASES[i].to, &asked);
        print_message("  %s\n", CASES[i].fault);
        json_array_foreach(faults, k, fault)
        {
            if (strstr(json_string_value(fault), CASES[i].fault) != NULL)
                found = true;
            else
                print_message("    also: %s\n", json_string_value(fault));
        }
        assert_true(found);
        json_decref(faults);
    }
}

static void keys_are_shown_only_on_demand(void **state)
{
    (void)state;
    struct cpix_document got;
    read_document(ANSWER, &got);
    for (int reveal = 0; reveal <= 1; reveal++) {
        json_t *description = answer_describe(&got, SPEKE_V2_0, &arena, reveal == 1, json_array());
        assert_non_null(description);
        char *text = json_dumps(description, 0);
        assert_non_null(text);
        print_message("  reveal %d\n", reveal);
        assert_int_equal(strstr(text, KEY_1) != NULL, reveal == 1);
        assert_int_equal(strstr(text, "000102030405060708090a0b0c0d0e0f") != NULL, reveal == 1);
        /* SHA-256 of the bytes 0 to 15. */
        assert_non_null(strstr(text, "\"fingerprint\": \"be45cb2605bf36be\""));
        free(text);
        json_decref(description);
    }
}

static void boxes_and_lines_are_described(void **state)
{
    (void)state;
    struct cpix_document got;
    read_document(ANSWER, &got);
    json_t *description = answer_describe(&got, SPEKE_V2_0, &arena, false, json_array());
    const json_t *system = json_array_get(json_object_get(description, "systems"), 0);
    const json_t *box = json_array_get(json_object_get(json_object_get(system, "pssh"), "boxes"),
                                       0);
    assert_string_equal(json_string_value(json_object_get(system, "system")), "widevine");
    assert_int_equal(json_integer_value(json_object_get(box, "size")), 50);
    assert_string_equal(json_string_value(json_array_get(json_object_get(box, "kids"), 0)),
                        VIDEO_KID);
    assert_string_equal(json_string_value(json_object_get(system, "hls_media")),
                        "#EXT-X-KEY:METHOD=SAMPLE-AES,KEYFORMAT=\"a\"");
    json_decref(description);
}

static void attributes_of_an_hls_line_are_found(void **state)
{
    (void)state;
    static const char LINE[] = "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://a,KEYFORMAT=b\","
                               "KEYFORMAT=\"com.apple\",KEYFORMATVERSIONS=\"1\"";
    char out[16];
    static const struct {
        const char *name, *value;
    } CASES[] = {{"METHOD", "SAMPLE-AES"},
                 {"KEYFORMAT", "com.apple"},
                 {"KEYFORMATVERSIONS", "1"},
                 {"IV", ""},
                 {"METHO", ""},
                 {"URI", ""} /* too long */};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        print_message("  %s\n", CASES[i].name);
        answer_hls_attribute(LINE, CASES[i].name, out, sizeof out);
        assert_string_equal(out, CASES[i].value);
    }
    answer_hls_attribute("no tag at all", "METHOD", out, sizeof out);
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_answer_has_no_fault),
        cmocka_unit_test(each_fault_is_found),
        cmocka_unit_test(keys_are_shown_only_on_demand),
        cmocka_unit_test(boxes_and_lines_are_described),
        cmocka_unit_test(attributes_of_an_hls_line_are_found),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
