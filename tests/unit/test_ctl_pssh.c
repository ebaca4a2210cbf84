/* SPDX-License-Identifier: Apache-2.0 */
/* Reading pssh boxes and PlayReady Objects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/base64.h"
#include "base/buf.h"
#include "ctl/pssh.h"

#include <cmocka.h>

static const char KID[] = "11223344-5566-7788-99aa-bbccddeeff00";
static const char SECOND_KID[] = "fedcba98-7654-3210-0123-456789abcdef";

enum { BYTES_MAX = 2048 };

static size_t decode(const char *base64, unsigned char *out)
{
    size_t len = 0;
    assert_int_equal(base64_decode(base64, strlen(base64), out, BYTES_MAX, &len), 0);
    return len;
}

static void assert_kid(const struct uuid *kid, const char *expected)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(kid, text);
    assert_string_equal(text, expected);
}

static void boxes_of_every_kind_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *name, *base64, *system;
        uint8_t version;
        size_t kids;
    } CASES[] = {
        {"common, one KID",
         "AAAANHBzc2gBAAAAEHfv7MCyTQKs4zweUuL7SwAAAAERIjNEVWZ3iJmqu8zd7v8AAAAAAA==",
         "1077efec-c0b2-4d02-ace3-3c1e52e2fb4b", 1, 1},
        {"common, two KIDs",
         "AAAARHBzc2gBAAAAEHfv7MCyTQKs4zweUuL7SwAAAAIRIjNEVWZ3iJmqu8zd7v8A/"
         "ty6mHZUMhABI0VniavN7wAAAAA=",
         "1077efec-c0b2-4d02-ace3-3c1e52e2fb4b", 1, 2},
        {"Widevine, KID alone",
         "AAAAMnBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAABISEBEiM0RVZneImaq7zN3u/wA=",
         "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed", 0, 1},
        {"Widevine with algorithm",
         "AAAANHBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAABQIARIQESIzRFVmd4iZqrvM3e7/AA==",
         "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed", 0, 1},
        {"Widevine with provider, content id and scheme",
         "AAAAS3Bzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAACsSEBEiM0RVZneImaq7zN3u/"
         "wAaB2V4YW1wbGUiCG1vdmllLTQySOPclZsG",
         "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed", 0, 1},
        {"Widevine, two KIDs",
         "AAAASnBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAACoSEBEiM0RVZneImaq7zN3u/"
         "wASEP7cuph2VDIQASNFZ4mrze9I88aJmwY=",
         "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed", 0, 2},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        unsigned char bytes[BYTES_MAX];
        struct pssh_box box;
        print_message("  %s\n", CASES[i].name);
        const size_t n = decode(CASES[i].base64, bytes);
        assert_int_equal(pssh_read(bytes, n, &box), 0);
        assert_kid(&box.system_id, CASES[i].system);
        assert_int_equal(box.version, CASES[i].version);
        assert_int_equal(box.size, n);
        assert_int_equal(box.kid_count, CASES[i].kids);
        assert_kid(&box.kids[0], KID);
        if (CASES[i].kids > 1)
            assert_kid(&box.kids[1], SECOND_KID);
    }
}

/* Header 4.3 AESCBC; the 4.2 one holds attributes before VALUE. */
static const char PRO_4_3[] =
    "LAIAAAEAAQAiAjwAVwBSAE0ASABFAEEARABFAFIAIAB4AG0AbABuAHMAPQAiAGgAdAB0AHAAOgAvAC8AcwBjAGgAZQBtAG"
    "EAcwAuAG0AaQBjAHIAbwBzAG8AZgB0AC4AYwBvAG0ALwBEAFIATQAvADIAMAAwADcALwAwADMALwBQAGwAYQB5AFIAZQBh"
    "AGQAeQBIAGUAYQBkAGUAcgAiACAAdgBlAHIAcwBpAG8AbgA9ACIANAAuADMALgAwAC4AMAAiAD4APABEAEEAVABBAD4APA"
    "BQAFIATwBUAEUAQwBUAEkATgBGAE8APgA8AEsASQBEAFMAPgA8AEsASQBEACAAQQBMAEcASQBEAD0AIgBBAEUAUwBDAEIA"
    "QwAiACAAVgBBAEwAVQBFAD0AIgBSAEQATQBpAEUAVwBaAFYAaQBIAGUAWgBxAHIAdgBNADMAZQA3AC8AQQBBAD0APQAiAD"
    "4APAAvAEsASQBEAD4APAAvAEsASQBEAFMAPgA8AC8AUABSAE8AVABFAEMAVABJAE4ARgBPAD4APABMAEEAXwBVAFIATAA+"
    "AGgAdAB0AHAAcwA6AC8ALwBsAGkAYwAuAGUAeABhAG0AcABsAGUALgBjAG8AbQAvAHAAcgA/AHgAPQAxACYAYQBtAHAAOw"
    "B5AD0AMgA8AC8ATABBAF8AVQBSAEwAPgA8AC8ARABBAFQAQQA+ADwALwBXAFIATQBIAEUAQQBEAEUAUgA+AA==";

/* A PlayReady Object around a header in ASCII. */
static size_t make_object(const char *header, unsigned char *out)
{
    const size_t n = strlen(header) * 2, total = n + 10;
    const unsigned char head[] = {
        (unsigned char)total, (unsigned char)(total >> 8), 0, 0, 1, 0, 1, 0,
        (unsigned char)n,     (unsigned char)(n >> 8)};
    memcpy(out, head, sizeof head);
    for (size_t i = 0; i < strlen(header); i++) {
        out[10 + 2 * i] = (unsigned char)header[i];
        out[11 + 2 * i] = 0;
    }
    return total;
}

static void kids_of_playready_objects_are_read(void **state)
{
    (void)state;
    unsigned char bytes[BYTES_MAX];
    struct uuid kids[4];
    size_t count;
    size_t n = decode(PRO_4_3, bytes);
    assert_int_equal(playready_object_read(bytes, n, kids, 4, &count), 0);
    assert_int_equal(count, 1);
    assert_kid(&kids[0], KID);

    n = make_object("<WRMHEADER version=\"4.0.0.0\"><DATA><KID>RDMiEWZViHeZqrvM3e7/AA==</KID>"
                    "</DATA></WRMHEADER>",
                    bytes);
    assert_int_equal(playready_object_read(bytes, n, kids, 4, &count), 0);
    assert_int_equal(count, 1);
    assert_kid(&kids[0], KID);

    n = make_object("<KIDS><KID ALGID=\"AESCTR\" CHECKSUM=\"ZNJ8EqtL00E=\" "
                    "VALUE=\"RDMiEWZViHeZqrvM3e7/AA==\"></KID><KID ALGID=\"AESCTR\" "
                    "VALUE=\"mLrc/lR2EDIBI0VniavN7w==\"></KID></KIDS>",
                    bytes);
    assert_int_equal(playready_object_read(bytes, n, kids, 4, &count), 0);
    assert_int_equal(count, 2);
    assert_kid(&kids[0], KID);
    assert_kid(&kids[1], SECOND_KID);
}

/* Every shorter piece and every wrong length must be refused without reading past the end. */
static void what_does_not_hold_together_is_refused(void **state)
{
    (void)state;
    unsigned char bytes[BYTES_MAX], copy[BYTES_MAX];
    struct pssh_box box;
    struct uuid kids[4];
    size_t count;
    size_t n = decode("AAAASnBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAACoSEBEiM0RVZneImaq7zN3u/"
                      "wASEP7cuph2VDIQASNFZ4mrze9I88aJmwY=",
                      bytes);
    for (size_t shorter = 0; shorter < n; shorter++)
        assert_int_equal(pssh_read(bytes, shorter, &box), -1);
    static const struct {
        size_t at;
        unsigned char value;
    } EDITS[] = {{3, 0}, {3, 31}, {0, 1}, {5, 'x'}, {8, 2}, {31, 0x29}, {31, 0x2b}, {33, 0x7f}};
    for (size_t i = 0; i < sizeof EDITS / sizeof EDITS[0]; i++) {
        print_message("  byte %zu = 0x%02x\n", EDITS[i].at, EDITS[i].value);
        memcpy(copy, bytes, n);
        copy[EDITS[i].at] = EDITS[i].value;
        assert_int_equal(pssh_read(copy, n, &box), -1);
    }
    n = decode(PRO_4_3, bytes);
    for (size_t shorter = 0; shorter < n; shorter++)
        assert_int_equal(playready_object_read(bytes, shorter, kids, 4, &count), -1);
    bytes[4] = 2; /* records */
    assert_int_equal(playready_object_read(bytes, n, kids, 4, &count), -1);
}

static void a_kid_count_that_cannot_be_is_refused(void **state)
{
    (void)state;
    unsigned char bytes[BYTES_MAX];
    struct pssh_box box;
    const size_t n = decode(
        "AAAANHBzc2gBAAAAEHfv7MCyTQKs4zweUuL7SwAAAAERIjNEVWZ3iJmqu8zd7v8AAAAAAA==", bytes);
    memset(bytes + 28, 0xff, 4);
    assert_int_equal(pssh_read(bytes, n, &box), -1);
    memcpy(bytes + 28, "\0\0\0\2", 4);
    assert_int_equal(pssh_read(bytes, n, &box), -1);
}

static void assert_bytes(struct pssh_bytes got, const char *expected)
{
    assert_int_equal(got.size, strlen(expected));
    assert_memory_equal(got.bytes, expected, got.size);
}

static void the_fields_of_a_widevine_message_are_read(void **state)
{
    (void)state;
    unsigned char bytes[BYTES_MAX];
    struct pssh_box box;
    size_t n = decode("AAAAS3Bzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAACsSEBEiM0RVZneImaq7zN3u/"
                      "wAaB2V4YW1wbGUiCG1vdmllLTQySOPclZsG",
                      bytes);
    assert_int_equal(pssh_read(bytes, n, &box), 0);
    assert_bytes(box.widevine.provider, "example");
    assert_bytes(box.widevine.content_id, "movie-42");
    assert_null(box.widevine.policy.bytes);
    assert_int_equal(box.widevine.protection_scheme, 0x63656e63); /* "cenc" */
    assert_int_equal(box.data.size, n - 32);
    assert_ptr_equal(box.data.bytes, bytes + 32);
}

static void assert_header(const unsigned char *units, size_t size, const char *expected)
{
    unsigned char object[64] = {0};
    struct buf text;
    buf_init(&text, 256);
    object[0] = (unsigned char)(10 + size);
    object[4] = 1; /* record */
    object[6] = 1; /* a header */
    object[8] = (unsigned char)size;
    memcpy(object + 10, units, size);
    assert_int_equal(playready_object_header(object, 10 + size, &text), 0);
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.data, expected, text.len);
    buf_free(&text);
}

static void a_playready_header_becomes_utf8(void **state)
{
    (void)state;
    unsigned char bytes[BYTES_MAX];
    struct buf text;
    static const unsigned char UNITS[] = {'a', 0, 0xe9, 0, 0xac, 0x20, 0x3d, 0xd8, 0x00, 0xde};
    static const unsigned char LONE[] = {0x3d, 0xd8, 'a', 0, 0x00, 0xde};
    static const unsigned char CUT[] = {0x3d, 0xd8};
    assert_header(UNITS, sizeof UNITS, "a\u00e9\u20ac\U0001f600");
    assert_header(LONE, sizeof LONE, "\ufffda\ufffd");
    assert_header(CUT, sizeof CUT, "\ufffd");
    assert_header(UNITS, 3, "a"); /* half a unit is none */

    buf_init(&text, BYTES_MAX);
    const size_t n = decode(PRO_4_3, bytes);
    assert_int_equal(playready_object_header(bytes, n, &text), 0);
    assert_memory_equal(text.data, "<WRMHEADER ", 11);
    assert_memory_equal(text.data + text.len - 12, "</WRMHEADER>", 12);
    assert_int_equal(text.len, (n - 10) / 2);
    for (size_t shorter = 0; shorter < n; shorter++)
        assert_int_equal(playready_object_header(bytes, shorter, &text), -1);
    bytes[6] = 3; /* an embedded licence store, no header */
    assert_int_equal(playready_object_header(bytes, n, &text), -1);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boxes_of_every_kind_are_read),
        cmocka_unit_test(kids_of_playready_objects_are_read),
        cmocka_unit_test(what_does_not_hold_together_is_refused),
        cmocka_unit_test(the_fields_of_a_widevine_message_are_read),
        cmocka_unit_test(a_playready_header_becomes_utf8),
        cmocka_unit_test(a_kid_count_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
