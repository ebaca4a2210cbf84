/* SPDX-License-Identifier: Apache-2.0 */
/* Files of Digest users. Which lines Apache and lighttpd take is tested with these servers, in
 * tests/system. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "ctl/htdigest.h"

#include <cmocka.h>

#define MD5    "3d78807defe7de2157e2b0b6573a855f"
#define SHA256 "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232"

static const struct htdigest_hashes HASHES = {MD5, SHA256};

/* RFC 7616 section 3.9.1. */
static void hashes_are_those_of_the_rfc(void **state)
{
    (void)state;
    struct htdigest_hashes h;
    assert_int_equal(htdigest_hash("Mufasa", "http-auth@example.org", "Circle of Life", &h), 0);
    assert_string_equal(h.md5, MD5);
    assert_string_equal(h.sha256, SHA256);
}

static void check_edit(const char *before, const struct htdigest_hashes *hashes, size_t found,
                       const char *after)
{
    struct buf out;
    buf_init(&out, 4096);
    assert_int_equal(htdigest_edit(before, strlen(before), "enc", "speke", hashes, &out), found);
    buf_put_u8(&out, 0);
    assert_true(buf_ok(&out));
    assert_string_equal((const char *)out.data, after);
    buf_free(&out);
}

static void the_md5_line_goes_first(void **state)
{
    (void)state;
    check_edit("", &HASHES, 0, "enc:speke:" MD5 "\nenc:speke:" SHA256 "\n");
}

static void other_lines_stay(void **state)
{
    (void)state;
    check_edit("# users\nenc:other:1\nenc:speke:2\nenc2:speke:3\n\nenc:speke:4\nxenc:speke:5",
               &HASHES, 2,
               "# users\nenc:other:1\nenc2:speke:3\n\nxenc:speke:5\nenc:speke:" MD5
               "\nenc:speke:" SHA256 "\n");
}

static void lines_are_removed(void **state)
{
    (void)state;
    check_edit("a:speke:1\nenc:speke:2\nenc:speke:3\nb:speke:4\n", NULL, 2,
               "a:speke:1\nb:speke:4\n");
    check_edit("a:speke:1\n", NULL, 0, "a:speke:1\n");
    check_edit("enc:speke", NULL, 0, "enc:speke\n"); /* not a whole line of the user's */
}

static void names_that_would_break_a_line_are_refused(void **state)
{
    (void)state;
    static const char *const BAD[] = {"", "a:b", "a\nb", "#a", "a\"b", "a\\b", "a\x7f"};
    char longest[130];
    assert_true(htdigest_name_ok("encoder-1@example.net"));
    assert_true(htdigest_name_ok("gr\xc3\xbc\xc3\x9f"
                                 "e"));
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        print_message("  \"%s\"\n", BAD[i]);
        assert_false(htdigest_name_ok(BAD[i]));
    }
    memset(longest, 'a', sizeof longest);
    longest[129] = '\0';
    assert_false(htdigest_name_ok(longest));
    longest[128] = '\0';
    assert_true(htdigest_name_ok(longest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_those_of_the_rfc),
        cmocka_unit_test(the_md5_line_goes_first),
        cmocka_unit_test(other_lines_stay),
        cmocka_unit_test(lines_are_removed),
        cmocka_unit_test(names_that_would_break_a_line_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
