/* SPDX-License-Identifier: Apache-2.0 */
/* The DRM systems as an exchange meets them: which are known, what fits them and which values they
 * have. What goes into the values: test_drm_values; byte for byte: test_drm_vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "test_drm_fixture.h"

#include <cmocka.h> /* after base/failure.h, as it makes a macro of "fail" */

static const char *const NAMES[] = {"widevine", "playready", "fairplay", "clearkey",
                                    "aes128",   "common",    "eme"};

static void systems_are_known_in_their_versions(void **state)
{
    (void)state;
    static const struct {
        const char *name, *id, *title;
        bool v1, v2;
    } ROWS[] = {
        {"widevine", "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed", "Widevine", true, true},
        {"playready", "9a04f079-9840-4286-ab92-e65be0885f95", "PlayReady", true, true},
        {"fairplay", "94ce86fb-07ff-4f43-adb8-93d2fa968ca2", "FairPlay", true, true},
        {"clearkey", "3ea8778f-7742-4bf9-b18b-e834b2acbd47", "Clear Key AES-128", false, true},
        {"aes128", "81376844-f976-481e-a84e-cc25d39b0b33", "HLS AES-128 (SPEKE v1)", true, false},
        {"common", "1077efec-c0b2-4d02-ace3-3c1e52e2fb4b", "W3C common PSSH", true, true},
        {"eme", "e2719d58-a985-b3c9-781a-b030af78d30e", "W3C Clear Key", true, true},
    };
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct uuid id;
        const struct drm_system *system = drm_find_by_name(ROWS[i].name);
        print_message("  %s\n", ROWS[i].name);
        assert_int_equal(uuid_parse(ROWS[i].id, &id), 0);
        assert_non_null(system);
        assert_string_equal(drm_name(system), ROWS[i].name);
        assert_string_equal(drm_title(system), ROWS[i].title);
        assert_true(uuid_equal(drm_id(system), &id));
        assert_ptr_equal(drm_find(&id, SPEKE_V1), ROWS[i].v1 ? system : NULL);
        assert_ptr_equal(drm_find(&id, SPEKE_V2_0), ROWS[i].v2 ? system : NULL);
        assert_ptr_equal(drm_find(&id, SPEKE_V2_1), ROWS[i].v2 ? system : NULL);
    }
}

static void other_systems_are_not_known(void **state)
{
    (void)state;
    static const char *const IDS[] = {
        "00000000-0000-0000-0000-000000000000", "80a6be7e-1448-4c37-9e70-d5aebe04c8d2",
        "e2719d58-a985-b3c9-781a-b030af78d30f", "edef8ba9-79d6-4ace-a3c8-27dcd51d21ee",
        "79f0049a-4098-8642-ab92-e65be0885f95"};
    static const char *const WORDS[] = {"", "Widevine", "irdeto", "widevine "};
    for (size_t i = 0; i < COUNT(IDS); i++) {
        struct uuid id;
        assert_int_equal(uuid_parse(IDS[i], &id), 0);
        for (enum speke_version v = SPEKE_V1; v <= SPEKE_V2_1; v++)
            assert_null(drm_find(&id, v));
    }
    for (size_t i = 0; i < COUNT(WORDS); i++)
        assert_null(drm_find_by_name(WORDS[i]));
}

/* One letter a scheme, in the order of the enumeration: none (v1), cenc, cbc1, cens, cbcs, AES-128,
 * SAMPLE-AES, SAMPLE-AES-CTR, unknown. */
static void schemes_fit_as_the_guide_says(void **state)
{
    (void)state;
    static const char *const FITS[] = {"yy--y-yy-", "yy--y-yy-", "y---y-y--", "--y--y---",
                                       "y--------", "yy--y----", "yy--y-yy-"};
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        print_message("  %s\n", NAMES[i]);
        for (enum scheme s = SCHEME_NONE; s <= SCHEME_UNKNOWN; s++)
            assert_int_equal(drm_scheme_fits(drm_find_by_name(NAMES[i]), s), FITS[i][s] == 'y');
    }
}

/* One letter a field, in the order of the enumeration: absent, empty or full. */
static void each_system_has_its_values(void **state)
{
    struct fixture *x = *state;
    static const struct {
        const char *name;
        enum scheme scheme;
        enum speke_version version;
        const char *fields;
    } ROWS[] = {
        {"widevine", SCHEME_NONE, SPEKE_V1, "ff------"},
        {"playready", SCHEME_NONE, SPEKE_V1, "ff--f---"},
        {"fairplay", SCHEME_NONE, SPEKE_V1, "-----fff"},
        {"aes128", SCHEME_NONE, SPEKE_V1, "-----fff"},
        {"common", SCHEME_NONE, SPEKE_V1, "ff------"},
        {"eme", SCHEME_NONE, SPEKE_V1, "-f------"},
        {"widevine", SCHEME_CBCS, SPEKE_V2_0, "ffff----"},
        {"playready", SCHEME_CBCS, SPEKE_V2_0, "fffff---"},
        {"fairplay", SCHEME_CBCS, SPEKE_V2_0, "e-ff----"},
        {"clearkey", SCHEME_CBC1, SPEKE_V2_0, "e-ff----"},
        {"common", SCHEME_CBCS, SPEKE_V2_0, "ff------"},
        {"eme", SCHEME_CBCS, SPEKE_V2_0, "efff----"},
        {"playready", SCHEME_CENC, SPEKE_V2_1, "fffff---"},
        {"fairplay", SCHEME_HLS_SAMPLE_AES, SPEKE_V2_1, "e-ff----"},
    };
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        print_message("  %s %s\n", ROWS[i].name, speke_version_name(ROWS[i].version));
        x->in.scheme = ROWS[i].scheme;
        x->in.version = ROWS[i].version;
        run_well(x, ROWS[i].name, ALL_FIELDS);
        for (unsigned j = 0; j < FIELD_COUNT; j++) {
            const char *value = field(&x->values, j);
            const char got = value == NULL ? '-' : value[0] == '\0' ? 'e' : 'f';
            assert_int_equal(got, ROWS[i].fields[j]);
        }
    }
}

/* Each field alone and each pair of them gives what it gives among all, and nothing else. */
static void only_what_is_wanted_is_given(void **state)
{
    struct fixture *x = *state;
    static const enum scheme SCHEMES[] = {SCHEME_CENC, SCHEME_CENC, SCHEME_CBCS, SCHEME_CBC1,
                                          SCHEME_NONE, SCHEME_CENC, SCHEME_CENC};
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        x->in.scheme = SCHEMES[i];
        x->in.version = SCHEMES[i] == SCHEME_NONE ? SPEKE_V1 : SPEKE_V2_0;
        print_message("  %s\n", NAMES[i]);
        run_well(x, NAMES[i], ALL_FIELDS);
        const struct drm_values all = x->values;
        for (unsigned j = 0; j < FIELD_COUNT * FIELD_COUNT; j++) {
            const unsigned wanted = 1U << j % FIELD_COUNT | 1U << j / FIELD_COUNT;
            run_well(x, NAMES[i], wanted);
            for (unsigned k = 0; k < FIELD_COUNT; k++) {
                const char *value = field(&x->values, k);
                if ((wanted & 1U << k) == 0 || field(&all, k) == NULL)
                    assert_null(value);
                else
                    assert_string_equal(value, field(&all, k));
            }
        }
        run_well(x, NAMES[i], 0);
        for (unsigned k = 0; k < FIELD_COUNT; k++)
            assert_null(field(&x->values, k));
    }
}

/* The attributes are the same; METHOD is the guide's unless the settings or, in v2.1, the document
 * say otherwise. */
static void hls_lines_differ_in_their_tag_alone(void **state)
{
    struct fixture *x = *state;
    static const struct {
        const char *name;
        enum scheme scheme;
        bool ctr;
        const char *method;
    } ROWS[] = {
        {"widevine", SCHEME_CENC, false, "SAMPLE-AES"},
        {"widevine", SCHEME_CENC, true, "SAMPLE-AES-CTR"},
        {"widevine", SCHEME_CBCS, true, "SAMPLE-AES"},
        {"widevine", SCHEME_HLS_SAMPLE_AES, true, "SAMPLE-AES"},
        {"widevine", SCHEME_HLS_SAMPLE_AES_CTR, false, "SAMPLE-AES-CTR"},
        {"playready", SCHEME_CENC, false, "SAMPLE-AES"},
        {"playready", SCHEME_CENC, true, "SAMPLE-AES-CTR"},
        {"playready", SCHEME_CBCS, true, "SAMPLE-AES"},
        {"playready", SCHEME_HLS_SAMPLE_AES_CTR, false, "SAMPLE-AES-CTR"},
        {"fairplay", SCHEME_CBCS, true, "SAMPLE-AES"},
        {"fairplay", SCHEME_HLS_SAMPLE_AES, false, "SAMPLE-AES"},
        {"clearkey", SCHEME_CBC1, true, "AES-128"},
        {"clearkey", SCHEME_HLS_AES_128, false, "AES-128"},
    };
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        char start[64];
        static char media[VALUE_SIZE];
        print_message("  %s %s\n", ROWS[i].name, scheme_name(ROWS[i].scheme));
        x->in.scheme = ROWS[i].scheme;
        x->settings.hls_ctr_method = ROWS[i].ctr;
        run_well(x, ROWS[i].name, ALL_FIELDS);
        strcpy(media, decode(x, x->values.hls_media));
        const char *master = decode(x, x->values.hls_master);
        (void)snprintf(start, sizeof start, "#EXT-X-KEY:METHOD=%s,", ROWS[i].method);
        assert_memory_equal(media, start, strlen(start));
        assert_memory_equal(master, "#EXT-X-SESSION-KEY:", strlen("#EXT-X-SESSION-KEY:"));
        assert_string_equal(strchr(master, ':'), strchr(media, ':'));
        assert_null(strpbrk(media, "\r\n"));
        assert_null(strstr(media, "SCHEME"));
    }
}

/* The data URIs hold the very texts of the other values, and both elements of PlayReady's
 * ContentProtectionData do. */
static void values_agree_with_each_other(void **state)
{
    struct fixture *x = *state;
    static char expected[VALUE_SIZE];
    x->in.scheme = SCHEME_CENC;
    run_well(x, "widevine", ALL_FIELDS);
    (void)snprintf(expected, sizeof expected, "URI=\"data:text/plain;base64,%s\"", x->values.pssh);
    assert_non_null(strstr(decode(x, x->values.hls_media), expected));
    run_well(x, "playready", ALL_FIELDS);
    (void)snprintf(expected, sizeof expected, "URI=\"data:text/plain;charset=UTF-16;base64,%s\"",
                   x->values.smooth_header);
    assert_non_null(strstr(decode(x, x->values.hls_media), expected));
    (void)snprintf(expected, sizeof expected,
                   "<cenc:pssh xmlns:cenc=\"urn:mpeg:cenc:2013\">%s</cenc:pssh>"
                   "<mspr:pro xmlns:mspr=\"urn:microsoft:playready\">%s</mspr:pro>",
                   x->values.pssh, x->values.smooth_header);
    assert_string_equal(decode(x, x->values.content_protection), expected);
    static unsigned char box[VALUE_SIZE];
    (void)decode(x, x->values.pssh);
    memcpy(box, x->bytes, x->n);
    const size_t box_size = x->n;
    (void)decode(x, x->values.smooth_header);
    assert_int_equal(box_size, x->n + 32);
    assert_memory_equal(box + 32, x->bytes, x->n);
}

/* What the HLS method names of v2.1 stand for is signalled in the same way. */
static void method_names_mean_their_schemes(void **state)
{
    struct fixture *x = *state;
    static const enum scheme PAIRS[][2] = {{SCHEME_CENC, SCHEME_HLS_SAMPLE_AES_CTR},
                                           {SCHEME_CBCS, SCHEME_HLS_SAMPLE_AES}};
    x->in.version = SPEKE_V2_1;
    x->settings.hls_ctr_method = true;
    for (size_t i = 0; i < COUNT(PAIRS); i++) {
        for (size_t j = 0; j < 2; j++) {
            x->in.scheme = PAIRS[i][0];
            run_well(x, NAMES[j], ALL_FIELDS);
            const struct drm_values first = x->values;
            x->in.scheme = PAIRS[i][1];
            run_well(x, NAMES[j], ALL_FIELDS);
            assert_string_equal(x->values.content_protection, first.content_protection);
            assert_string_equal(x->values.hls_media, first.hls_media);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(systems_are_known_in_their_versions),
        cmocka_unit_test(other_systems_are_not_known),
        cmocka_unit_test(schemes_fit_as_the_guide_says),
        WITH_FIXTURE(each_system_has_its_values),
        WITH_FIXTURE(only_what_is_wanted_is_given),
        WITH_FIXTURE(hls_lines_differ_in_their_tag_alone),
        WITH_FIXTURE(values_agree_with_each_other),
        WITH_FIXTURE(method_names_mean_their_schemes),
    };
    return cmocka_run_group_tests_name("drm systems", tests, NULL, NULL);
}
