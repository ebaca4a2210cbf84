/* SPDX-License-Identifier: Apache-2.0 */
/* Which KEK files are used, which are refused and why, and when they are read again. */
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

#include <cmocka.h>

/* base64 of 32 bytes 'A', 'B', 'C' */
#define KEK_A "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
#define KEK_B "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI="
#define KEK_C "Q0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0M="

struct place {
    char directory[64];
    char path[96];
    struct keyring *ring;
};

static int set_up(void **state)
{
    static struct place p;
    (void)snprintf(p.directory, sizeof p.directory, "/tmp/speke-keyring.XXXXXX");
    if (mkdtemp(p.directory) == NULL)
        return -1;
    (void)snprintf(p.path, sizeof p.path, "%s/kek", p.directory);
    p.ring = keyring_new(p.path);
    *state = &p;
    return p.ring != NULL ? unsetenv("CREDENTIALS_DIRECTORY") : -1;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    keyring_free(p->ring);
    (void)unlink(p->path);
    return rmdir(p->directory);
}

static void write_file(const char *path, const char *text, size_t n, mode_t mode)
{
    (void)unlink(path);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void write_text(const struct place *p, const char *text)
{
    write_file(p->path, text, strlen(text), 0400);
}

static void expect_kek(const struct place *p, int32_t version, int letter)
{
    unsigned char expected[KEK_BYTES], check[KEK_CHECK_BYTES];
    const struct kek *kek = keyring_find(p->ring, version);
    if (kek == NULL)
        fail_msg("KEK %d is missing: %s", version, keyring_fault(p->ring));
    memset(expected, letter, sizeof expected);
    assert_int_equal(kek->version, version);
    assert_memory_equal(kek->key, expected, sizeof expected);
    assert_int_equal(kek_check(expected, check), 0);
    assert_memory_equal(kek->check, check, sizeof check);
    assert_string_equal(keyring_fault(p->ring), "");
}

static void expect_fault(const struct place *p, const char *part)
{
    const struct kek *kek = keyring_find(p->ring, 1);
    if (kek != NULL)
        fail_msg("a file was used that should have been refused: %s", part);
    if (strstr(keyring_fault(p->ring), part) == NULL)
        fail_msg("expected a fault with \"%s\", got \"%s\"", part, keyring_fault(p->ring));
    if (strstr(keyring_fault(p->ring), "QUF") != NULL)
        fail_msg("a key in the fault: %s", keyring_fault(p->ring));
}

static void test_one(void **state)
{
    write_text(*state, "1 " KEK_A "\n");
    expect_kek(*state, 1, 'A');
    const struct place *p = *state;
    assert_null(keyring_find(p->ring, 2));
    assert_null(keyring_find(p->ring, 0));
    assert_null(keyring_find(p->ring, -1));
}

static void test_several(void **state)
{
    write_text(*state, "# made yesterday\n\n  2\t" KEK_B "  \r\n1 " KEK_A "\n2147483647 " KEK_C);
    expect_kek(*state, 1, 'A');
    expect_kek(*state, 2, 'B');
    expect_kek(*state, INT32_MAX, 'C');
}

static void test_rubbish(void **state)
{
    static const struct {
        const char *text, *fault;
    } CASES[] = {
        {"", "holds no KEK"},
        {"\n# nothing\n", "holds no KEK"},
        {"rubbish\n", "line 1: no version number"},
        {"1\n", "line 1: no version number"},
        {KEK_A "\n", "line 1: no version number"},
        {"0 " KEK_A "\n", "line 1: no version number"},
        {"-1 " KEK_A "\n", "line 1: no version number"},
        {"1" KEK_A "\n", "line 1: no version number"},
        {"2147483648 " KEK_A "\n", "line 1: no version number"},
        {"99999999999999999999999999 " KEK_A "\n", "line 1: no version number"},
        {"1 " KEK_A "\n1 " KEK_B "\n", "line 2: a version for the second time"},
        {"1 " KEK_A "\n2 QUFB\n", "line 2: no base64 of 32 bytes"},
        {"1 " KEK_A "QUFB\n", "line 1: no base64 of 32 bytes"},
        {"1 QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU", "line 1: no base64 of 32 bytes"},
        {"1 !UFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=\n", "line 1: no base64 of 32 bytes"},
        {"1 \n", "line 1: no version number"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct place p = *(struct place *)*state;
        p.ring = keyring_new(p.path);
        assert_non_null(p.ring);
        write_text(&p, CASES[i].text);
        expect_fault(&p, CASES[i].fault);
        keyring_free(p.ring);
    }
}

static void test_zero_bytes(void **state)
{
    const struct place *p = *state;
    static const char TEXT[] = "1 " KEK_A "\0\n";
    write_file(p->path, TEXT, sizeof TEXT - 1, 0400);
    expect_fault(p, "line 1: no base64 of 32 bytes");
}

static void test_modes(void **state)
{
    static const mode_t REFUSED[] = {0440, 0404, 0410, 0600 | 0040, 0777, 0402, 04};
    const struct place *p = *state;
    for (size_t i = 0; i < sizeof REFUSED / sizeof REFUSED[0]; i++) {
        struct place fresh = *p;
        fresh.ring = keyring_new(fresh.path);
        write_file(p->path, "1 " KEK_A "\n", strlen("1 " KEK_A "\n"), REFUSED[i]);
        /* Without root's rights, a file that its owner may not read fails earlier. */
        expect_fault(&fresh, geteuid() == 0 || (REFUSED[i] & S_IRUSR) ? "give no right to others"
                                                                      : "Permission denied");
        keyring_free(fresh.ring);
    }
    write_file(p->path, "1 " KEK_A "\n", strlen("1 " KEK_A "\n"), 0600);
    expect_kek(p, 1, 'A');
}

static void test_owner(void **state)
{
    const struct place *p = *state;
    if (geteuid() != 0)
        skip(); /* nobody else can give a file away */
    write_text(p, "1 " KEK_A "\n");
    assert_int_equal(chown(p->path, 12345, 0), 0);
    expect_fault(p, "owner 12345");
}

static void test_kinds_of_file(void **state)
{
    struct place *p = *state;
    expect_fault(p, "No such file");
    keyring_free(p->ring);
    p->ring = keyring_new(p->path);
    assert_int_equal(mkfifo(p->path, 0400), 0);
    expect_fault(p, "no regular file"); /* and does not wait for a writer */
    assert_int_equal(unlink(p->path), 0);
    keyring_free(p->ring);
    p->ring = keyring_new(p->directory);
    expect_fault(p, "no regular file");
}

static void test_size(void **state)
{
    struct place *p = *state;
    static const char LINE[] = "1 " KEK_A "\n";
    char *text = malloc(KEYRING_FILE_MAX + 1);
    assert_non_null(text);
    memset(text, '\n', KEYRING_FILE_MAX + 1);
    memcpy(text, LINE, strlen(LINE));
    write_file(p->path, text, KEYRING_FILE_MAX + 1, 0400);
    expect_fault(p, "larger than");
    keyring_free(p->ring);
    p->ring = keyring_new(p->path);
    write_file(p->path, text, KEYRING_FILE_MAX, 0400);
    expect_kek(p, 1, 'A');
    free(text);
}

static void test_number_of_keks(void **state)
{
    struct place *p = *state;
    char text[KEYRING_FILE_MAX];
    size_t n = 0;
    for (int i = 1; i <= KEYRING_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%d " KEK_A "\n", i);
    write_text(p, text);
    expect_kek(p, KEYRING_MAX, 'A');
    (void)snprintf(text + n, sizeof text - n, "%d " KEK_A "\n", KEYRING_MAX + 1);
    keyring_free(p->ring);
    p->ring = keyring_new(p->path);
    write_text(p, text);
    expect_fault(p, "too many KEKs");
}

/* A version that appears in the file is found when it is asked for; what changed otherwise, within
 * a second. */
static void test_reads_again(void **state)
{
    const struct place *p = *state;
    write_text(p, "1 " KEK_A "\n");
    expect_kek(p, 1, 'A');
    write_text(p, "1 " KEK_A "\n2 " KEK_B "\n");
    expect_kek(p, 2, 'B'); /* although the file was read a moment ago */
    write_text(p, "rubbish\n");
    assert_null(keyring_find(p->ring, 3));
    write_text(p, "3 " KEK_A "\n");
    assert_null(keyring_find(p->ring, 3)); /* after a bad one it rests for a second */
    usleep(1100 * 1000);
    expect_kek(p, 3, 'A');
    write_text(p, "1 " KEK_C "\n");
    usleep(1100 * 1000);
    expect_kek(p, 1, 'C');
    assert_null(keyring_find(p->ring, 2)); /* the file is what holds */
}

/* Whatever becomes of the file, KEKs that were loaded stay until a good file replaces them. */
static void test_keeps_what_it_has(void **state)
{
    const struct place *p = *state;
    write_text(p, "1 " KEK_A "\n");
    expect_kek(p, 1, 'A');
    write_text(p, "rubbish\n");
    usleep(1100 * 1000);
    assert_non_null(keyring_find(p->ring, 1));
    assert_non_null(strstr(keyring_fault(p->ring), "no version number"));
    assert_int_equal(unlink(p->path), 0);
    usleep(1100 * 1000);
    assert_non_null(keyring_find(p->ring, 1));
    write_text(p, "1 " KEK_B "\n");
    usleep(1100 * 1000);
    expect_kek(p, 1, 'B');
}

static void test_credential(void **state)
{
    struct place *p = *state;
    char directory[] = "/tmp/speke-credential.XXXXXX", path[64];
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/kek", directory);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", directory, 1), 0);
    write_text(p, "1 " KEK_A "\n");
    expect_kek(p, 1, 'A'); /* the directory holds none */

    keyring_free(p->ring);
    p->ring = keyring_new(p->path);
    write_file(path, "1 " KEK_B "\n", strlen("1 " KEK_B "\n"), 0400);
    expect_kek(p, 1, 'B');

    /* The mask of an ACL on root's file looks like a right of the group. */
    keyring_free(p->ring);
    p->ring = keyring_new(p->path);
    assert_int_equal(chmod(path, 0440), 0);
    if (geteuid() == 0)
        expect_kek(p, 1, 'B');
    else
        expect_fault(p, "give no right to others");
    assert_int_equal(chmod(path, 0404), 0);
    keyring_free(p->ring);
    p->ring = keyring_new(p->path);
    expect_fault(p, "give no right to others");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
    struct failure f;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_several, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rubbish, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_zero_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_modes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_owner, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kinds_of_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_size, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_number_of_keks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reads_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keeps_what_it_has, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_credential, set_up, tear_down),
    };
    if (secret_setup(65536, &f) != 0) {
        (void)fprintf(stderr, "%s\n", f.cause);
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
