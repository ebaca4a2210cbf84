/* SPDX-License-Identifier: Apache-2.0 */
/* Tables for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "ctl/output.h"

#include <cmocka.h>

static const struct column COLUMNS[] = {
    {"name", "NAME", true, 0},
    {"count", "COUNT", false, 0},
    {"on", "ON", false, 0},
    {"list", "LIST", true, 0},
};

enum { COLUMN_COUNT = sizeof COLUMNS / sizeof COLUMNS[0] };

/* Formats rows given as JSON and compares. */
static void check(const char *json, bool head, size_t width, const char *expected)
{
    struct buf out;
    json_t *rows = json_loads(json, 0, NULL);
    assert_non_null(rows);
    buf_init(&out, 65536);
    table_format(&out, COLUMNS, COLUMN_COUNT, rows, head, width);
    buf_put_u8(&out, 0);
    assert_true(buf_ok(&out));
    assert_string_equal((const char *)out.data, expected);
    buf_free(&out);
    json_decref(rows);
}

static void every_kind_of_value_has_its_text(void **state)
{
    (void)state;
    check("[{\"name\":\"demo\",\"count\":12,\"on\":true,\"list\":[\"a\",\"b\"]},"
          "{\"name\":null,\"on\":false,\"list\":[]}]",
          true, 0,
          "NAME  COUNT  ON   LIST\n"
          "demo  12     yes  a,b\n"
          "-     -      no   -\n");
}

static void columns_count_characters_not_bytes(void **state)
{
    (void)state;
    check("[{\"name\":\"gr\\u00fc\\u00dfe\",\"count\":1},{\"name\":\"plain text\",\"count\":2}]",
          false, 0,
          "gr\xc3\xbc\xc3\x9f"
          "e       1  -  -\n"
          "plain text  2  -  -\n");
}

static void a_flexible_column_gives_way_to_the_terminal(void **state)
{
    (void)state;
    check("[{\"name\":\"abcdefghijklmnopqrst\",\"count\":1,\"on\":true,\"list\":[]}]", true, 30,
          "NAME          COUNT  ON   LIST\n"
          "abcdefghijk\xe2\x80\xa6  1      yes  -\n");
}

static void a_cut_never_splits_a_character(void **state)
{
    (void)state;
    check("[{\"name\":\"\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\","
          "\"count\":1,\"on\":true,\"list\":[]}]",
          false, 10,
          "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xe2\x80\xa6  1  yes  -\n");
}

static void rigid_columns_are_never_cut(void **state)
{
    (void)state;
    check("[{\"name\":\"x\",\"count\":1234567890,\"on\":true,\"list\":[]}]", false, 5,
          "x  1234567890  yes  -\n");
}

static void text_from_elsewhere_cannot_steer_the_terminal(void **state)
{
    (void)state;
    check("[{\"name\":\"a\\u001b[2J\\nb\",\"count\":1,\"on\":true,\"list\":[\"\\u009b\"]}]", false,
          0, "a\\x1b[2J\\x0ab  1  yes  \\xc2\\x9b\n");
}

static void a_column_keeps_its_least_width(void **state)
{
    (void)state;
    static const struct column WIDE[] = {{"a", "A", false, 5}, {"b", "B", false, 0}};
    struct buf out;
    json_t *rows = json_loads("[{\"a\":1,\"b\":2}]", 0, NULL);
    buf_init(&out, 4096);
    table_format(&out, WIDE, 2, rows, false, 0);
    buf_put_u8(&out, 0);
    assert_true(buf_ok(&out));
    assert_string_equal((const char *)out.data, "1      2\n");
    buf_free(&out);
    json_decref(rows);
}

static void a_very_long_text_is_shown_in_part(void **state)
{
    (void)state;
    char text[20000];
    struct buf out;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    json_t *rows = json_pack("[{s:s}]", "name", text);
    assert_non_null(rows);
    buf_init(&out, 65536);
    table_format(&out, COLUMNS, COLUMN_COUNT, rows, false, 0);
    assert_true(buf_ok(&out));
    assert_in_range(out.len, 500, 8000);
    buf_free(&out);
    json_decref(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_value_has_its_text),
        cmocka_unit_test(columns_count_characters_not_bytes),
        cmocka_unit_test(a_flexible_column_gives_way_to_the_terminal),
        cmocka_unit_test(a_cut_never_splits_a_character),
        cmocka_unit_test(rigid_columns_are_never_cut),
        cmocka_unit_test(text_from_elsewhere_cannot_steer_the_terminal),
        cmocka_unit_test(a_column_keeps_its_least_width),
        cmocka_unit_test(a_very_long_text_is_shown_in_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
