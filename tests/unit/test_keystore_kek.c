/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed: no KEK, a wrong one, a new one; and rows that were altered in SQL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keystore_fixture.h"

#include <cmocka.h>

/* A keyring is read at most once a second. */
enum { READ_AGAIN_US = 1100 * 1000 };

static int set_up(void **state)
{
    static struct settings s;
    s = fixture_settings();
    *state = keystore_new(&s);
    return *state != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    keystore_free(*state);
    return 0;
}

static void expect_word(struct keystore *ks, const char *word)
{
    struct failure f = {0};
    keystore_begin(ks);
    if (keystore_health(ks, &f) != -1 || f.status != 503 || strcmp(f.text, word) != 0)
        fail_msg("health: expected %s, got %d \"%s\" (%s)", word, f.status, f.text, f.cause);
}

/* --- rows ----------------------------------------------------------------------------------- */

/* Each of these changes one row of content "edited" under KID 1; none may open. */
static void test_altered_rows(void **state)
{
    static const char *const CHANGES[] = {
        "sealed = set_byte(sealed, 0, get_byte(sealed, 0) # 1)",   /* nonce */
        "sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1)", /* ciphertext */
        "sealed = set_byte(sealed, 43, get_byte(sealed, 43) # 1)", /* tag */
        "scheme = 'cenc'",
        "scheme = ''",
        "kid = '01010101-0101-0101-0101-010101010102'",
        ("tenant_id = (SELECT tenant_id FROM speke.tenant WHERE name = 'blue'), "
         "created_by = (SELECT client_id FROM speke.client WHERE name = 'blue-1')"),
        "content_id = 'edited too', content_digest = sha256('edited too')",
        "kek_version = 2",
    };
    struct order *o = order_new("red-1", "edited", 1, 1);
    struct order *moved[] = {order_new("red-1", "edited", 1, 1),
                             order_new("blue-1", "edited", 1, 1),
                             order_new("red-1", "edited too", 1, 1)};
    moved[0]->slots[0].kid.bytes[UUID_BYTES - 1] = 2;
    admin("INSERT INTO speke.kek_version (kek_version, state, check_value) "
          "SELECT 2, 'retiring', check_value FROM speke.kek_version WHERE kek_version = 1");
    expect_keys(*state, o);
    admin(
        "CREATE TABLE public.kept AS SELECT * FROM speke.content_key WHERE content_id = 'edited'");
    fixture_write_keks("1 QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=\n"
                       "2 QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=\n");
    (void)usleep(READ_AGAIN_US);
    for (size_t i = 0; i < sizeof CHANGES / sizeof CHANGES[0]; i++) {
        admin("UPDATE speke.content_key SET %s WHERE content_id = 'edited'", CHANGES[i]);
        struct order *asked = i == 5 ? moved[0] : i == 6 ? moved[1] : i == 7 ? moved[2] : o;
        struct failure f;
        if (order_run(*state, asked, &f) == 0)
            fail_msg("a row opened after %s", CHANGES[i]);
        expect_failure(*state, asked, 500, "a key does not open");
        assert_int_equal(order_run(*state, asked, &f), -1);
        assert_string_equal(f.text, "Internal error");
        if (strstr(f.cause, "KEK version") == NULL || strstr(f.cause, "01010101-0101") == NULL ||
            strstr(f.cause, "content id edited") == NULL || strstr(f.cause, "tenant ") == NULL)
            fail_msg("the cause does not name the row: %s", f.cause);
        admin("DELETE FROM speke.content_key WHERE content_id LIKE 'edited%%'; "
              "INSERT INTO speke.content_key SELECT * FROM public.kept");
    }
    expect_keys(*state, o);
    admin("DROP TABLE public.kept; DELETE FROM speke.kek_version WHERE kek_version = 2");
    for (size_t i = 0; i < sizeof moved / sizeof moved[0]; i++)
        order_free(moved[i]);
    order_free(o);
    fixture_write_keks(KEK_1);
}

/* Two rows that changed places. The others of the content give nothing away either. */
static void test_swapped_rows(void **state)
{
    struct order *o = order_new("red-1", "swapped", 1, 3);
    struct order *one = order_new("red-1", "swapped", 3, 1);
    expect_keys(*state, o);
    admin("UPDATE speke.content_key k SET sealed = o.sealed FROM speke.content_key o "
          "WHERE k.content_id = 'swapped' AND o.content_id = 'swapped' AND k.kid <> o.kid "
          "AND k.kid < '03000000-0000-0000-0000-000000000000' "
          "AND o.kid < '03000000-0000-0000-0000-000000000000'");
    expect_failure(*state, o, 500, "a key does not open");
    expect_keys(*state, one); /* the third is as it was */
    order_free(o);
    order_free(one);
}

/* --- KEKs ----------------------------------------------------------------------------------- */

static void test_no_kek_file(void **state)
{
    struct order *o = order_new("red-1", "no file", 1, 1);
    assert_int_equal(unlink(fixture_kek_path()), 0);
    expect_failure(*state, o, 503, "Service unavailable: sealed");
    expect_failure(*state, o, 503, "KEK version 1 is not loaded");
    expect_word(*state, "sealed");
    assert_string_equal(
        query("SELECT count(*) FROM speke.content_key WHERE content_id = 'no file'"), "0");
    fixture_write_keks(KEK_1);
    (void)usleep(READ_AGAIN_US);
    expect_keys(*state, o);
    order_free(o);
}

static void test_kek_others_can_read(void **state)
{
    struct order *o = order_new("red-1", "open file", 1, 1);
    assert_int_equal(chmod(fixture_kek_path(), 0444), 0);
    expect_failure(*state, o, 503, "give no right to others");
    expect_word(*state, "sealed");
    assert_int_equal(chmod(fixture_kek_path(), 0400), 0);
    (void)usleep(READ_AGAIN_US);
    expect_keys(*state, o);
    order_free(o);
}

static void test_wrong_kek(void **state)
{
    struct order *o = order_new("red-1", "wrong KEK", 1, 1);
    fixture_write_keks("1 QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=\n");
    expect_failure(*state, o, 503, "is another one than was registered");
    expect_word(*state, "sealed");
    assert_string_equal(
        query("SELECT count(*) FROM speke.content_key WHERE content_id = 'wrong KEK'"), "0");
    fixture_write_keks(KEK_1);
    (void)usleep(READ_AGAIN_US);
    expect_keys(*state, o);
    order_free(o);
}

/* A key whose KEK version the file does not hold, among others. */
static void test_old_kek_missing(void **state)
{
    struct order *o = order_new("red-1", "old KEK", 1, 2);
    expect_keys(*state, o);
    admin("INSERT INTO speke.kek_version (kek_version, state, check_value) "
          "SELECT 9, 'retiring', check_value FROM speke.kek_version WHERE kek_version = 1; "
          "UPDATE speke.content_key SET kek_version = 9 WHERE content_id = 'old KEK' "
          "AND kid > '02000000-0000-0000-0000-000000000000'");
    expect_failure(*state, o, 503, "KEK version 9 is not loaded: the KEK file does not hold it");
    admin("UPDATE speke.content_key SET kek_version = 1 WHERE content_id = 'old KEK'; "
          "DELETE FROM speke.kek_version WHERE kek_version = 9");
    expect_keys(*state, o);
    order_free(o);
}

/* A new KEK becomes the active one while the service runs: keys made before stay readable, keys
 * made now are under the new one, and no request fails. */
static void test_new_kek(void **state)
{
    char both[256];
    struct order *before = order_new("red-1", "rotated", 1, 2);
    struct order *after = order_new("red-1", "rotated", 1, 4);
    struct order *again = order_new("red-1", "rotated", 1, 4);
    expect_keys(*state, before);
    (void)usleep(READ_AGAIN_US);
    (void)snprintf(both, sizeof both, "%s%s", KEK_1, KEK_2);
    fixture_write_keks(both);
    register_kek(2);
    expect_keys(*state, after);
    for (size_t i = 0; i < 2; i++)
        assert_memory_equal(before->slots[i].key, after->slots[i].key, KEYSTORE_KEY_BYTES);
    assert_string_equal(query("SELECT string_agg(kek_version::text, ' ' ORDER BY kid) "
                              "FROM speke.content_key WHERE content_id = 'rotated'"),
                        "1 1 2 2");
    expect_keys(*state, again);
    expect_same_keys(after, again);

    /* One that is registered and not in the file: sealed, and noticed as soon as it is there. */
    admin("SELECT speke.kek_register(3, (SELECT check_value FROM speke.kek_version "
          "WHERE kek_version = 2))");
    expect_failure(*state, again, 503, "KEK version 3 is not loaded");
    admin("UPDATE speke.kek_version SET state = 'retiring' WHERE kek_version = 3");
    admin("UPDATE speke.kek_version SET state = 'active' WHERE kek_version = 2");
    expect_keys(*state, again); /* taken back */
    admin("UPDATE speke.kek_version SET state = 'retiring' WHERE kek_version = 2");
    admin("UPDATE speke.kek_version SET state = 'active' WHERE kek_version = 3");
    expect_failure(*state, again, 503, "KEK version 3 is not loaded");
    (void)snprintf(both, sizeof both, "%s%s3%s", KEK_1, KEK_2, KEK_2 + 1);
    fixture_write_keks(both);
    (void)usleep(READ_AGAIN_US);
    expect_keys(*state, again);
    order_free(before);
    order_free(after);
    order_free(again);
}

static void test_no_active_kek(void **state)
{
    struct order *o = order_new("red-1", "no active", 1, 1);
    admin("UPDATE speke.kek_version SET state = 'retired' WHERE state = 'active'");
    expect_failure(*state, o, 503, "the database names no active KEK");
    expect_word(*state, "sealed");
    admin("UPDATE speke.kek_version SET state = 'active' WHERE kek_version = 3");
    expect_keys(*state, o);
    order_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_altered_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_swapped_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_kek_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kek_others_can_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_kek, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_old_kek_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_new_kek, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_active_kek, set_up, tear_down),
    };
    int status = fixture_start();
    if (status != 0)
        return status;
    status = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_stop();
    return status;
}
