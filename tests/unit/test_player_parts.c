/* SPDX-License-Identifier: Apache-2.0 */
/* The smaller parts of what players meet: segments, free contents, origins, the rate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/segment.h"
#include "player/cors.h"
#include "player/free.h"
#include "player/rate.h"

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* RFC 4648 section 10, and the two digits that differ. */
static void base64url_is_strict(void **state)
{
    (void)state;
    static const char *const GOOD[][2] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},      {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"\xfb\xff", "-_8"}};
    static const char *const BAD[] = {"Z",   "Zg==",  "Zm8=",   "Zh", "Zm9",
                                      "+/8", "Zm9 v", "Zm9v\n", "Z!", "Zm9vZ"};
    unsigned char bytes[16];
    char text[32];
    size_t n;
    for (size_t i = 0; i < COUNT(GOOD); i++) {
        const size_t length = strlen(GOOD[i][0]);
        assert_int_equal(base64url_encode(GOOD[i][0], length, text), strlen(GOOD[i][1]));
        assert_string_equal(text, GOOD[i][1]);
        assert_int_equal(base64url_decode(text, strlen(text), bytes, length, &n), 0);
        assert_int_equal(n, length);
        assert_memory_equal(bytes, GOOD[i][0], length);
        if (length > 0)
            assert_int_equal(base64url_decode(text, strlen(text), bytes, length - 1, &n), -1);
    }
    for (size_t i = 0; i < COUNT(BAD); i++)
        assert_int_equal(base64url_decode(BAD[i], strlen(BAD[i]), bytes, sizeof bytes, &n), -1);
}

static void a_name_has_one_segment(void **state)
{
    (void)state;
    static char longest[] =
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    static const struct {
        const char *name;
        const char *segment; /* NULL: a digest */
    } ROWS[] = {{"movie-1", "movie-1"}, {"a b", "a%20b"}, {"50%", "50%25"}, {"...", "..."},
                {"\xc3\xa9", "%C3%A9"}, {"a/b", NULL},    {".", NULL},      {"..", NULL},
                {"~a", NULL},           {"a\\b", NULL},   {longest, NULL}};
    struct buf b;
    unsigned char named[SEGMENT_DIGEST_BYTES], found[SEGMENT_DIGEST_BYTES];
    buf_init(&b, 1024);
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        buf_clear(&b);
        segment_put(&b, ROWS[i].name);
        buf_putc(&b, '\0');
        const char *segment = (const char *)b.data;
        assert_int_equal(segment_name_digest(ROWS[i].name, named), 0);
        if (ROWS[i].segment != NULL) {
            assert_string_equal(segment, ROWS[i].segment);
            assert_int_equal(segment_digest(ROWS[i].name, found), 0);
        } else {
            assert_int_equal(segment[0], '~');
            assert_int_equal(strlen(segment), 44);
            assert_int_equal(segment_digest(segment, found), 0);
        }
        assert_memory_equal(named, found, sizeof named);
    }
    assert_int_equal(segment_digest("~", found), -1);
    assert_int_equal(segment_digest("~Zm9v", found), -1);
    buf_free(&b);
}

static void free_contents_are_named(void **state)
{
    (void)state;
    static const char SETTING[] = "trailer-* a/b exact";
    assert_true(free_content(SETTING, "trailer-1"));
    assert_true(free_content(SETTING, "exact"));
    assert_false(free_content(SETTING, "exact1"));
    assert_false(free_content(SETTING, "xtrailer-1"));
    assert_false(free_content(NULL, "exact"));
    struct buf b;
    buf_init(&b, 256);
    segment_put(&b, "a/b");
    buf_putc(&b, '\0');
    assert_true(free_content(SETTING, (const char *)b.data));
    assert_false(free_content("trailer-*", (const char *)b.data));
    assert_true(free_content("*", (const char *)b.data));
    buf_free(&b);
}

static void origins_are_compared_whole(void **state)
{
    (void)state;
    static const char ALLOWED[] = "https://a.example https://b.example:8443";
    assert_string_equal(cors_decide("*", "https://x.example").allow_origin, "*");
    assert_false(cors_decide("*", "https://x.example").credentials);
    assert_null(cors_decide("none", "https://a.example").allow_origin);
    assert_string_equal(cors_decide(ALLOWED, "https://a.example").allow_origin,
                        "https://a.example");
    assert_true(cors_decide(ALLOWED, "https://b.example:8443").credentials);
    static const char *const OTHERS[] = {"https://a.example.evil", "https://a.exampl", "null", "",
                                         "http://a.example",       "https://b.example"};
    for (size_t i = 0; i < COUNT(OTHERS); i++) {
        assert_null(cors_decide(ALLOWED, OTHERS[i]).allow_origin);
        assert_true(cors_decide(ALLOWED, OTHERS[i]).vary);
    }
    assert_null(cors_decide(ALLOWED, NULL).allow_origin);
}

static void who_asks_too_often_waits(void **state)
{
    (void)state;
    static struct rate r;
    rate_init(&r);
    for (int i = 0; i < 1000; i++)
        assert_true(rate_allow(&r, "192.0.2.1", 0, 0));
    for (int i = 0; i < 20; i++)
        assert_true(rate_allow(&r, "192.0.2.1", 10, 1000));
    assert_false(rate_allow(&r, "192.0.2.1", 10, 1000));
    assert_true(rate_allow(&r, "192.0.2.2", 10, 1000));
    assert_true(rate_allow(&r, "192.0.2.1", 10, 1100));
    assert_false(rate_allow(&r, "192.0.2.1", 10, 1100));
    for (int i = 0; i < 20; i++)
        assert_true(rate_allow(&r, "2001:db8::1", 10, 2000));
    assert_false(rate_allow(&r, "2001:db8::2", 10, 2000)); /* the same network */
    assert_true(rate_allow(&r, "2001:db8:0:1::2", 10, 2000));
    /* What a socket for both families says of IPv4. */
    for (int i = 0; i < 20; i++)
        assert_true(rate_allow(&r, "::ffff:192.0.2.3", 10, 3000));
    assert_false(rate_allow(&r, "192.0.2.3", 10, 3000));
    assert_true(rate_allow(&r, "::ffff:192.0.2.4", 10, 3000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64url_is_strict),      cmocka_unit_test(a_name_has_one_segment),
        cmocka_unit_test(free_contents_are_named),  cmocka_unit_test(origins_are_compared_whole),
        cmocka_unit_test(who_asks_too_often_waits),
    };
    return cmocka_run_group_tests_name("player parts", tests, NULL, NULL);
}
