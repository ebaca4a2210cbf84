/* SPDX-License-Identifier: Apache-2.0 */
/* The buffer with its hard maximum and its failure that sticks, and the arena. */
#include <limits.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"

static void assert_holds(const struct buf *b, const char *text)
{
    assert_true(buf_ok(b));
    assert_int_equal(b->len, strlen(text));
    assert_memory_equal(b->data, text, b->len);
}

static void appends_of_all_kinds(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4096);
    buf_put(&b, "ab\0c", 2);
    buf_puts(&b, "cd");
    buf_putc(&b, 'e');
    buf_printf(&b, "-%d-%s", 42, "x");
    buf_put_base64(&b, "foobar", 6);
    buf_put(&b, NULL, 0);
    buf_puts(&b, "");
    assert_holds(&b, "abcde-42-xZm9vYmFy");
    buf_clear(&b);
    assert_holds(&b, "");
    buf_put_u8(&b, 1);
    buf_put_be32(&b, 0x02030405);
    buf_put_le16(&b, 0x0706);
    buf_put_le32(&b, 0x0b0a0908);
    assert_holds(&b, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b");
    buf_free(&b);
    assert_null(b.data);
    buf_free(&b);
    buf_free(NULL);
}

static void holds_its_maximum_and_no_more(void **state)
{
    (void)state;
    for (size_t max = 0; max < 3000; max = max < 20 ? max + 1 : max * 3 / 2) {
        struct buf b;
        buf_init(&b, max);
        for (size_t i = 0; i < max; i++)
            buf_putc(&b, (char)('a' + i % 26));
        assert_true(buf_ok(&b));
        assert_int_equal(b.len, max);
        buf_putc(&b, '!');
        assert_false(buf_ok(&b));
        assert_int_equal(b.len, max);
        buf_free(&b);
    }
}

/* What ends its text with a zero may fill the buffer to the last byte all the same. */
static void formatted_text_may_fill_it(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 8);
    buf_printf(&b, "%s", "12345678");
    assert_holds(&b, "12345678");
    buf_clear(&b);
    buf_put_base64(&b, "foobar", 6);
    assert_holds(&b, "Zm9vYmFy");
    buf_clear(&b);
    buf_printf(&b, "%s", "123456789");
    assert_false(buf_ok(&b));
    buf_clear(&b);
    buf_put_base64(&b, "foobarx", 7);
    assert_false(buf_ok(&b));
    buf_free(&b);
}

static void failure_sticks(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4);
    buf_puts(&b, "abc");
    buf_puts(&b, "de");
    assert_false(buf_ok(&b));
    buf_putc(&b, 'd');
    buf_put(&b, "", 0);
    assert_null(buf_room(&b, 0));
    assert_false(buf_ok(&b));
    assert_int_equal(b.len, 3);
    buf_clear(&b);
    buf_puts(&b, "abcd");
    assert_holds(&b, "abcd");
    buf_free(&b);
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_putc(&b, 'a');
    assert_null(buf_room(&b, SIZE_MAX));
    assert_false(buf_ok(&b));
    buf_clear(&b);
    buf_put_base64(&b, "", (size_t)INT_MAX);
    assert_false(buf_ok(&b));
    buf_free(&b);
}

static void clearing_wipes(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 64);
    buf_puts(&b, "secret");
    const unsigned char *data = b.data;
    buf_clear(&b);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(data[i], 0);
    assert_ptr_equal(b.data, data);
    buf_free(&b);
}

static void xml_is_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *text, *xml;
    } CASES[] = {
        {"", ""},
        {"plain", "plain"},
        {"<a b=\"c\" d='e'>&", "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;"},
        {"\t\n\r", "&#9;&#10;&#13;"},
        {"&amp;", "&amp;amp;"},
        {"Grüße 世界", "Grüße 世界"},
        {"0123456789abcdef0123456789abcdef<", "0123456789abcdef0123456789abcdef&lt;"},
        {"0123456789abcde'0123456789abcdef", "0123456789abcde&#39;0123456789abcdef"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct buf b;
        buf_init(&b, 256);
        buf_put_xml(&b, CASES[i].text);
        assert_holds(&b, CASES[i].xml);
        buf_free(&b);
    }
}

/* --- Arena ---------------------------------------------------------------------------------- */

static void arena_gives_zeroed_aligned_memory(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    for (int round = 0; round < 2; round++) {
        for (size_t n = 0; n < 300; n++) {
            unsigned char *p = arena_alloc(&a, n);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(p[i], 0);
            memset(p, 0xa5, n);
        }
        arena_reset(&a);
        assert_int_equal(a.used, 0);
    }
    arena_free(&a);
}

static void arena_stops_at_its_maximum(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1024);
    assert_non_null(arena_alloc(&a, 1000));
    assert_null(arena_alloc(&a, 100));
    assert_non_null(arena_alloc(&a, 16));
    assert_null(arena_alloc(&a, 1));
    assert_true(a.used <= a.max);
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 1024));
    arena_free(&a);
}

/* Small pieces count with what they really take, or the maximum would be none. */
static void arena_counts_padding(void **state)
{
    (void)state;
    struct arena a;
    size_t n = 0;
    arena_init(&a, 16 * 1024);
    while (arena_alloc(&a, 1) != NULL)
        n++;
    assert_int_equal(n, 16 * 1024 / alignof(max_align_t));
    arena_free(&a);
}

static void arena_refuses_sizes_that_cannot_be(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, SIZE_MAX);
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 8));
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    assert_null(arena_array(&a, SIZE_MAX, SIZE_MAX));
    assert_null(arena_strndup(&a, "x", SIZE_MAX));
    assert_non_null(arena_array(&a, 0, 8));
    assert_non_null(arena_array(&a, 8, 0));
    arena_free(&a);
}

static void arena_copies_texts(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    assert_string_equal(arena_strndup(&a, "abcdef", 3), "abc");
    assert_string_equal(arena_strndup(&a, "", 0), "");
    char *large = malloc(200000);
    assert_non_null(large);
    memset(large, 'x', 199999);
    large[199999] = '\0';
    assert_string_equal(arena_strndup(&a, large, 199999), large);
    assert_string_equal(arena_strndup(&a, "small", 5), "small");
    free(large);
    arena_free(&a);
}

static void arena_wipes_when_reset(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    char *p = arena_strndup(&a, "secret", 6);
    assert_non_null(p);
    arena_reset(&a); /* keeps the block */
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(p[i], 0);
    assert_ptr_equal(arena_alloc(&a, 6), p);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_of_all_kinds),
        cmocka_unit_test(holds_its_maximum_and_no_more),
        cmocka_unit_test(formatted_text_may_fill_it),
        cmocka_unit_test(failure_sticks),
        cmocka_unit_test(sizes_that_cannot_be_are_refused),
        cmocka_unit_test(clearing_wipes),
        cmocka_unit_test(xml_is_escaped),
        cmocka_unit_test(arena_gives_zeroed_aligned_memory),
        cmocka_unit_test(arena_stops_at_its_maximum),
        cmocka_unit_test(arena_counts_padding),
        cmocka_unit_test(arena_refuses_sizes_that_cannot_be),
        cmocka_unit_test(arena_copies_texts),
        cmocka_unit_test(arena_wipes_when_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
