/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed keys open for the row that they were sealed for and no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "keystore/seal.h"

#include <cmocka.h>

static const unsigned char KEK[KEK_BYTES] = "0123456789abcdef0123456789ABCDE";
static const unsigned char KEY[SEAL_KEY_BYTES] = "content key 16b";
static const unsigned char NONCE[SEAL_NONCE_BYTES] = "nonce of 12";
static const unsigned char ZEROS[SEAL_KEY_BYTES];

static struct seal_row a_row(void)
{
    struct seal_row row = {
        .tenant_id = 0x01020304, .kek_version = 7, .scheme = "cbcs", .content_id = "film/1"};
    for (int i = 0; i < UUID_BYTES; i++)
        row.kid.bytes[i] = (uint8_t)(0x10 + i);
    return row;
}

static int set_up(void **state)
{
    *state = sealer_new();
    return *state != NULL ? sealer_use(*state, KEK) : -1;
}

static int tear_down(void **state)
{
    sealer_free(*state);
    return 0;
}

static void test_opens_again(void **state)
{
    const struct seal_row row = a_row();
    unsigned char sealed[SEALED_BYTES], key[SEAL_KEY_BYTES];
    assert_int_equal(seal_key(*state, &row, NONCE, KEY, sealed), 0);
    assert_memory_equal(sealed, NONCE, sizeof NONCE);
    assert_memory_not_equal(sealed + sizeof NONCE, KEY, sizeof KEY);
    assert_int_equal(open_key(*state, &row, sealed, key), 0);
    assert_memory_equal(key, KEY, sizeof KEY);
}

/* The format, written down a second time with nothing but OpenSSL, so that rows stay readable
 * whatever becomes of seal.c. */
static void test_format(void **state)
{
    static const unsigned char AAD[] = "speke-fcgi content key 1\0"
                                       "\x01\x02\x03\x04"
                                       "\x00\x00\x00\x07"
                                       "\x10\x11\x12\x13\x14\x15\x16\x17"
                                       "\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f"
                                       "\x04"
                                       "cbcs"
                                       "\x00\x00\x00\x06"
                                       "film/1";
    const struct seal_row row = a_row();
    unsigned char sealed[SEALED_BYTES], expected[SEALED_BYTES];
    int n;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    assert_non_null(context);
    assert_int_equal(EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, KEK, NONCE), 1);
    assert_int_equal(EVP_EncryptUpdate(context, NULL, &n, AAD, sizeof AAD - 1), 1);
    memcpy(expected, NONCE, sizeof NONCE);
    assert_int_equal(EVP_EncryptUpdate(context, expected + 12, &n, KEY, sizeof KEY), 1);
    assert_int_equal(EVP_EncryptFinal_ex(context, expected + 28, &n), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, 16, expected + 28), 1);
    EVP_CIPHER_CTX_free(context);

    assert_int_equal(seal_key(*state, &row, NONCE, KEY, sealed), 0);
    assert_memory_equal(sealed, expected, sizeof sealed);
}

static void expect_closed(struct sealer *s, const struct seal_row *row, const unsigned char *sealed,
                          const char *what)
{
    unsigned char key[SEAL_KEY_BYTES];
    memset(key, 0x55, sizeof key);
    if (open_key(s, row, sealed, key) == 0)
        fail_msg("opened with another %s", what);
    if (memcmp(key, ZEROS, sizeof key) != 0)
        fail_msg("bytes left behind after another %s", what);
}

static void test_bound_to_its_row(void **state)
{
    struct seal_row row = a_row();
    unsigned char sealed[SEALED_BYTES];
    assert_int_equal(seal_key(*state, &row, NONCE, KEY, sealed), 0);

    row.tenant_id++;
    expect_closed(*state, &row, sealed, "tenant");
    row = a_row();
    row.kek_version++;
    expect_closed(*state, &row, sealed, "KEK version");
    for (int i = 0; i < UUID_BYTES; i++) {
        row = a_row();
        row.kid.bytes[i] ^= 1;
        expect_closed(*state, &row, sealed, "KID");
    }
    static const char *const SCHEMES[] = {"", "cenc", "cbc", "cbcs1", "CBCS"};
    for (size_t i = 0; i < sizeof SCHEMES / sizeof SCHEMES[0]; i++) {
        row = a_row();
        row.scheme = SCHEMES[i];
        expect_closed(*state, &row, sealed, "scheme");
    }
    static const char *const CONTENTS[] = {"", "film/2", "film/", "film/11", "FILM/1"};
    for (size_t i = 0; i < sizeof CONTENTS / sizeof CONTENTS[0]; i++) {
        row = a_row();
        row.content_id = CONTENTS[i];
        expect_closed(*state, &row, sealed, "content id");
    }
}

/* Nothing can be moved from the end of one field to the beginning of the next. */
static void test_fields_do_not_run_together(void **state)
{
    unsigned char sealed[SEALED_BYTES];
    struct seal_row row = a_row();
    row.scheme = "ab";
    row.content_id = "c";
    assert_int_equal(seal_key(*state, &row, NONCE, KEY, sealed), 0);
    row.scheme = "a";
    row.content_id = "bc";
    expect_closed(*state, &row, sealed, "place of a letter");
}

static void test_edited(void **state)
{
    const struct seal_row row = a_row();
    unsigned char sealed[SEALED_BYTES];
    assert_int_equal(seal_key(*state, &row, NONCE, KEY, sealed), 0);
    for (size_t i = 0; i < sizeof sealed; i++) {
        sealed[i] ^= 0x80;
        expect_closed(*state, &row, sealed, "byte");
        sealed[i] ^= 0x80;
    }
}

static void test_other_kek(void **state)
{
    const struct seal_row row = a_row();
    unsigned char sealed[SEALED_BYTES], other[KEK_BYTES], key[SEAL_KEY_BYTES];
    assert_int_equal(seal_key(*state, &row, NONCE, KEY, sealed), 0);
    memcpy(other, KEK, sizeof other);
    other[31] ^= 1;
    assert_int_equal(sealer_use(*state, other), 0);
    expect_closed(*state, &row, sealed, "KEK");
    assert_int_equal(sealer_use(*state, KEK), 0);
    assert_int_equal(open_key(*state, &row, sealed, key), 0);
}

static void test_nothing_after_rest(void **state)
{
    const struct seal_row row = a_row();
    unsigned char sealed[SEALED_BYTES], key[SEAL_KEY_BYTES];
    assert_int_equal(seal_key(*state, &row, NONCE, KEY, sealed), 0);
    sealer_rest(*state);
    assert_int_equal(open_key(*state, &row, sealed, key), -1);
    assert_int_equal(seal_key(*state, &row, NONCE, KEY, sealed), -1);
    assert_int_equal(sealer_use(*state, KEK), 0);
    assert_int_equal(seal_key(*state, &row, NONCE, KEY, sealed), 0);
}

static void test_lengths(void **state)
{
    enum { LONG = 5000 };
    unsigned char sealed[SEALED_BYTES], key[SEAL_KEY_BYTES];
    char scheme[257], *content = malloc(LONG + 1);
    struct seal_row row = a_row();
    assert_non_null(content);
    memset(scheme, 's', sizeof scheme);
    memset(content, 'c', LONG);
    content[LONG] = '\0';
    row.content_id = content;
    scheme[255] = '\0';
    row.scheme = scheme;
    assert_int_equal(seal_key(*state, &row, NONCE, KEY, sealed), 0);
    assert_int_equal(open_key(*state, &row, sealed, key), 0);
    assert_memory_equal(key, KEY, sizeof KEY);
    scheme[255] = 's';
    scheme[256] = '\0';
    assert_int_equal(seal_key(*state, &row, NONCE, KEY, sealed), -1);
    assert_int_equal(open_key(*state, &row, sealed, key), -1);
    free(content);
}

/* printf 'speke-fcgi kek check' | openssl dgst -sha256 -mac hmac -macopt hexkey:(KEK) */
static void test_check_value(void **state)
{
    static const unsigned char EXPECTED[KEK_CHECK_BYTES] = {0x01, 0xea, 0x35, 0x65, 0xc9, 0x78,
                                                            0xeb, 0xbe, 0xee, 0x86, 0x70, 0xd7,
                                                            0x4e, 0x6b, 0x48, 0x7c};
    unsigned char check[KEK_CHECK_BYTES];
    (void)state;
    assert_int_equal(kek_check(KEK, check), 0);
    assert_memory_equal(check, EXPECTED, sizeof check);
}

/* --- secrets of tokens ------------------------------------------------------------------------ */

static const unsigned char SECRET[TOKEN_SECRET_MAX_BYTES] = "a secret that signs tokens, of 64";

static struct seal_token_row a_token_row(void)
{
    return (struct seal_token_row){.tenant_id = 0x01020304, .kek_version = 7, .kid = "shop-1"};
}

/* The format, written down a second time with nothing but OpenSSL. */
static void test_token_format(void **state)
{
    static const unsigned char AAD[] = "speke-fcgi token key 1\0"
                                       "\x01\x02\x03\x04"
                                       "\x00\x00\x00\x07"
                                       "\x06"
                                       "shop-1";
    enum { SIZE = TOKEN_SECRET_MIN_BYTES };
    const struct seal_token_row row = a_token_row();
    unsigned char sealed[SEALED_TOKEN_MAX_BYTES], expected[SEALED_TOKEN_MAX_BYTES];
    int n;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    assert_non_null(context);
    assert_int_equal(EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, KEK, NONCE), 1);
    assert_int_equal(EVP_EncryptUpdate(context, NULL, &n, AAD, sizeof AAD - 1), 1);
    memcpy(expected, NONCE, sizeof NONCE);
    assert_int_equal(EVP_EncryptUpdate(context, expected + 12, &n, SECRET, SIZE), 1);
    assert_int_equal(EVP_EncryptFinal_ex(context, expected + 12 + SIZE, &n), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, 16, expected + 12 + SIZE),
                     1);
    EVP_CIPHER_CTX_free(context);
    assert_int_equal(seal_token_secret(*state, &row, NONCE, SECRET, SIZE, sealed), 0);
    assert_memory_equal(sealed, expected, 12 + SIZE + 16);
}

static void test_token_opens_again(void **state)
{
    const struct seal_token_row row = a_token_row();
    unsigned char sealed[SEALED_TOKEN_MAX_BYTES], secret[TOKEN_SECRET_MAX_BYTES];
    size_t size;
    for (size_t n = TOKEN_SECRET_MIN_BYTES; n <= TOKEN_SECRET_MAX_BYTES; n++) {
        assert_int_equal(seal_token_secret(*state, &row, NONCE, SECRET, n, sealed), 0);
        assert_int_equal(open_token_secret(*state, &row, sealed, 12 + n + 16, secret, &size), 0);
        assert_int_equal(size, n);
        assert_memory_equal(secret, SECRET, n);
    }
    for (size_t n = 0; n <= TOKEN_SECRET_MAX_BYTES + 1; n++) {
        if (n == TOKEN_SECRET_MIN_BYTES)
            n = TOKEN_SECRET_MAX_BYTES + 1;
        assert_int_equal(seal_token_secret(*state, &row, NONCE, SECRET, n, sealed), -1);
        assert_int_equal(open_token_secret(*state, &row, sealed, 12 + n + 16, secret, &size), -1);
    }
    assert_int_equal(open_token_secret(*state, &row, sealed, 0, secret, &size), -1);
}

static void expect_token_closed(struct sealer *s, const struct seal_token_row *row,
                                const unsigned char *sealed, const char *what)
{
    static const unsigned char NOTHING[TOKEN_SECRET_MIN_BYTES];
    unsigned char secret[TOKEN_SECRET_MAX_BYTES];
    size_t size;
    memset(secret, 0x55, sizeof secret);
    if (open_token_secret(s, row, sealed, 12 + TOKEN_SECRET_MIN_BYTES + 16, secret, &size) == 0)
        fail_msg("opened with another %s", what);
    if (memcmp(secret, NOTHING, sizeof NOTHING) != 0)
        fail_msg("bytes left behind after another %s", what);
}

static void test_token_bound_to_its_row(void **state)
{
    static const char *const KIDS[] = {"", "shop-2", "shop-", "shop-11", "SHOP-1"};
    struct seal_token_row row = a_token_row();
    unsigned char sealed[SEALED_TOKEN_MAX_BYTES];
    assert_int_equal(seal_token_secret(*state, &row, NONCE, SECRET, TOKEN_SECRET_MIN_BYTES, sealed),
                     0);
    row.tenant_id++;
    expect_token_closed(*state, &row, sealed, "tenant");
    row = a_token_row();
    row.kek_version++;
    expect_token_closed(*state, &row, sealed, "KEK version");
    for (size_t i = 0; i < sizeof KIDS / sizeof KIDS[0]; i++) {
        row.kek_version = 7;
        row.kid = KIDS[i];
        expect_token_closed(*state, &row, sealed, "name");
    }
    row = a_token_row();
    for (size_t i = 0; i < 12 + TOKEN_SECRET_MIN_BYTES + 16; i++) {
        sealed[i] ^= 0x80;
        expect_token_closed(*state, &row, sealed, "byte");
        sealed[i] ^= 0x80;
    }
    assert_int_equal(sealer_use(*state, SECRET), 0);
    expect_token_closed(*state, &row, sealed, "KEK");
    sealer_rest(*state);
    expect_token_closed(*state, &row, sealed, "KEK: none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_opens_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_format, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bound_to_its_row, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fields_do_not_run_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_edited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_kek, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_after_rest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lengths, set_up, tear_down),
        cmocka_unit_test(test_check_value),
        cmocka_unit_test_setup_teardown(test_token_format, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_token_opens_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_token_bound_to_its_row, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
