/* SPDX-License-Identifier: Apache-2.0 */
/* The byte buffer: what it holds, what it refuses, and what it leaves behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static void check(const struct buf *b, const char *expected)
{
    assert_true(buf_ok(b));
    assert_int_equal(b->len, strlen(expected));
    assert_memory_equal(b->data, expected, b->len);
}

/* Every maximum, below and above what is allocated first, byte by byte and at once. */
static void holds_its_maximum_and_no_byte_more(void **state)
{
    static const size_t maxima[] = {1, 7, 255, 256, 257, 1023, 1024, 1025, 5000};
    static const char text[5001] = {0};
    (void)state;
    for (size_t i = 0; i < sizeof maxima / sizeof maxima[0]; i++) {
        struct buf b;
        buf_init(&b, maxima[i]);
        for (size_t n = 0; n < maxima[i]; n++)
            buf_putc(&b, 'x');
        if (!buf_ok(&b) || b.len != maxima[i] || b.cap > maxima[i])
            fail_msg("%zu bytes one by one: %zu kept in %zu", maxima[i], b.len, b.cap);
        buf_putc(&b, 'x');
        if (buf_ok(&b) || b.len != maxima[i])
            fail_msg("a byte more than %zu was taken", maxima[i]);
        buf_clear(&b);
        buf_put(&b, text, maxima[i]);
        if (!buf_ok(&b) || b.len != maxima[i])
            fail_msg("%zu bytes at once: %zu kept", maxima[i], b.len);
        buf_free(&b);
        buf_put(&b, text, maxima[i] + 1);
        if (buf_ok(&b) || b.len != 0)
            fail_msg("%zu bytes were taken at once into %zu", maxima[i] + 1, maxima[i]);
        buf_free(&b);
    }
}

static void refuses_a_length_that_would_overflow(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, SIZE_MAX);
    buf_puts(&b, "text");
    assert_null(buf_room(&b, SIZE_MAX));
    assert_false(buf_ok(&b));
    buf_free(&b);
}

/* Whoever appends after a failure must not make the gap look whole. */
static void stays_failed_until_cleared(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 8);
    buf_puts(&b, "12345");
    buf_puts(&b, "6789");
    buf_puts(&b, "6");
    assert_false(buf_ok(&b));
    assert_int_equal(b.len, 5);
    buf_clear(&b);
    buf_puts(&b, "6");
    check(&b, "6");
    buf_free(&b);
}

static void keeps_its_contents_while_it_grows(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 100000);
    for (uint32_t i = 0; i < 20000; i++)
        buf_put_be32(&b, i);
    assert_true(buf_ok(&b));
    for (uint32_t i = 0; i < 20000; i++) {
        const unsigned char *p = b.data + (size_t)4 * i;
        const uint32_t v = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        if (v != i)
            fail_msg("number %u reads as %u", i, v);
    }
    buf_free(&b);
}

static void wipes_what_it_held_when_cleared(void **state)
{
    static const unsigned char nothing[9] = {0};
    struct buf b;
    (void)state;
    buf_init(&b, 100);
    buf_puts(&b, "a secret!");
    buf_clear(&b);
    assert_int_equal(b.len, 0);
    assert_memory_equal(b.data, nothing, sizeof nothing);
    buf_free(&b);
    buf_free(NULL);
}

static void writes_integers_in_both_orders(void **state)
{
    static const unsigned char expected[] = {0x01, 0x12, 0x34, 0x56, 0x78, 0xcd,
                                             0xab, 0x78, 0x56, 0x34, 0x12};
    struct buf b;
    (void)state;
    buf_init(&b, 100);
    buf_put_u8(&b, 1);
    buf_put_be32(&b, 0x12345678);
    buf_put_le16(&b, 0xabcd);
    buf_put_le32(&b, 0x12345678);
    assert_true(buf_ok(&b));
    assert_int_equal(b.len, sizeof expected);
    assert_memory_equal(b.data, expected, sizeof expected);
    buf_free(&b);
}

static void writes_formats_and_base64_up_to_the_last_byte(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 8);
    buf_printf(&b, "%s-%d", "abcdef", 7);
    check(&b, "abcdef-7");
    buf_clear(&b);
    buf_put_base64(&b, "foobar", 6);
    check(&b, "Zm9vYmFy");
    buf_printf(&b, "%s", "x");
    assert_false(buf_ok(&b));
    buf_free(&b);
}

static void escapes_what_xml_would_not_give_back(void **state)
{
    static const char *const texts[][2] = {
        {"", ""},
        {"plain", "plain"},
        {"<&>\"'", "&lt;&amp;&gt;&quot;&#39;"},
        {"a\tb\nc\rd", "a&#9;b&#10;c&#13;d"},
        {"&&", "&amp;&amp;"},
        {"f\xc3\xa9", "f\xc3\xa9"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct buf b;
        buf_init(&b, 100);
        buf_puts(&b, "=");
        buf_put_xml(&b, texts[i][0]);
        if (!buf_ok(&b) || b.len != 1 + strlen(texts[i][1]) ||
            memcmp(b.data + 1, texts[i][1], b.len - 1) != 0)
            fail_msg("\"%s\" becomes \"%.*s\"", texts[i][0], (int)b.len, (char *)b.data);
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_its_maximum_and_no_byte_more),
        cmocka_unit_test(refuses_a_length_that_would_overflow),
        cmocka_unit_test(stays_failed_until_cleared),
        cmocka_unit_test(keeps_its_contents_while_it_grows),
        cmocka_unit_test(wipes_what_it_held_when_cleared),
        cmocka_unit_test(writes_integers_in_both_orders),
        cmocka_unit_test(writes_formats_and_base64_up_to_the_last_byte),
        cmocka_unit_test(escapes_what_xml_would_not_give_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
