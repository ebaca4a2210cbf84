/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the audit as bytes and as JSON: what is written reads back to the same bytes, and hashes
 * are those that PostgreSQL works out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "ctl/audit_check.h"
#include "ctl/audit_json.h"

#include <cmocka.h>

static void times_read_back(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } ROWS[] = {
        {"2000-01-01T00:00:00.000000Z", 0},
        {"1999-12-31T23:59:59.999999Z", -1},
        {"2026-11-24T14:50:36.123456Z", INT64_C(848847036123456)},
        {"2024-02-29T00:00:00.000001Z", INT64_C(762480000000001)},
        {"0001-01-01T00:00:00.000000Z", INT64_C(-63082281600000000)},
        {"9999-12-31T23:59:59.999999Z", INT64_C(252455615999999999)},
    };
    static const char *const BAD[] = {"2026-02-29T00:00:00.000000Z",
                                      "2026-01-01T00:00:60.000000Z",
                                      "2026-01-01 00:00:00.000000Z",
                                      "2026-01-01T00:00:00.00000Z",
                                      "2026-01-01T00:00:00.000000+",
                                      "2026-1--01T00:00:00.000000Z",
                                      "?",
                                      "",
                                      NULL};
    char text[AUDIT_TIME_SIZE];
    int64_t value;
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        assert_int_equal(audit_time_parse(ROWS[i].text, &value), 0);
        assert_int_equal(value, ROWS[i].value);
        audit_time(value, text);
        assert_string_equal(text, ROWS[i].text);
    }
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        assert_int_equal(audit_time_parse(BAD[i], &value), -1);
    audit_time(INT64_MAX, text); /* "infinity" */
    assert_string_equal(text, "?");
}

#define FIELD(text)                                            \
    {                                                          \
        (const unsigned char *)(text), (int)(sizeof(text) - 1) \
    }

/* A field of each type that has no NULL in it, in PostgreSQL's bytes. */
static struct audit_row a_row(void)
{
    static const struct audit_field EMPTY = FIELD("\0\0\0\0\0\0\0\0\0\0\x0b\x86");
    struct audit_row row;
    for (size_t i = 0; i < AUDIT_COLUMNS; i++)
        row.fields[i] = (struct audit_field){NULL, -1};
    row.fields[AUDIT_EVENT_ID] = (struct audit_field)FIELD("\0\0\0\0\0\0\0\x2d");
    row.fields[AUDIT_XACT] = (struct audit_field)FIELD("\0\0\0\0\0\0\x03\x36");
    row.fields[AUDIT_AT] = (struct audit_field)FIELD("\0\0\0\0\0\0\0\x01");
    row.fields[5] = (struct audit_field)FIELD("\0\0\0\xc8");
    row.fields[AUDIT_EVENT] = (struct audit_field)FIELD("release");
    row.fields[9] = (struct audit_field)FIELD("\x02\x20\0\x04\xc0\0\x02\x07");
    row.fields[12] = (struct audit_field)FIELD(
        "\0\0\0\1\0\0\0\0\0\0\x0b\x86\0\0\0\1\0\0\0\1\0\0\0\x10"
        "\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11");
    row.fields[13] = EMPTY;
    row.fields[14] = EMPTY;
    row.fields[AUDIT_DETAIL] = (struct audit_field)FIELD("");
    row.fields[19] = (struct audit_field)FIELD(
        "\0\0\0\1\0\0\0\0\0\0\0\x19\0\0\0\1\0\0\0\1\0\0\0\4CN=\"");
    return row;
}

static void expect_same(const struct audit_row *row)
{
    struct audit_row again;
    struct buf storage;
    unsigned char one[AUDIT_HASH], other[AUDIT_HASH];
    json_t *object = audit_row_json(row);
    assert_non_null(object);
    buf_init(&storage, 65536);
    assert_int_equal(audit_row_parse(object, &again, &storage), 0);
    for (size_t i = 0; i < AUDIT_COLUMNS; i++) {
        assert_int_equal(again.fields[i].length, row->fields[i].length);
        if (row->fields[i].length > 0)
            assert_memory_equal(again.fields[i].bytes, row->fields[i].bytes,
                                (size_t)row->fields[i].length);
    }
    assert_int_equal(audit_leaf(row, one), 0);
    assert_int_equal(audit_leaf(&again, other), 0);
    assert_memory_equal(one, other, AUDIT_HASH);
    buf_free(&storage);
    json_decref(object);
}

static void rows_read_back(void **state)
{
    const struct audit_row row = a_row();
    json_t *object = audit_row_json(&row);
    (void)state;
    assert_string_equal(json_string_value(json_object_get(object, "remote_addr")), "192.0.2.7");
    assert_string_equal(json_string_value(json_object_get(object, "at")),
                        "2000-01-01T00:00:00.000001Z");
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(object, "recipient_subjects"), 0)),
        "CN=\"");
    json_decref(object);
    expect_same(&row);
}

/* Whatever somebody wrote into a row must be exported and read back as it is, or an export could
 * hide it. */
static void odd_values_read_back(void **state)
{
    static const struct {
        size_t column;
        struct audit_field field;
    } ODD[] = {
        {AUDIT_AT, FIELD("\x7f\xff\xff\xff\xff\xff\xff\xff")},              /* infinity */
        {AUDIT_EVENT_ID, FIELD("\xff\xff\xff\xff\xff\xff\xff\xfe")},        /* -2 */
        {5, FIELD("\x80\0\0\0")},                                           /* the least integer */
        {9, FIELD("\x02\x08\0\x04\x0a\0\0\0")},                             /* 10.0.0.0/8 */
        {9, FIELD("\x02\x08\x01\x04\x0a\0\0\0")},                           /* the same as a cidr */
        {9, FIELD("\x03\x80\0\x10\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\7")}, /* ::ffff:192.0.2.7 */
        {9, FIELD("\x09")},
        {AUDIT_DETAIL, FIELD("a\tb\n\"\\")},
        {AUDIT_DETAIL, FIELD("\xff")}, /* no UTF-8 */
        {12, FIELD("")},
        {12, FIELD("\0\0\0\1\0\0\0\0\0\0\x0b\x86\0\0\0\1\0\0\0\0\0\0\0\x10" /* from 0 on */
                   "\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11")},
        {12, FIELD("\0\0\0\1\0\0\0\0\0\0\x0b\x86\0\0\0\1\0\0\0\1\0\0\0\x10\x11")}, /* cut */
        {19, FIELD("\0\0\0\1\0\0\0\1\0\0\0\x19\0\0\0\1\0\0\0\1\xff\xff\xff\xff")}, /* {NULL} */
    };
    (void)state;
    for (size_t i = 0; i < sizeof ODD / sizeof ODD[0]; i++) {
        struct audit_row row = a_row();
        row.fields[ODD[i].column] = ODD[i].field;
        expect_same(&row);
    }
}

/* SELECT encode(sha256(record_send(ROW('audit_event 1'::text, 45::bigint, ...))), 'hex') */
static void a_row_has_the_hash_that_postgresql_works_out(void **state)
{
    const struct audit_row row = a_row();
    unsigned char leaf[AUDIT_HASH];
    char hex[2 * AUDIT_HASH + 1];
    (void)state;
    assert_int_equal(audit_leaf(&row, leaf), 0);
    hex_encode(leaf, AUDIT_HASH, hex);
    assert_string_equal(hex, "830764812ba3a41e5f71a7babfa7858e88a71eb4096e8f4f1aaf97283074e57b");
}

static void rubbish_is_no_row(void **state)
{
    struct audit_row row = a_row();
    struct buf storage;
    json_t *object = audit_row_json(&row);
    (void)state;
    buf_init(&storage, 65536);
    assert_int_equal(json_object_set_new(object, "kids", json_string("no")), 0);
    assert_int_equal(audit_row_parse(object, &row, &storage), -1);
    assert_int_equal(json_object_set_new(object, "kids", json_pack("[s]", "no")), 0);
    assert_int_equal(audit_row_parse(object, &row, &storage), -1);
    assert_int_equal(json_object_del(object, "kids"), 0);
    assert_int_equal(audit_row_parse(object, &row, &storage), -1);
    json_decref(object);
    buf_free(&storage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_read_back),
        cmocka_unit_test(rows_read_back),
        cmocka_unit_test(odd_values_read_back),
        cmocka_unit_test(a_row_has_the_hash_that_postgresql_works_out),
        cmocka_unit_test(rubbish_is_no_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
