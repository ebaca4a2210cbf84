/* SPDX-License-Identifier: Apache-2.0 */
/* What goes into the values of DRM systems, whatever the key, the content id and the settings, and
 * what cannot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "test_drm_fixture.h"

#include <cmocka.h> /* after base/failure.h, as it makes a macro of "fail" */

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
    (void)run_one(x, "playready", DRM_SMOOTH_HEADER);
    memcpy(first, x->bytes, x->n);
    const size_t size = x->n;
    x->in.key = OTHER_KEY;
    (void)run_one(x, "playready", DRM_SMOOTH_HEADER);
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
    (void)run_one(x, "widevine", DRM_PSSH);
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
    (void)run_one(x, "playready", DRM_SMOOTH_HEADER);
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
    (void)run_one(x, "playready", DRM_SMOOTH_HEADER);
    const size_t most = 1 + (15360 - x->n) / 2;
    memset(url, 'u', most);
    x->settings.playready_la_url = url;
    (void)run_one(x, "playready", DRM_SMOOTH_HEADER);
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
    static const char *const SYSTEMS[] = {"widevine", "playready", "fairplay"};
    size_t failures = 0;
    x->in.scheme = SCHEME_CBCS;
    for (size_t i = 0; i < COUNT(SYSTEMS); i++) {
        size_t max = 0;
        for (;; max += 64) {
            arena_free(&x->arena);
            arena_init(&x->arena, max);
            if (run(x, SYSTEMS[i], ALL_FIELDS) == 0)
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
    run_well(x, "clearkey", ALL_FIELDS); /* a digest stands for such an id */
    x->settings.key_url = "{key_url}/{content_id}";
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
        WITH_FIXTURE(nothing_but_the_checksum_comes_from_the_key),
        WITH_FIXTURE(playready_headers_change_in_the_checksum_alone),
        WITH_FIXTURE(widevine_fields_stand_in_order),
        WITH_FIXTURE(widevine_takes_long_and_odd_content_ids),
        WITH_FIXTURE(empty_settings_are_left_out),
        WITH_FIXTURE(the_la_url_is_escaped_and_in_utf16),
        WITH_FIXTURE(settings_that_cannot_be_signalled_are_failures),
        WITH_FIXTURE(playready_objects_end_at_15_kilobytes),
        WITH_FIXTURE(odd_content_ids_stay_inside_their_quotes),
        WITH_FIXTURE(an_aes_128_line_has_an_iv_only_when_there_is_one),
        WITH_FIXTURE(want_of_memory_is_a_failure),
        WITH_FIXTURE(a_value_without_bounds_is_a_failure),
    };
    return cmocka_run_group_tests_name("drm values", tests, NULL, NULL);
}
