/* SPDX-License-Identifier: Apache-2.0 */
/* Content key encryption: published vectors, who may receive, and what a recipient opens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/secret.h"
#include "cpix/delivery.h"
#include "cpix_fixture.h"

/* Last, since its macro fail() would rewrite the declaration in base/failure.h. */
#include <cmocka.h>

enum { TEXT_MAX = 8192, DAY = 86400 };

/* A recipient as the test knows it: with its private key. */
struct party {
    EVP_PKEY *key;
    X509 *x509;
    char text[TEXT_MAX]; /* base64 of the certificate */
};

static EVP_PKEY *make_rsa(unsigned bits)
{
    EVP_PKEY *key = EVP_RSA_gen(bits);
    assert_non_null(key);
    return key;
}

/* A certificate for key, signed by issuer (NULL: by itself), valid for the days given from now. */
static void make_party(struct party *p, EVP_PKEY *key, const struct party *issuer, const char *name,
                       long from_day, long to_day)
{
    static long serial;
    unsigned char *der = NULL;
    p->key = key;
    p->x509 = X509_new();
    assert_non_null(p->x509);
    assert_int_equal(X509_set_version(p->x509, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(p->x509), ++serial), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(p->x509), from_day * DAY));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(p->x509), to_day * DAY));
    assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(p->x509), "CN", MBSTRING_UTF8,
                                                (const unsigned char *)name, -1, -1, 0),
                     1);
    assert_int_equal(X509_set_issuer_name(
                         p->x509, X509_get_subject_name(issuer != NULL ? issuer->x509 : p->x509)),
                     1);
    assert_int_equal(X509_set_pubkey(p->x509, key), 1);
    if (issuer == NULL) { /* who signs itself may sign others */
        X509_EXTENSION *ca = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints,
                                                 "critical,CA:TRUE");
        assert_non_null(ca);
        assert_int_equal(X509_add_ext(p->x509, ca, -1), 1);
        X509_EXTENSION_free(ca);
    }
    assert_true(X509_sign(p->x509, issuer != NULL ? issuer->key : key, EVP_sha256()) > 0);
    int n = i2d_X509(p->x509, &der);
    assert_true(n > 0 && BASE64_SIZE((size_t)n) <= sizeof p->text);
    (void)base64_encode(der, (size_t)n, p->text);
    OPENSSL_free(der);
}

static void free_party(struct party *p)
{
    X509_free(p->x509);
    EVP_PKEY_free(p->key);
}

static int set_up(void **state)
{
    struct failure f = {0};
    assert_int_equal(secret_setup(1 << 18, &f), 0);
    return fixture_start(state);
}

static int tear_down(void **state)
{
    certificate_forget_all();
    return fixture_stop(state);
}

static void count_up(unsigned char *out, size_t n, unsigned char from)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (unsigned char)(from + i);
}

static void assert_vector(unsigned char document_from, const unsigned char *key, const char *cipher,
                          const char *mac)
{
    unsigned char document_key[DELIVERY_DOCUMENT_KEY_BYTES];
    unsigned char mac_key[DELIVERY_MAC_KEY_BYTES];
    unsigned char iv[CPIX_IV_BYTES];
    unsigned char got_cipher[DELIVERY_CIPHER_BYTES];
    unsigned char got_mac[DELIVERY_MAC_BYTES];
    char text[BASE64_SIZE(DELIVERY_MAC_BYTES)];
    count_up(document_key, sizeof document_key, document_from);
    count_up(mac_key, sizeof mac_key, 0x40);
    count_up(iv, sizeof iv, 0xa0);
    assert_int_equal(delivery_encrypt_key(document_key, mac_key, iv, key, got_cipher, got_mac), 0);
    (void)base64_encode(got_cipher, sizeof got_cipher, text);
    assert_string_equal(text, cipher);
    (void)base64_encode(got_mac, sizeof got_mac, text);
    assert_string_equal(text, mac);
}

static void test_vectors_of_a_wrapped_content_key(void **state)
{
    static const unsigned char SPEKE_KEY[] = {0x8d, 0x6f, 0x0b, 0x1e, 0x52, 0xc3, 0x4a, 0x97,
                                              0xb0, 0xe1, 0xd2, 0xf3, 0xa4, 0xb5, 0xc6, 0xd7};
    unsigned char cpix_key[CPIX_KEY_BYTES];
    (void)state;
    assert_vector(0x00, SPEKE_KEY,
                  "oKGio6SlpqeoqaqrrK2urwelDTuqu93BsbiBl9dLS/29cLrsugeis+W6n2e8SwNw",
                  "6MOYu5kFd+qQvbaIaV5XTo8yt1gDWnRMovwYW1WFZ4uT4yLrjAtkFcyh+HBJofMS"
                  "Ald2vfqE6HDLnAo9FrOnFQ==");
    count_up(cpix_key, sizeof cpix_key, 0);
    assert_vector(0x20, cpix_key,
                  "oKGio6SlpqeoqaqrrK2urwfBH7BqagVlp373TAT0nU/8w1wv00pZuDwmvYAkOHJ7",
                  "fcZ3IrrJ8e2pLj7lcon1ZtqF76M5CRAWKKMzybc9rSLvqt3+Vb/CvcThG3pALL51"
                  "Zyt6HtxxVrb1/VgW28bTMg==");
}

/* The two-key document with a DeliveryData for each certificate text. */
static void read_with_recipients(struct fixture *x, const char *const *certificates, size_t count)
{
    static char list[16 * TEXT_MAX];
    size_t n = (size_t)snprintf(list, sizeof list, "<cpix:DeliveryDataList xmlns:ds=\"%s\">",
                                DSIG_NAMESPACE);
    for (size_t i = 0; i < count; i++)
        n += (size_t)snprintf(list + n, sizeof list - n,
                              "<cpix:DeliveryData id=\"to-%zu\"><cpix:DeliveryKey><ds:X509Data>"
                              "<ds:X509Certificate>%s</ds:X509Certificate></ds:X509Data>"
                              "</cpix:DeliveryKey></cpix:DeliveryData>",
                              i, certificates[i]);
    (void)snprintf(list + n, sizeof list - n, "</cpix:DeliveryDataList>%s",
                   "<cpix:ContentKeyList>");
    fixture_read_well(x, fixture_edit(FIXTURE_V2_0, "<cpix:ContentKeyList>", list));
    struct fixture_faults faults = {0};
    const struct cpix_rules rules = fixture_rules(SPEKE_V2_0);
    fixture_check(x, &rules, &faults);
    assert_int_equal(faults.count, 0);
}

/* RSA-OAEP with SHA-1 throughout, then base64: what a recipient does first. */
static void unwrap(const struct party *p, const char *cipher, unsigned char *out, size_t size)
{
    unsigned char bytes[1024];
    size_t n, len = sizeof bytes;
    unsigned char clear[1024];
    assert_int_equal(base64_decode(cipher, strlen(cipher), bytes, sizeof bytes, &n), 0);
    assert_int_equal(n, (size_t)EVP_PKEY_get_size(p->key));
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(p->key, NULL);
    assert_true(EVP_PKEY_decrypt_init(ctx) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1);
    assert_int_equal(EVP_PKEY_decrypt(ctx, clear, &len, bytes, n), 1);
    EVP_PKEY_CTX_free(ctx);
    assert_int_equal(len, size);
    memcpy(out, clear, size);
}

static void assert_mac(const unsigned char *mac_key, const struct cpix_wrapped *w)
{
    unsigned char bytes[1024], mac[DELIVERY_MAC_BYTES], expected[DELIVERY_MAC_BYTES];
    size_t n, len;
    unsigned expected_len;
    assert_int_equal(base64_decode(w->cipher, strlen(w->cipher), bytes, sizeof bytes, &n), 0);
    assert_int_equal(base64_decode(w->mac, strlen(w->mac), mac, sizeof mac, &len), 0);
    assert_int_equal(len, DELIVERY_MAC_BYTES);
    assert_non_null(
        HMAC(EVP_sha512(), mac_key, DELIVERY_MAC_KEY_BYTES, bytes, n, expected, &expected_len));
    assert_memory_equal(mac, expected, DELIVERY_MAC_BYTES);
}

/* Opens every content key of the document as the recipient of deliveries[i] would. */
static void assert_opens(const struct cpix_document *doc, size_t i, const struct party *p,
                         unsigned char first_key)
{
    unsigned char document_key[DELIVERY_DOCUMENT_KEY_BYTES], mac_key[DELIVERY_MAC_KEY_BYTES];
    const struct cpix_delivery *d = &doc->deliveries[i];
    unwrap(p, d->document_key.cipher, document_key, sizeof document_key);
    unwrap(p, d->mac_key.cipher, mac_key, sizeof mac_key);
    for (size_t k = 0; k < doc->key_count; k++) {
        unsigned char bytes[64], clear[64], expected[CPIX_KEY_BYTES];
        size_t n;
        int len = 0, rest = 0;
        const struct cpix_wrapped *w = &doc->keys[k].encrypted;
        assert_null(doc->keys[k].plain_value);
        assert_mac(mac_key, w);
        assert_int_equal(base64_decode(w->cipher, strlen(w->cipher), bytes, sizeof bytes, &n), 0);
        assert_int_equal(n, DELIVERY_CIPHER_BYTES);
        EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
        assert_true(EVP_DecryptInit_ex(ctx, EVP_aes_256_cbc(), NULL, document_key, bytes) == 1 &&
                    EVP_DecryptUpdate(ctx, clear, &len, bytes + CPIX_IV_BYTES,
                                      DELIVERY_CIPHER_BYTES - CPIX_IV_BYTES) == 1 &&
                    EVP_DecryptFinal_ex(ctx, clear + len, &rest) == 1);
        EVP_CIPHER_CTX_free(ctx);
        assert_int_equal(len + rest, CPIX_KEY_BYTES);
        memset(expected, first_key + (int)k, sizeof expected);
        assert_memory_equal(clear, expected, sizeof expected);
    }
}

/* Encrypts keys of bytes 1, 2, ... and reads the answer that was written back into *x. */
static void deliver(struct fixture *x, enum cpix_mac_shape shape, struct buf *out)
{
    static unsigned char keys[16][CPIX_KEY_BYTES];
    const struct certificate **recipients;
    assert_int_equal(
        delivery_accept(&x->doc, &DELIVERY_DEFAULT_POLICY, &x->arena, &recipients, &x->failure), 0);
    for (size_t i = 0; i < x->doc.key_count; i++) {
        memset(keys[i], (int)i + 1, CPIX_KEY_BYTES);
        x->doc.keys[i].key = keys[i];
    }
    assert_int_equal(delivery_encrypt(&x->doc, recipients, shape, &x->arena, &x->failure), 0);
    for (size_t i = 0; i < x->doc.key_count; i++)
        assert_null(x->doc.keys[i].key);
    buf_clear(out);
    cpix_write(&x->doc, out);
    buf_putc(out, '\0');
    assert_true(buf_ok(out));
    assert_null(strstr((char *)out->data, "PlainValue"));
    fixture_read_well(x, (char *)out->data);
}

static void test_every_recipient_opens_every_key_in_every_shape(void **state)
{
    struct fixture *x = *state;
    struct party parties[2];
    struct buf out;
    buf_init(&out, 1 << 20);
    make_party(&parties[0], make_rsa(2048), NULL, "one", -1, 1);
    make_party(&parties[1], make_rsa(3072), NULL, "two", -1, 1);
    const char *const texts[] = {parties[0].text, parties[1].text};
    for (enum cpix_mac_shape shape = CPIX_MAC_SHAPE_SPEKE; shape <= CPIX_MAC_SHAPE_PSKC; shape++) {
        read_with_recipients(x, texts, 2);
        deliver(x, shape, &out);
        assert_int_equal(x->doc.delivery_count, 2);
        assert_string_equal(x->doc.deliveries[1].id, "to-1");
        assert_string_equal(x->doc.deliveries[1].certificate, parties[1].text);
        assert_opens(&x->doc, 0, &parties[0], 1);
        assert_opens(&x->doc, 1, &parties[1], 1);
        assert_int_equal(x->doc.deliveries[0].mac_key.mac != NULL, shape == CPIX_MAC_SHAPE_SPEKE);
    }
    buf_free(&out);
    free_party(&parties[0]);
    free_party(&parties[1]);
}

static void test_keys_and_ivs_are_made_for_one_answer_alone(void **state)
{
    struct fixture *x = *state;
    struct party p;
    struct buf out;
    unsigned char first[2 * DELIVERY_DOCUMENT_KEY_BYTES], again[2 * DELIVERY_DOCUMENT_KEY_BYTES];
    char cipher[128];
    buf_init(&out, 1 << 20);
    make_party(&p, make_rsa(2048), NULL, "one", -1, 1);
    const char *const texts[] = {p.text};
    read_with_recipients(x, texts, 1);
    deliver(x, CPIX_MAC_SHAPE_SPEKE, &out);
    assert_string_not_equal(x->doc.keys[0].encrypted.cipher, x->doc.keys[1].encrypted.cipher);
    assert_int_not_equal(
        strncmp(x->doc.keys[0].encrypted.cipher, x->doc.keys[1].encrypted.cipher, 21), 0);
    unwrap(&p, x->doc.deliveries[0].document_key.cipher, first, DELIVERY_DOCUMENT_KEY_BYTES);
    (void)snprintf(cipher, sizeof cipher, "%s", x->doc.keys[0].encrypted.cipher);
    read_with_recipients(x, texts, 1);
    deliver(x, CPIX_MAC_SHAPE_SPEKE, &out);
    unwrap(&p, x->doc.deliveries[0].document_key.cipher, again, DELIVERY_DOCUMENT_KEY_BYTES);
    assert_memory_not_equal(first, again, DELIVERY_DOCUMENT_KEY_BYTES);
    assert_string_not_equal(cipher, x->doc.keys[0].encrypted.cipher);
    buf_free(&out);
    free_party(&p);
}

static void assert_accept(struct fixture *x, const char *certificate,
                          const struct delivery_policy *policy, const char *fault)
{
    const struct certificate **recipients;
    const char *const texts[] = {certificate};
    read_with_recipients(x, texts, 1);
    const int result = delivery_accept(&x->doc, policy, &x->arena, &recipients, &x->failure);
    if (fault == NULL) {
        if (result != 0)
            fail_msg("refused: %s", x->failure.text);
        return;
    }
    assert_int_equal(result, -1);
    assert_int_equal(x->failure.status, 422);
    assert_string_equal(x->failure.text, fault);
    assert_non_null(strstr(x->failure.cause, "DeliveryDataList/DeliveryData[1], line "));
}

static void test_what_is_no_rsa_certificate_is_refused(void **state)
{
    struct fixture *x = *state;
    static const char NO_DER[] = "X509Certificate is no DER certificate";
    static const char NO_BASE64[] = "X509Certificate is not base64 of a DER certificate";
    static char edited[TEXT_MAX + 16];
    static char large[3 * CERTIFICATE_DER_MAX];
    struct party small, ec;
    make_party(&small, make_rsa(1024), NULL, "small", -1, 1);
    make_party(&ec, EVP_EC_gen("P-256"), NULL, "ec", -1, 1);
    assert_accept(x, small.text, &DELIVERY_DEFAULT_POLICY,
                  "X509Certificate has an RSA key of 1024 bits, less than 2048");
    assert_accept(x, ec.text, &DELIVERY_DEFAULT_POLICY, "X509Certificate has no RSA key");
    assert_accept(x, "", &DELIVERY_DEFAULT_POLICY, NO_BASE64);
    assert_accept(x, "MIIB*", &DELIVERY_DEFAULT_POLICY, NO_BASE64);
    assert_accept(x, "AAAA", &DELIVERY_DEFAULT_POLICY, NO_DER);
    (void)snprintf(edited, sizeof edited, "%.400s", small.text);
    assert_accept(x, edited, &DELIVERY_DEFAULT_POLICY, NO_DER);
    memset(large, 'A', sizeof large - 1);
    assert_accept(x, large, &DELIVERY_DEFAULT_POLICY, "X509Certificate is too large");
    free_party(&small);
    free_party(&ec);
}

/* The public key of these numbers, which OpenSSL takes without a look. */
static EVP_PKEY *public_key(const BIGNUM *modulus, BN_ULONG exponent)
{
    EVP_PKEY *key = NULL;
    BIGNUM *e = BN_new();
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    assert_true(e != NULL && build != NULL && ctx != NULL && BN_set_word(e, exponent) == 1);
    assert_int_equal(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus), 1);
    assert_int_equal(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e), 1);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    assert_true(params != NULL && EVP_PKEY_fromdata_init(ctx) == 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(ctx);
    BN_free(e);
    return key;
}

/* Numbers that no RSA key has: OpenSSL fails to encrypt to some, and to others encrypts so that
 * everybody or nobody can read it. */
static void test_rsa_keys_of_wrong_numbers_are_refused(void **state)
{
    static const struct {
        BN_ULONG exponent;
        bool even_modulus;
        const char *refused;
    } ROWS[] = {
        {3, false, NULL},
        {RSA_F4, true, "X509Certificate has no usable RSA key"},
        {1, false, "X509Certificate has no usable RSA key"},
        {65536, false, "X509Certificate has no usable RSA key"},
    };
    struct fixture *x = *state;
    struct party issuer;
    BIGNUM *modulus = NULL;
    make_party(&issuer, make_rsa(2048), NULL, "issuer", -1, 1);
    assert_int_equal(EVP_PKEY_get_bn_param(issuer.key, OSSL_PKEY_PARAM_RSA_N, &modulus), 1);
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct party p;
        assert_int_equal(ROWS[i].even_modulus ? BN_clear_bit(modulus, 0) : BN_set_bit(modulus, 0),
                         1);
        make_party(&p, public_key(modulus, ROWS[i].exponent), &issuer, "wrong", -1, 1);
        assert_accept(x, p.text, &DELIVERY_DEFAULT_POLICY, ROWS[i].refused);
        free_party(&p);
    }
    BN_free(modulus);
    free_party(&issuer);
}

static void test_bytes_behind_a_certificate_are_refused(void **state)
{
    struct fixture *x = *state;
    unsigned char der[TEXT_MAX];
    char text[TEXT_MAX];
    size_t n;
    struct party p;
    make_party(&p, make_rsa(2048), NULL, "one", -1, 1);
    assert_int_equal(base64_decode(p.text, strlen(p.text), der, sizeof der, &n), 0);
    der[n] = 0;
    (void)base64_encode(der, n + 1, text);
    assert_accept(x, text, &DELIVERY_DEFAULT_POLICY, "X509Certificate is no DER certificate");
    free_party(&p);
}

static void test_dates_count_when_the_policy_says_so(void **state)
{
    struct fixture *x = *state;
    struct delivery_policy dated = DELIVERY_DEFAULT_POLICY;
    struct party old, future;
    dated.check_validity = true;
    make_party(&old, make_rsa(2048), NULL, "old", -2, -1);
    make_party(&future, make_rsa(2048), NULL, "future", 1, 2);
    assert_accept(x, old.text, &DELIVERY_DEFAULT_POLICY, NULL);
    assert_accept(x, future.text, &DELIVERY_DEFAULT_POLICY, NULL);
    assert_accept(x, old.text, &dated, "X509Certificate has expired");
    assert_accept(x, future.text, &dated, "X509Certificate is not valid yet");
    free_party(&old);
    free_party(&future);
}

static void test_registered_fingerprints_and_authorities_may_receive(void **state)
{
    struct fixture *x = *state;
    static const char STRANGER[] = "X509Certificate is of no registered recipient";
    struct delivery_policy policy = DELIVERY_DEFAULT_POLICY;
    struct certificate_fingerprint fingerprint;
    struct party known, authority, vouched;
    unsigned n;
    make_party(&known, make_rsa(2048), NULL, "known", -1, 1);
    make_party(&authority, make_rsa(2048), NULL, "authority", -1, 1);
    make_party(&vouched, make_rsa(2048), &authority, "vouched", -1, 1);
    policy.registered_only = true;
    assert_accept(x, known.text, &policy, STRANGER);
    assert_int_equal(X509_digest(known.x509, EVP_sha256(), fingerprint.bytes, &n), 1);
    policy.fingerprints = &fingerprint;
    policy.fingerprint_count = 1;
    assert_accept(x, known.text, &policy, NULL);
    assert_accept(x, vouched.text, &policy, STRANGER);
    policy.authorities = X509_STORE_new();
    assert_int_equal(X509_STORE_add_cert(policy.authorities, authority.x509), 1);
    assert_accept(x, vouched.text, &policy, NULL);
    X509_STORE_free(policy.authorities);
    free_party(&known);
    free_party(&authority);
    free_party(&vouched);
}

static void test_more_certificates_than_the_cache_keeps(void **state)
{
    struct failure f = {0};
    const struct certificate *first, *other;
    struct party p;
    (void)state;
    EVP_PKEY *key = make_rsa(2048);
    make_party(&p, key, NULL, "number 0", -1, 1);
    assert_int_equal(certificate_take(p.text, &first, &f), 0);
    assert_string_equal(first->subject, "CN=number 0");
    assert_int_equal(certificate_take(p.text, &other, &f), 0);
    assert_ptr_equal(first, other);
    X509_free(p.x509);
    for (int i = 1; i <= CERTIFICATES_KEPT; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "number %d", i);
        make_party(&p, key, NULL, name, -1, 1);
        assert_int_equal(certificate_take(p.text, &other, &f), 0);
        assert_int_equal(strcmp(other->subject + 3, name), 0);
        X509_free(p.x509);
    }
    assert_string_equal(first->subject, "CN=number 64"); /* its place was the oldest */
    EVP_PKEY_free(key);
}

static void test_more_recipients_than_are_allowed(void **state)
{
    struct fixture *x = *state;
    static char list[8192];
    size_t n = (size_t)snprintf(list, sizeof list, "<cpix:DeliveryDataList>");
    for (size_t i = 0; i <= CPIX_RECIPIENTS_MOST; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "<cpix:DeliveryData/>");
    (void)snprintf(list + n, sizeof list - n, "</cpix:DeliveryDataList><cpix:ContentKeyList>");
    fixture_read(x, fixture_edit(FIXTURE_V2_0, "<cpix:ContentKeyList>", list));
    assert_int_equal(x->result, -1);
    assert_string_equal(x->failure.text, "Too many DeliveryData elements");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_vectors_of_a_wrapped_content_key),
        TEST(test_every_recipient_opens_every_key_in_every_shape),
        TEST(test_keys_and_ivs_are_made_for_one_answer_alone),
        TEST(test_what_is_no_rsa_certificate_is_refused),
        TEST(test_rsa_keys_of_wrong_numbers_are_refused),
        TEST(test_bytes_behind_a_certificate_are_refused),
        TEST(test_dates_count_when_the_policy_says_so),
        TEST(test_registered_fingerprints_and_authorities_may_receive),
        TEST(test_more_certificates_than_the_cache_keeps),
        TEST(test_more_recipients_than_are_allowed),
    };
    return cmocka_run_group_tests_name("cpix delivery", tests, NULL, NULL);
}
