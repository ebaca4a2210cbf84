/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of parameters and results; that PostgreSQL reads them is test_keystore_acquire's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "keystore/wire.h"

#include <cmocka.h>

static int set_up(void **state)
{
    static struct params p;
    params_init(&p);
    *state = &p;
    return 0;
}

static int tear_down(void **state)
{
    params_free(*state);
    return 0;
}

static void expect_param(const struct params *p, int i, const void *bytes, size_t n)
{
    assert_true(params_ok(p));
    assert_true(i < p->count);
    assert_int_equal(p->lengths[i], n);
    assert_memory_equal(p->data.data + p->offsets[i], bytes, n);
}

static void test_numbers(void **state)
{
    struct params *p = *state;
    params_int4(p, 0x01020304);
    params_int4(p, -1);
    params_int8(p, 0x0102030405060708);
    params_int8(p, -2);
    expect_param(p, 0, "\x01\x02\x03\x04", 4);
    expect_param(p, 1, "\xff\xff\xff\xff", 4);
    expect_param(p, 2, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
    expect_param(p, 3, "\xff\xff\xff\xff\xff\xff\xff\xfe", 8);
}

static void test_texts(void **state)
{
    struct params *p = *state;
    params_text(p, "");
    params_text(p, NULL);
    params_text(p, "a\xff");
    params_readable_text(p, NULL);
    params_readable_text(p, "");
    params_readable_text(p, "\xff\xc3\xa9\xc3");
    expect_param(p, 0, "", 0);
    assert_int_equal(p->lengths[1], -1);
    expect_param(p, 2, "a\xff", 2);
    assert_int_equal(p->lengths[3], -1);
    expect_param(p, 4, "", 0);
    expect_param(p, 5, "?\xc3\xa9?", 4);
}

static void test_arrays(void **state)
{
    static const unsigned char TWO[] = "\0\0\0\1\0\0\0\0\0\0\0\x19\0\0\0\2\0\0\0\1"
                                       "\0\0\0\2ab\0\0\0\0";
    static const unsigned char NONE[] = "\0\0\0\0\0\0\0\0\0\0\x0b\x86";
    struct params *p = *state;
    params_array(p, OID_TEXT, 2);
    params_item(p, "ab", 2);
    params_item(p, "", 0);
    params_array_end(p);
    params_uuids(p, NULL, 0);
    expect_param(p, 0, TWO, sizeof TWO - 1);
    expect_param(p, 1, NONE, sizeof NONE - 1);
}

static void test_array_with_null(void **state)
{
    static const unsigned char TEXTS[] = "\0\0\0\1\0\0\0\1\0\0\0\x19\0\0\0\5\0\0\0\1"
                                         "\0\0\0\1x\xff\xff\xff\xff\0\0\0\3a?b\xff\xff\xff\xff"
                                         "\0\0\0\0";
    static const unsigned char NUMBERS[] = "\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\2\0\0\0\1"
                                           "\0\0\0\4\0\0\1\2\0\0\0\4\xff\xff\xff\xff";
    struct params *p = *state;
    params_int4(p, 1);
    params_array(p, OID_TEXT, 5);
    params_item_text(p, "x");
    params_item_text(p, NULL);
    params_item_readable_text(p, "a\xff"
                                 "b");
    params_item_readable_text(p, NULL);
    params_item_readable_text(p, "");
    params_array_end(p);
    params_array(p, OID_INT4, 2);
    params_item_int4(p, 0x102);
    params_item_int4(p, -1);
    params_array_end(p);
    expect_param(p, 1, TEXTS, sizeof TEXTS - 1);
    expect_param(p, 2, NUMBERS, sizeof NUMBERS - 1);
}

/* What does not fit is noticed, however much is put after it. */
static void test_limits(void **state)
{
    struct params *p = *state;
    for (int i = 0; i < PARAMS_MAX; i++)
        params_int4(p, i);
    assert_true(params_ok(p));
    params_int4(p, 0);
    params_text(p, "x");
    params_uuids(p, NULL, 0);
    params_array(p, OID_TEXT, 1);
    params_item_text(p, NULL);
    params_array_end(p);
    assert_false(params_ok(p));
    assert_int_equal(p->count, PARAMS_MAX);

    params_clear(p);
    assert_true(params_ok(p));
    unsigned char *much = calloc(1, PARAMS_BYTES_MAX);
    assert_non_null(much);
    params_array(p, OID_BYTEA, 2);
    params_item(p, much, PARAMS_BYTES_MAX);
    params_item(p, much, 1);
    params_array_end(p);
    assert_false(params_ok(p));
    params_clear(p);
    assert_null(params_item_room(p, (size_t)PARAMS_BYTES_MAX + 1));
    assert_false(params_ok(p));
    free(much);
}

static void test_results(void **state)
{
    static char name[] = "c", four[] = "\xff\xff\xff\xfe", eight[] = "\1\2\3\4\5\6\7\x08",
                yes[] = "\1";
    PGresAttDesc columns[4];
    int32_t small;
    int64_t large;
    bool flag;
    unsigned char bytes[4];
    (void)state;
    memset(columns, 0, sizeof columns);
    for (size_t i = 0; i < 4; i++)
        columns[i].name = name;
    PGresult *r = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    assert_non_null(r);
    assert_int_equal(PQsetResultAttrs(r, 4, columns), 1);
    assert_int_equal(PQsetvalue(r, 0, 0, four, 4), 1);
    assert_int_equal(PQsetvalue(r, 0, 1, eight, 8), 1);
    assert_int_equal(PQsetvalue(r, 0, 2, yes, 1), 1);
    assert_int_equal(PQsetvalue(r, 0, 3, NULL, -1), 1);

    assert_int_equal(result_int4(r, 0, 0, &small), 0);
    assert_int_equal(small, -2);
    assert_int_equal(result_int8(r, 0, 1, &large), 0);
    assert_true(large == 0x0102030405060708);
    assert_int_equal(result_bool(r, 0, 2, &flag), 0);
    assert_true(flag);
    assert_int_equal(result_bytes(r, 0, 0, bytes, 4), 0);
    assert_memory_equal(bytes, four, 4);
    assert_non_null(result_text(r, 0, 0));

    assert_int_equal(result_int4(r, 0, 1, &small), -1); /* of another size */
    assert_int_equal(result_int8(r, 0, 0, &large), -1);
    assert_int_equal(result_bool(r, 0, 0, &flag), -1);
    assert_int_equal(result_bytes(r, 0, 1, bytes, 4), -1);
    assert_int_equal(result_int4(r, 0, 3, &small), -1); /* NULL */
    assert_int_equal(result_bytes(r, 0, 3, bytes, 0), -1);
    assert_null(result_text(r, 0, 3));
    PQclear(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_texts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_arrays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_array_with_null, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
        cmocka_unit_test(test_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
