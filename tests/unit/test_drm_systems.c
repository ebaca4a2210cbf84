/* SPDX-License-Identifier: Apache-2.0 */
/* The DRM systems as an exchange meets them: which are known, what fits them, which values they
 * have and what goes into these. Values byte for byte: test_drm_vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/failure.h"
#include "drm/drm.h"

#include <cmocka.h> /* after base/failure.h, as it makes a macro of "fail" */

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { FIELD_COUNT = 8, ALL_FIELDS = (1 << FIELD_COUNT) - 1, VALUE_SIZE = 32768 };

static const char *const NAMES[] = {"widevine", "playready", "fairplay",
                                    "clearkey", "aes128",    "common"};

static const unsigned char KEY[16] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
                                      0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f};
static const unsigned char OTHER_KEY[16] = {0x0f};
static const unsigned char IV[16] = {0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
                                     0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f};
static const struct uuid KID = {{0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb,
                                 0xcc, 0xdd, 0xee, 0xff, 0x00}};

/* A computation with everything set; each test changes what it is about. */
struct fixture {
    struct arena arena;
    struct drm_settings settings;
    struct drm_input in;
    struct drm_values values;
    struct failure f;
    unsigned char bytes[VALUE_SIZE]; /* of the value decoded last, with a zero after them */
    size_t n;
};

static int set_up(void **state)
{
    static struct fixture x;
    x = (struct fixture){.settings = DRM_DEFAULT_SETTINGS};
    arena_init(&x.arena, 1 << 20);
    x.settings.key_url_base = "https://keys.example.net/client";
    x.in = (struct drm_input){
        .kid = &KID,
        .key = KEY,
        .iv = IV,
        .iv_text = "EBESExQVFhcYGRobHB0eHw==",
        .content_id = "movie-42",
        .version = SPEKE_V2_0,
        .settings = &x.settings,
    };
    *state = &x;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *x = *state;
    arena_free(&x->arena);
    return 0;
}

static int run(struct fixture *x, const char *name, unsigned wanted)
{
    failure_clear(&x->f);
    return drm_signal(drm_find_by_name(name), &x->in, wanted, &x->arena, &x->values, &x->f);
}

static void run_well(struct fixture *x, const char *name, unsigned wanted)
{
    if (run(x, name, wanted) != 0)
        fail_msg("%s: %s", name, x->f.cause);
}

static const char *field(const struct drm_values *v, unsigned i)
{
    const char *const all[FIELD_COUNT] = {v->pssh,       v->content_protection, v->hls_media,
                                          v->hls_master, v->smooth_header,      v->key_uri,
                                          v->key_format, v->key_format_versions};
    return all[i];
}

/* Decodes a value and returns it as text. */
static const char *decode(struct fixture *x, const char *value)
{
    assert_non_null(value);
    assert_int_equal(base64_decode(value, strlen(value), x->bytes, sizeof x->bytes - 1, &x->n), 0);
    x->bytes[x->n] = '\0';
    return (const char *)x->bytes;
}

static bool holds(const struct fixture *x, const void *part, size_t n)
{
    return memmem(x->bytes, x->n, part, n) != NULL;
}

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
        "e2719d58-a985-b3c9-781a-b030af78d30e", "edef8ba9-79d6-4ace-a3c8-27dcd51d21ee",
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
    static const char *const FITS[] = {"yy--y-yy-", "yy--y-yy-", "y---y-y--",
                                       "--y--y---", "y--------", "yy--y----"};
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
        {"widevine", SCHEME_CBCS, SPEKE_V2_0, "ffff----"},
        {"playready", SCHEME_CBCS, SPEKE_V2_0, "fffff---"},
        {"fairplay", SCHEME_CBCS, SPEKE_V2_0, "e-ff----"},
        {"clearkey", SCHEME_CBC1, SPEKE_V2_0, "e-ff----"},
        {"common", SCHEME_CBCS, SPEKE_V2_0, "ff------"},
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
    static const enum scheme SCHEMES[] = {SCHEME_CENC, SCHEME_CENC, SCHEME_CBCS,
                                          SCHEME_CBC1, SCHEME_NONE, SCHEME_CENC};
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

/* Another key changes CHECKSUM in a PlayReady header for CTR, and nothing anywhere else. */
static void nothing_but_the_checksum_comes_from_the_key(void **state)
{
    struct fixture *x = *state;
    static const struct {
        const char *name;
        enum scheme scheme;
        unsigned changed;
    } ROWS[] = {
        {"widevine", SCHEME_CENC, 0},  {"widevine", SCHEME_CBCS, 0},
        {"playready", SCHEME_CBCS, 0}, {"playready", SCHEME_CENC, 0x1f},
        {"fairplay", SCHEME_CBCS, 0},  {"clearkey", SCHEME_CBC1, 0},
        {"common", SCHEME_CENC, 0},
    };
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        print_message("  %s %s\n", ROWS[i].name, scheme_name(ROWS[i].scheme));
        x->in.scheme = ROWS[i].scheme;
        x->in.key = OTHER_KEY;
        run_well(x, ROWS[i].name, ALL_FIELDS);
        const struct drm_values other = x->values;
        x->in.key = KEY;
        run_well(x, ROWS[i].name, ALL_FIELDS);
        for (unsigned j = 0; j < FIELD_COUNT; j++) {
            if (field(&other, j) == NULL)
                continue;
            const bool same = strcmp(field(&other, j), field(&x->values, j)) == 0;
            assert_int_equal(same, (ROWS[i].changed & 1U << j) == 0);
            (void)decode(x, field(&x->values, j));
            assert_false(holds(x, KEY, sizeof KEY));
        }
    }
}

static void playready_headers_change_in_the_checksum_alone(void **state)
{
    struct fixture *x = *state;
    static unsigned char first[VALUE_SIZE];
    enum { CHECKSUM_UNITS = 12 };
    x->in.scheme = SCHEME_CENC;
    run_well(x, "playready", DRM_SMOOTH_HEADER);
    (void)decode(x, x->values.smooth_header);
    memcpy(first, x->bytes, x->n);
    const size_t size = x->n;
    x->in.key = OTHER_KEY;
    run_well(x, "playready", DRM_SMOOTH_HEADER);
    (void)decode(x, x->values.smooth_header);
    assert_int_equal(x->n, size);
    size_t from = 0, to = size;
    while (first[from] == x->bytes[from])
        from++;
    while (first[to - 1] == x->bytes[to - 1])
        to--;
    assert_true(to - from <= 2 * CHECKSUM_UNITS);
}

static void widevine_fields_stand_in_order(void **state)
{
    struct fixture *x = *state;
    static const char DATA[] = "\x12\x10\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee"
                               "\xff\x00\x1a\x07"
                               "example"
                               "\x22\x08movie-42"
                               "\x32\x04gold\x48\xf3\xc6\x89\x9b\x06";
    x->in.scheme = SCHEME_CBCS;
    x->settings.widevine_provider = "example";
    x->settings.widevine_policy = "gold";
    x->settings.widevine_content_id = true;
    run_well(x, "widevine", DRM_PSSH);
    (void)decode(x, x->values.pssh);
    assert_int_equal(x->n, 32 + sizeof DATA - 1);
    assert_memory_equal(x->bytes + 32, DATA, sizeof DATA - 1);
}

/* From 128 bytes on the length in the message takes more than one byte. */
static void widevine_takes_long_and_odd_content_ids(void **state)
{
    struct fixture *x = *state;
    static const struct {
        size_t n;
        const char *length;
    } ROWS[] = {
        {127, "\x22\x7f"}, {128, "\x22\x80\x01"}, {300, "\x22\xac\x02"}, {4096, "\x22\x80\x20"}};
    static char id[4097];
    x->in.scheme = SCHEME_CENC;
    x->in.content_id = id;
    x->settings.widevine_content_id = true;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        const size_t length_size = strlen(ROWS[i].length);
        const size_t data_size = 18 + length_size + ROWS[i].n + 6;
        memset(id, 'x', ROWS[i].n);
        memcpy(id, "\xf0\x9f\x98\x80\"\\<", 7);
        print_message("  %zu\n", ROWS[i].n);
        run_well(x, "widevine", ALL_FIELDS);
        (void)decode(x, x->values.pssh);
        assert_int_equal(x->n, 32 + data_size);
        assert_int_equal(x->bytes[2] << 8 | x->bytes[3], 32 + data_size);
        assert_int_equal(x->bytes[30] << 8 | x->bytes[31], data_size);
        assert_memory_equal(x->bytes + 50, ROWS[i].length, length_size);
        assert_memory_equal(x->bytes + 50 + length_size, id, ROWS[i].n);
    }
}

static void empty_settings_are_left_out(void **state)
{
    struct fixture *x = *state;
    x->in.scheme = SCHEME_CENC;
    run_well(x, "widevine", DRM_PSSH);
    const char *widevine = x->values.pssh;
    run_well(x, "playready", DRM_PSSH);
    const char *playready = x->values.pssh;
    x->settings.widevine_provider = x->settings.widevine_policy = "";
    x->settings.playready_la_url = "";
    run_well(x, "widevine", DRM_PSSH);
    assert_string_equal(x->values.pssh, widevine);
    run_well(x, "playready", DRM_PSSH);
    assert_string_equal(x->values.pssh, playready);
}

static void the_la_url_is_escaped_and_in_utf16(void **state)
{
    struct fixture *x = *state;
    static const char EXPECTED[] = "<\0L\0A\0_\0U\0R\0L\0>\0h\0:\0&\0a\0m\0p\0;\0&\0l\0t\0;\0"
                                   "&\0g\0t\0;\0\xfc\0\xac\x20\x3d\xd8\x00\xde<\0/\0L\0A\0";
    x->in.scheme = SCHEME_CBCS;
    x->settings.playready_la_url = "h:&<>\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80";
    run_well(x, "playready", DRM_SMOOTH_HEADER);
    (void)decode(x, x->values.smooth_header);
    assert_true(holds(x, EXPECTED, sizeof EXPECTED - 1));
    /* The lengths count bytes, not characters. */
    assert_int_equal(x->bytes[0] | x->bytes[1] << 8, x->n);
    assert_int_equal(x->bytes[8] | x->bytes[9] << 8, x->n - 10);
}

static void expect_failure(struct fixture *x, const char *name, const char *cause)
{
    print_message("  %s\n", cause);
    assert_int_equal(run(x, name, ALL_FIELDS), -1);
    assert_int_equal(x->f.status, 500);
    assert_string_equal(x->f.text, "Internal error");
    assert_non_null(strstr(x->f.cause, cause));
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        assert_null(field(&x->values, i));
}

static void settings_that_cannot_be_signalled_are_failures(void **state)
{
    struct fixture *x = *state;
    static char url[8192];
    x->in.scheme = SCHEME_CBCS;
    x->settings.playready_la_url = "https://\xff";
    expect_failure(x, "playready", "the LA_URL is no UTF-8");
    x->settings.playready_la_url = "https://\x02";
    expect_failure(x, "playready", "the LA_URL is no UTF-8");
    memset(url, 'u', sizeof url - 1);
    x->settings.playready_la_url = url;
    expect_failure(x, "playready", "above 15360 bytes");
    x->settings.fairplay_uri = "skd://{nothing}";
    expect_failure(x, "fairplay", "{nothing}");
    x->in.version = SPEKE_V1;
    expect_failure(x, "fairplay", "{nothing}");
    x->settings.key_url_base = "";
    expect_failure(x, "aes128", "{key_url} has no value");
    x->settings.key_url_base = "https://a\"b";
    expect_failure(x, "aes128", "no text that can stand in quotes");
}

/* The largest object is taken, one character more is not. */
static void playready_objects_end_at_15_kilobytes(void **state)
{
    struct fixture *x = *state;
    static char url[8192];
    x->in.scheme = SCHEME_CBCS;
    x->settings.playready_la_url = "u";
    run_well(x, "playready", DRM_SMOOTH_HEADER);
    (void)decode(x, x->values.smooth_header);
    const size_t most = 1 + (15360 - x->n) / 2;
    memset(url, 'u', most);
    x->settings.playready_la_url = url;
    run_well(x, "playready", DRM_SMOOTH_HEADER);
    (void)decode(x, x->values.smooth_header);
    assert_int_equal(x->n, 15360);
    url[most] = 'u';
    expect_failure(x, "playready", "above 15360 bytes");
}

/* Whatever the content id, the line stays one line and the JSON stays JSON. */
static void odd_content_ids_stay_inside_their_quotes(void **state)
{
    struct fixture *x = *state;
    static const char *const IDS[] = {"a\",URI=\"http://evil/",
                                      "a\r\n#EXTINF",
                                      "{kid}{",
                                      "%00/..",
                                      "\x01\x7f",
                                      "\xe2\x80\xa8",
                                      " "};
    for (size_t i = 0; i < COUNT(IDS); i++) {
        x->in.content_id = IDS[i];
        for (size_t j = 0; j < 2; j++) {
            const char *name = j == 0 ? "fairplay" : "clearkey";
            x->in.scheme = j == 0 ? SCHEME_CBCS : SCHEME_CBC1;
            run_well(x, name, DRM_HLS_MEDIA);
            const char *line = decode(x, x->values.hls_media);
            size_t quotes = 0;
            for (const char *p = line; *p != '\0'; p++) {
                assert_true((unsigned char)*p > 0x20 && (unsigned char)*p < 0x7f);
                quotes += *p == '"';
            }
            assert_int_equal(quotes, 6);
        }
    }
}

static void an_aes_128_line_has_an_iv_only_when_there_is_one(void **state)
{
    struct fixture *x = *state;
    x->in.scheme = SCHEME_CBC1;
    x->settings.hls_iv = true;
    run_well(x, "clearkey", DRM_HLS_MEDIA);
    assert_non_null(
        strstr(decode(x, x->values.hls_media), ",IV=0x101112131415161718191a1b1c1d1e1f,"));
    x->in.iv = NULL;
    x->in.iv_text = NULL;
    run_well(x, "clearkey", DRM_HLS_MEDIA);
    assert_null(strstr(decode(x, x->values.hls_media), "IV="));
}

/* An arena that is full at any point gives a failure and no values. */
static void want_of_memory_is_a_failure(void **state)
{
    struct fixture *x = *state;
    size_t failures = 0;
    x->in.scheme = SCHEME_CBCS;
    for (size_t i = 0; i < 3; i++) {
        size_t max = 0;
        for (;; max += 64) {
            arena_free(&x->arena);
            arena_init(&x->arena, max);
            if (run(x, NAMES[i], ALL_FIELDS) == 0)
                break;
            assert_int_equal(x->f.status, 500);
            assert_string_equal(x->f.cause, "out of memory");
            for (unsigned j = 0; j < FIELD_COUNT; j++)
                assert_null(field(&x->values, j));
            failures++;
        }
        assert_true(max > 256);
    }
    assert_true(failures > 30);
}

/* More than a value may hold: the content id is longer than any that an exchange lets in. */
static void a_value_without_bounds_is_a_failure(void **state)
{
    struct fixture *x = *state;
    static char id[1 << 20];
    memset(id, '/', sizeof id - 1);
    x->in.content_id = id;
    x->in.scheme = SCHEME_CBC1;
    expect_failure(x, "clearkey", "a value above 1048576 bytes");
    x->in.scheme = SCHEME_CBCS;
    expect_failure(x, "fairplay", "a value above 1048576 bytes");
    x->settings.widevine_content_id = true;
    expect_failure(x, "widevine", "a value above 1048576 bytes");
    static char url[1 << 20];
    memset(url, '&', sizeof url - 1);
    x->settings.playready_la_url = url;
    expect_failure(x, "playready", "a value above 1048576 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(systems_are_known_in_their_versions),
        cmocka_unit_test(other_systems_are_not_known),
        cmocka_unit_test(schemes_fit_as_the_guide_says),
        cmocka_unit_test_setup_teardown(each_system_has_its_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_what_is_wanted_is_given, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hls_lines_differ_in_their_tag_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values_agree_with_each_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(method_names_mean_their_schemes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_but_the_checksum_comes_from_the_key, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(playready_headers_change_in_the_checksum_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(widevine_fields_stand_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(widevine_takes_long_and_odd_content_ids, set_up, tear_down),
        cmocka_unit_test_setup_teardown(empty_settings_are_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_la_url_is_escaped_and_in_utf16, set_up, tear_down),
        cmocka_unit_test_setup_teardown(settings_that_cannot_be_signalled_are_failures, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(playready_objects_end_at_15_kilobytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(odd_content_ids_stay_inside_their_quotes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_aes_128_line_has_an_iv_only_when_there_is_one, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(want_of_memory_is_a_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_value_without_bounds_is_a_failure, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("drm systems", tests, NULL, NULL);
}
