/* SPDX-License-Identifier: Apache-2.0 */
/* Comma-separated values, read a line at a time and written again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/failure.h"
#include "base/secret.h"
#include "ctl/csv.h"

#include <cmocka.h>

enum { TEXT_MAX = 1 << 20, LONGEST = CSV_LINE_MAX };

static struct csv csv;
static char why[128];

static int set_up(void **state)
{
    struct failure f;
    (void)state;
    return secret_setup(1 << 18, &f);
}

/* A file that has been unlinked and holds n bytes. */
static int file_of(const void *bytes, size_t n)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fflush(file), 0);
    rewind(file);
    const int fd = dup(fileno(file));
    assert_true(fd >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

/* Reads all records into one text: fields in brackets, "!" and what is wrong for a line at fault.
 */
static void read_all(const void *bytes, size_t n, struct buf *out)
{
    bool fatal;
    int got;
    const int fd = file_of(bytes, n);
    assert_int_equal(csv_begin(&csv, fd), 0);
    while ((got = csv_next(&csv, &fatal, why, sizeof why)) != 0) {
        assert_false(fatal);
        buf_printf(out, "%ld:", csv.line);
        for (size_t i = 0; got > 0 && i < csv.count; i++) {
            buf_putc(out, '[');
            buf_puts(out, csv.fields[i]);
            buf_putc(out, ']');
        }
        if (got < 0)
            buf_puts(out, "!");
        buf_putc(out, ' ');
    }
    csv_end(&csv);
    assert_int_equal(close(fd), 0);
    buf_put_u8(out, 0);
    assert_true(buf_ok(out));
}

static void assert_reads(const char *text, const char *expected)
{
    struct buf out;
    buf_init(&out, TEXT_MAX);
    read_all(text, strlen(text), &out);
    assert_string_equal((const char *)out.data, expected);
    buf_free(&out);
}

static void test_records(void **state)
{
    (void)state;
    assert_reads("", "");
    assert_reads("\n\r\n\n", "");
    assert_reads("a", "1:[a] ");
    assert_reads("a\n", "1:[a] ");
    assert_reads("a,b\r\nc,d", "1:[a][b] 2:[c][d] ");
    assert_reads(",\n", "1:[][] ");
    assert_reads("a,\n,a", "1:[a][] 2:[][a] ");
    assert_reads("\n\na", "3:[a] ");
    assert_reads("\xef\xbb\xbf"
                 "a",
                 "1:[a] ");
    assert_reads("a\n\xef\xbb\xbf"
                 "a",
                 "1:[a] 2:[\xef\xbb\xbf"
                 "a] ");
}

static void test_quotes(void **state)
{
    (void)state;
    assert_reads("\"a\"", "1:[a] ");
    assert_reads("\"\",\"\"", "1:[][] ");
    assert_reads("\"a,b\",c", "1:[a,b][c] ");
    assert_reads("\"a\"\"b\"", "1:[a\"b] ");
    assert_reads("\"\"\"\"", "1:[\"] ");
    assert_reads("\"a\",\n", "1:[a][] ");
    assert_reads("\"a\nb\"", "1:! 2:! ");
    assert_reads("\"a\"b\nc", "1:! 2:[c] ");
    assert_reads("a\"b\nc", "1:! 2:[c] ");
    assert_reads("\"\nc", "1:! 2:[c] ");
    assert_reads("\"\"\"\nc", "1:! 2:[c] ");
}

static void test_bytes_that_are_no_text(void **state)
{
    struct buf out;
    (void)state;
    assert_reads("\xff\na", "1:! 2:[a] ");
    assert_reads("a,\xc3\na", "1:! 2:[a] ");
    buf_init(&out, TEXT_MAX);
    read_all("a\0b\nc", 5, &out);
    assert_string_equal((const char *)out.data, "1:! 2:[c] ");
    buf_free(&out);
}

/* n times 'a' between two short lines. */
static void assert_long_line(size_t n, const char *expected_end, bool good)
{
    struct buf text, out;
    buf_init(&text, TEXT_MAX);
    buf_init(&out, TEXT_MAX);
    buf_puts(&text, "x\n");
    for (size_t i = 0; i < n; i++)
        buf_putc(&text, 'a');
    buf_puts(&text, expected_end[0] != '\0' ? "\ny" : "");
    read_all(text.data, text.len, &out);
    const char *got = (const char *)out.data;
    assert_int_equal(strncmp(got, "1:[x] 2:", 8), 0);
    assert_int_equal(got[8] == '!', !good);
    assert_string_equal(got + strlen(got) - strlen(expected_end), expected_end);
    assert_true(!good || strlen(got) > n);
    buf_free(&text);
    buf_free(&out);
}

static void test_long_lines(void **state)
{
    (void)state;
    assert_long_line(LONGEST, "3:[y] ", true);
    assert_long_line(LONGEST, "", true);
    assert_long_line(LONGEST + 1, "3:[y] ", false);
    assert_long_line(LONGEST + 1, "", false);
    for (size_t n = 2 * LONGEST - 4; n < 2 * LONGEST + 4; n++) {
        assert_long_line(n, "3:[y] ", false);
        assert_long_line(n, "", false);
    }
    assert_long_line(9 * LONGEST, "3:[y] ", false);
}

static void test_many_fields(void **state)
{
    char text[2 * CSV_FIELDS_MAX + 8] = "";
    (void)state;
    for (size_t i = 0; i < CSV_FIELDS_MAX; i++)
        strcat(text, ",");
    assert_reads(text, "1:! ");
    bool fatal;
    const int fd = file_of(text, CSV_FIELDS_MAX - 1);
    assert_int_equal(csv_begin(&csv, fd), 0);
    assert_int_equal(csv_next(&csv, &fatal, why, sizeof why), 1);
    assert_int_equal(csv.count, CSV_FIELDS_MAX);
    csv_end(&csv);
    assert_int_equal(close(fd), 0);
}

static void test_what_is_written_reads_back(void **state)
{
    static const char *const TEXTS[] = {"",         "a", "a,b",  "\"", "a\"b\"",
                                        "\xc3\xbc", ",", "\"\"", "a b"};
    (void)state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        struct buf text, out;
        char expected[64];
        buf_init(&text, TEXT_MAX);
        buf_init(&out, TEXT_MAX);
        csv_put(&text, TEXTS[i]);
        buf_puts(&text, ",end\r\n");
        read_all(text.data, text.len, &out);
        (void)snprintf(expected, sizeof expected, "1:[%s][end] ", TEXTS[i]);
        assert_string_equal((const char *)out.data, expected);
        buf_free(&text);
        buf_free(&out);
    }
}

static void test_a_file_that_cannot_be_read(void **state)
{
    bool fatal;
    (void)state;
    assert_int_equal(csv_begin(&csv, -1), 0);
    assert_int_equal(csv_next(&csv, &fatal, why, sizeof why), -1);
    assert_true(fatal);
    csv_end(&csv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_bytes_that_are_no_text),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_many_fields),
        cmocka_unit_test(test_what_is_written_reads_back),
        cmocka_unit_test(test_a_file_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
