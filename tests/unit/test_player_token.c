/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: the published example, what is signed here, and what is wrong with a token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include "base/base64.h"
#include "player/token.h"

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const unsigned char SECRET[32] = {1, 2, 3};
static const struct token_key KEY = {TOKEN_HS256, SECRET, sizeof SECRET};
enum { NOW = 1800000000 };

enum { PAIR_BYTES = TOKEN_POINT_BYTES + 32 };

/* A point and behind it the private key. */
static void make_pair(unsigned char out[static PAIR_BYTES])
{
    size_t n = 0;
    BIGNUM *scalar = NULL;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert_non_null(key);
    assert_int_equal(
        EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, out, TOKEN_POINT_BYTES, &n),
        1);
    assert_int_equal(n, TOKEN_POINT_BYTES);
    assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &scalar), 1);
    assert_int_equal(BN_bn2binpad(scalar, out + TOKEN_POINT_BYTES, 32), 32);
    BN_clear_free(scalar);
    EVP_PKEY_free(key);
}

/* What reading, verifying and judging say of claims that are signed with the right key. */
static enum token_fault judge(const char *claims, const char *address, const char *device)
{
    const struct token_circumstances where = {NOW, 30, address, device};
    struct token t;
    char *text = token_sign(&KEY, "k", claims);
    assert_non_null(text);
    enum token_fault fault = token_read(&t, text, strlen(text));
    if (fault == TOKEN_GOOD)
        fault = token_verify(&t, &KEY, NULL);
    if (fault == TOKEN_GOOD)
        fault = token_judge(&t, &where);
    token_end(&t);
    free(text);
    return fault;
}

/* RFC 7515 appendix A.3, whose header has no "kid": the signature is right all the same. */
static void the_published_es256_example_verifies(void **state)
{
    (void)state;
    static const char TOKEN[] =
        "eyJhbGciOiJFUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLm"
        "NvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-"
        "F4GawxaepmXFCgfTjDxw5djxLa8ISlSApm"
        "WQxfKTUJqPP3-Kg6NU1Q";
    static const char X[] = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    static const char Y[] = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
    unsigned char point[65] = {4};
    size_t n;
    struct token t;
    assert_int_equal(base64url_decode(X, strlen(X), point + 1, 32, &n), 0);
    assert_int_equal(base64url_decode(Y, strlen(Y), point + 33, 32, &n), 0);
    const struct token_key key = {TOKEN_ES256, point, sizeof point};
    assert_int_equal(token_read(&t, TOKEN, strlen(TOKEN)), TOKEN_UNKNOWN_KEY);
    assert_int_equal(token_verify(&t, &key, NULL), TOKEN_GOOD);
    token_end(&t);
    assert_int_equal(token_read(&t, TOKEN, strlen(TOKEN)), TOKEN_UNKNOWN_KEY);
    assert_int_equal(token_verify(&t, &KEY, NULL), TOKEN_WRONG_ALGORITHM);
    token_end(&t);
    point[64] ^= 1; /* no point of the curve any more */
    assert_int_equal(token_read(&t, TOKEN, strlen(TOKEN)), TOKEN_UNKNOWN_KEY);
    assert_int_equal(token_verify(&t, &key, NULL), TOKEN_WRONG_SIGNATURE);
    token_end(&t);
}

/* What is remembered of a key counts for that key alone, also when another took its place. */
static void remembered_points_are_told_apart(void **state)
{
    (void)state;
    static unsigned char keys[TOKEN_POINTS_MAX + 2][PAIR_BYTES];
    static struct token_points points;
    char *tokens[TOKEN_POINTS_MAX + 2];
    for (size_t i = 0; i < COUNT(keys); i++) {
        make_pair(keys[i]);
        const struct token_key private = {TOKEN_ES256, keys[i], TOKEN_POINT_BYTES + 32};
        tokens[i] = token_sign(&private, "k", "{}");
        assert_non_null(tokens[i]);
    }
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT(keys); i++) {
            const struct token_key public = {TOKEN_ES256, keys[i], TOKEN_POINT_BYTES};
            struct token t;
            assert_int_equal(token_read(&t, tokens[i], strlen(tokens[i])), TOKEN_GOOD);
            assert_int_equal(token_verify(&t, &public, &points), TOKEN_GOOD);
            token_end(&t);
            const size_t other = (i + 1) % COUNT(keys);
            assert_int_equal(token_read(&t, tokens[other], strlen(tokens[other])), TOKEN_GOOD);
            assert_int_equal(token_verify(&t, &public, &points), TOKEN_WRONG_SIGNATURE);
            token_end(&t);
        }
    }
    static const unsigned char NONE[TOKEN_POINT_BYTES] = {4, 1};
    const struct token_key none = {TOKEN_ES256, NONE, sizeof NONE};
    const struct token_key cut = {TOKEN_ES256, keys[0], TOKEN_POINT_BYTES - 1};
    struct token t;
    assert_int_equal(token_read(&t, tokens[0], strlen(tokens[0])), TOKEN_GOOD);
    assert_int_equal(token_verify(&t, &none, &points), TOKEN_WRONG_SIGNATURE);
    assert_int_equal(token_verify(&t, &cut, &points), TOKEN_WRONG_SIGNATURE);
    token_end(&t);
    token_points_free(&points);
    for (size_t i = 0; i < COUNT(tokens); i++)
        free(tokens[i]);
}

static void claims_are_judged(void **state)
{
    (void)state;
    static const struct {
        const char *claims;
        enum token_fault fault;
    } ROWS[] = {
        {"{\"exp\":1800000001,\"content_id\":\"m\"}", TOKEN_GOOD},
        {"{\"exp\":1800000001.5,\"content_id\":[\"m\",\"n\"]}", TOKEN_GOOD},
        {"{\"exp\":1799999971,\"content_id\":\"m\"}", TOKEN_GOOD},
        {"{\"exp\":1799999970,\"content_id\":\"m\"}", TOKEN_EXPIRED},
        {"{\"exp\":-1e300,\"content_id\":\"m\"}", TOKEN_EXPIRED},
        {"{\"exp\":1e300,\"content_id\":\"m\"}", TOKEN_GOOD},
        {"{\"exp\":\"1800000001\",\"content_id\":\"m\"}", TOKEN_MALFORMED},
        {"{\"content_id\":\"m\"}", TOKEN_UNBOUND},
        {"{\"exp\":1800000001,\"nbf\":1800000030,\"content_id\":\"m\"}", TOKEN_GOOD},
        {"{\"exp\":1800000001,\"nbf\":1800000031,\"content_id\":\"m\"}", TOKEN_NOT_YET},
        {"{\"exp\":1800000001,\"nbf\":null,\"content_id\":\"m\"}", TOKEN_MALFORMED},
        {"{\"exp\":1800000001}", TOKEN_UNBOUND},
        {"{\"exp\":1800000001,\"content_id\":\"\"}", TOKEN_MALFORMED},
        {"{\"exp\":1800000001,\"content_id\":[]}", TOKEN_MALFORMED},
        {"{\"exp\":1800000001,\"content_id\":{\"a\":1}}", TOKEN_MALFORMED},
        {"{\"exp\":1800000001,\"content_id\":[\"m\",1]}", TOKEN_MALFORMED},
        {"{\"exp\":1800000001,\"kids\":[\"11223344-5566-7788-99aa-bbccddeeff00\"]}", TOKEN_GOOD},
        {"{\"exp\":1800000001,\"kids\":\"11223344-5566-7788-99aa-bbccddeeff00\"}", TOKEN_MALFORMED},
        {"{\"exp\":1800000001,\"kids\":[\"x\"]}", TOKEN_MALFORMED},
        {"{\"exp\":1800000001,\"content_id\":\"m\",\"ip\":\"0:0:0:0:0:0:0:1\"}", TOKEN_GOOD},
        {"{\"exp\":1800000001,\"content_id\":\"m\",\"ip\":\"127.0.0.1\"}", TOKEN_OTHER_ADDRESS},
        {"{\"exp\":1800000001,\"content_id\":\"m\",\"ip\":\"::\"}", TOKEN_OTHER_ADDRESS},
        {"{\"exp\":1800000001,\"content_id\":\"m\",\"ip\":7}", TOKEN_MALFORMED},
        {"{\"exp\":1800000001,\"content_id\":\"m\",\"device\":\"tv\"}", TOKEN_GOOD},
        {"{\"exp\":1800000001,\"content_id\":\"m\",\"device\":\"tv2\"}", TOKEN_OTHER_DEVICE},
        {"{\"exp\":1800000001,\"content_id\":\"m\",\"sub\":[]}", TOKEN_MALFORMED},
        {"[]", TOKEN_MALFORMED},
        {"{\"exp\":1,\"exp\":1800000001,\"content_id\":\"m\"}", TOKEN_MALFORMED},
        {"{\"exp\":1800000001,\"content_id\":\"m\",\"x\":[[[[1]]]]}", TOKEN_MALFORMED},
    };
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        print_message("  %s\n", ROWS[i].claims);
        assert_int_equal(judge(ROWS[i].claims, "::1", "tv"), ROWS[i].fault);
    }
    assert_int_equal(judge(ROWS[19].claims, NULL, NULL), TOKEN_OTHER_ADDRESS);
}

static void what_is_no_token_is_refused(void **state)
{
    (void)state;
    static char longest[TOKEN_MAX + 2];
    memset(longest, 'a', sizeof longest - 1);
    longest[3] = longest[6] = '.';
    const char *const ROWS[] = {"",      ".",        "..",    "a.b",  "a.b.c.d", "e30.e30.e30.",
                                "e30..", "W10.e30.", "!.!.!", longest};
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct token t;
        assert_int_not_equal(token_read(&t, ROWS[i], strlen(ROWS[i])), TOKEN_GOOD);
        token_end(&t);
    }
}

/* No other byte than those of base64url is in a part that libcjose is given. */
static void parts_are_base64url(void **state)
{
    (void)state;
    static const char BYTES[] = "=+/ \n%*\x7f\x80";
    char *text = token_sign(&KEY, "k", "{\"exp\":1800000001,\"content_id\":\"m\"}");
    const size_t n = strlen(text);
    for (size_t i = 0; i < n; i++) {
        const char kept = text[i];
        for (size_t j = 0; kept != '.' && j < sizeof BYTES; j++) { /* its NUL, too */
            struct token t;
            text[i] = BYTES[j];
            assert_int_equal(token_read(&t, text, n), TOKEN_MALFORMED);
            token_end(&t);
        }
        text[i] = kept;
    }
    free(text);
}

/* Each byte of a token matters. */
static void a_changed_token_does_not_verify(void **state)
{
    (void)state;
    char *text = token_sign(&KEY, "k", "{\"exp\":1800000001,\"content_id\":\"m\"}");
    const size_t n = strlen(text);
    for (size_t i = 0; i < n; i++) {
        struct token t;
        text[i] ^= 1;
        enum token_fault fault = token_read(&t, text, n);
        if (fault == TOKEN_GOOD)
            fault = token_verify(&t, &KEY, NULL);
        assert_int_not_equal(fault, TOKEN_GOOD);
        token_end(&t);
        text[i] ^= 1;
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_es256_example_verifies),
        cmocka_unit_test(remembered_points_are_told_apart),
        cmocka_unit_test(claims_are_judged),
        cmocka_unit_test(what_is_no_token_is_refused),
        cmocka_unit_test(parts_are_base64url),
        cmocka_unit_test(a_changed_token_does_not_verify),
    };
    return cmocka_run_group_tests_name("player token", tests, NULL, NULL);
}
