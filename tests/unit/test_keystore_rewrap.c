/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing keys anew: the same key under another KEK, and rows that cannot be opened left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failure.h"
#include "base/secret.h"
#include "keystore/keyring.h"
#include "keystore/rewrap.h"

#include <cmocka.h>

/* KEKs 1, 2 and 3: base64 of 32 bytes 'A', 'B' and 'C' */
static const char KEKS[] = "1 QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=\n"
                           "2 QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=\n"
                           "3 Q0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0M=\n";

enum { ROWS = 12 };

struct fixture {
    char path[64];
    struct keyring *ring;
    struct sealer *sealer;
    struct rewrap_row rows[ROWS];
};

static void use(struct fixture *x, uint32_t version)
{
    const struct kek *kek = keyring_find(x->ring, (int32_t)version);
    assert_non_null(kek);
    assert_int_equal(sealer_use(x->sealer, kek->key), 0);
}

/* Row i holds a key of bytes i under KEK 1 or 2. */
static void seal_row(struct fixture *x, size_t i)
{
    unsigned char key[SEAL_KEY_BYTES], nonce[SEAL_NONCE_BYTES];
    struct rewrap_row *r = &x->rows[i];
    r->row = (struct seal_row){
        .tenant_id = 7, .kek_version = i % 2 == 0 ? 1 : 2, .scheme = "cbcs", .content_id = "film"};
    memset(r->row.kid.bytes, (int)i, UUID_BYTES);
    memset(key, (int)i, sizeof key);
    memset(nonce, (int)i, sizeof nonce);
    use(x, r->row.kek_version);
    assert_int_equal(seal_key(x->sealer, &r->row, nonce, key, r->old), 0);
}

static void expect_key(struct fixture *x, size_t i, uint32_t version)
{
    unsigned char key[SEAL_KEY_BYTES], expected[SEAL_KEY_BYTES];
    struct seal_row row = x->rows[i].row;
    row.kek_version = version;
    memset(expected, (int)i, sizeof expected);
    use(x, version);
    assert_true(x->rows[i].done);
    assert_int_equal(open_key(x->sealer, &row, x->rows[i].fresh, key), 0);
    assert_memory_equal(key, expected, sizeof key);
    assert_memory_not_equal(x->rows[i].fresh, x->rows[i].old, SEALED_BYTES);
}

static int set_up(void **state)
{
    static struct fixture x;
    x = (struct fixture){.path = "/tmp/speke-rewrap.XXXXXX"};
    const int fd = mkstemp(x.path); /* mode 0600 */
    if (fd < 0 || write(fd, KEKS, strlen(KEKS)) != (ssize_t)strlen(KEKS) || close(fd) != 0)
        return -1;
    x.ring = keyring_new(x.path);
    x.sealer = sealer_new();
    *state = &x;
    for (size_t i = 0; i < ROWS; i++)
        seal_row(&x, i);
    return x.ring != NULL && x.sealer != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *x = *state;
    keyring_free(x->ring);
    sealer_free(x->sealer);
    return unlink(x->path);
}

static void test_from_several_keks(void **state)
{
    struct fixture *x = *state;
    assert_int_equal(rewrap(x->sealer, x->ring, 3, x->rows, ROWS), 0);
    for (size_t i = 0; i < ROWS; i++)
        expect_key(x, i, 3);
}

static void test_altered_row_and_missing_kek(void **state)
{
    struct fixture *x = *state;
    x->rows[1].old[20] ^= 1;
    x->rows[4].row.scheme = "cenc";
    x->rows[6].row.kek_version = 9;
    assert_int_equal(rewrap(x->sealer, x->ring, 3, x->rows, ROWS), 0);
    for (size_t i = 0; i < ROWS; i++) {
        if (i == 1 || i == 4 || i == 6)
            assert_false(x->rows[i].done);
        else
            expect_key(x, i, 3);
    }
}

static void test_new_kek_missing(void **state)
{
    struct fixture *x = *state;
    assert_int_equal(rewrap(x->sealer, x->ring, 8, x->rows, ROWS), -1);
    for (size_t i = 0; i < ROWS; i++)
        assert_false(x->rows[i].done);
}

static void test_numbers(void **state)
{
    struct fixture *x = *state;
    assert_int_equal(rewrap(x->sealer, x->ring, 3, x->rows, 0), 0);
    assert_int_equal(rewrap(x->sealer, x->ring, 3, x->rows, REWRAP_ROWS_MAX + 1), -1);
}

int main(void)
{
    struct failure f;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_from_several_keks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_altered_row_and_missing_kek, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_new_kek_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_numbers, set_up, tear_down),
    };
    if (secret_setup(262144, &f) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
