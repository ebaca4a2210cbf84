/* SPDX-License-Identifier: Apache-2.0 */
/* What a recipient opens of an encrypted document, and what it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/failure.h"
#include "base/secret.h"
#include "cpix/delivery.h"
#include "ctl/describe.h"
#include "ctl/open.h"
#include "ctl/request.h"

#include <cmocka.h> /* after base/failure.h, as it makes a macro of "fail" */

enum { ARENA_SIZE = 1 << 22, DOCUMENT_MAX = 1 << 16, KEY_COUNT = 3, PARTIES = 2 };

static struct arena arena;
static struct recipient parties[PARTIES], stranger;
static unsigned char *keys; /* KEY_COUNT of them, on the secure heap */

static const char *const KIDS[KEY_COUNT] = {"5c0f7a3e-1b2d-4e6f-8a90-b1c2d3e4f506",
                                            "e2b7d1c4-0a39-4f58-9d6c-77a1b2c3d4e5",
                                            "00000000-0000-0000-0000-000000000001"};

static int set_up(void **state)
{
    struct failure f = {0};
    char why[128];
    (void)state;
    cpix_setup();
    arena_init(&arena, ARENA_SIZE);
    if (secret_setup(1 << 18, &f) != 0)
        return -1;
    keys = secret_alloc((size_t)KEY_COUNT * CPIX_KEY_BYTES);
    for (size_t i = 0; i < (size_t)KEY_COUNT * CPIX_KEY_BYTES; i++)
        keys[i] = (unsigned char)(i + 1);
    for (size_t i = 0; i < PARTIES; i++) {
        if (recipient_make(&parties[i], why, sizeof why) != 0)
            return -1;
    }
    return recipient_make(&stranger, why, sizeof why);
}

static int tear_down(void **state)
{
    (void)state;
    secret_free(keys, (size_t)KEY_COUNT * CPIX_KEY_BYTES);
    for (size_t i = 0; i < PARTIES; i++)
        recipient_free(&parties[i]);
    recipient_free(&stranger);
    certificate_forget_all();
    arena_free(&arena);
    return 0;
}

/* An answer encrypted for all parties as it is read from the wire. */
static void make_document(enum cpix_mac_shape shape, struct cpix_document *got)
{
    struct cpix_content_key content[KEY_COUNT] = {{0}};
    struct cpix_delivery deliveries[PARTIES] = {{0}};
    struct cpix_document doc = {.version = SPEKE_V2_0,
                                .content_id = "movie",
                                .version_text = "2.3",
                                .keys = content,
                                .key_count = KEY_COUNT,
                                .deliveries = deliveries,
                                .delivery_count = PARTIES};
    const struct certificate **recipients;
    struct failure f = {0};
    struct buf xml;
    for (size_t i = 0; i < KEY_COUNT; i++)
        content[i] = (struct cpix_content_key){.kid_text = KIDS[i],
                                               .key = keys + i * CPIX_KEY_BYTES};
    for (size_t i = 0; i < PARTIES; i++)
        deliveries[i].certificate = parties[i].certificate;
    assert_int_equal(delivery_accept(&doc, &DELIVERY_DEFAULT_POLICY, &arena, &recipients, &f), 0);
    assert_int_equal(delivery_encrypt(&doc, recipients, shape, &arena, &f), 0);
    buf_init(&xml, DOCUMENT_MAX);
    cpix_write(&doc, &xml);
    assert_true(buf_ok(&xml));
    assert_int_equal(cpix_read(xml.data, xml.len, &CPIX_DEFAULT_LIMITS, &arena, got, &f), 0);
    buf_free(&xml);
}

static void test_every_recipient_opens_every_shape(void **state)
{
    char why[256];
    (void)state;
    for (int shape = CPIX_MAC_SHAPE_SPEKE; shape <= CPIX_MAC_SHAPE_PSKC; shape++) {
        for (size_t party = 0; party < PARTIES; party++) {
            struct cpix_document doc;
            struct opened opened;
            const size_t macs = KEY_COUNT + (shape == CPIX_MAC_SHAPE_SPEKE ? 2 : 1);
            print_message("  shape %d, recipient %zu\n", shape, party);
            make_document((enum cpix_mac_shape)shape, &doc);
            assert_int_equal(
                open_document(&doc, parties[party].key, &arena, &opened, why, sizeof why), 0);
            assert_int_equal(opened.delivery, party);
            assert_int_equal(opened.macs, macs);
            assert_true(CRYPTO_secure_allocated(opened.keys));
            for (size_t i = 0; i < KEY_COUNT; i++)
                assert_memory_equal(doc.keys[i].key, keys + i * CPIX_KEY_BYTES, CPIX_KEY_BYTES);
            opened_free(&opened, &doc);
            assert_null(doc.keys[0].key);
            arena_reset(&arena);
        }
    }
}

/* Ways to spoil a document, and what is said of it. */
static void drop_content_mac(struct cpix_document *doc)
{
    doc->keys[2].encrypted.mac = NULL;
}
static void drop_cipher(struct cpix_document *doc)
{
    doc->keys[1].encrypted.cipher = NULL;
}
static void swap_keys(struct cpix_document *doc)
{
    const char *mac = doc->keys[0].encrypted.mac;
    doc->keys[0].encrypted.mac = doc->keys[1].encrypted.mac;
    doc->keys[1].encrypted.mac = mac;
}
static void shorten_mac(struct cpix_document *doc)
{
    doc->keys[0].encrypted.mac = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
}
static void spoil_base64(struct cpix_document *doc)
{
    doc->keys[0].encrypted.cipher = "no base64!";
}
static void swap_rsa(struct cpix_document *doc)
{
    const struct cpix_wrapped document_key = doc->deliveries[0].document_key;
    doc->deliveries[0].document_key = doc->deliveries[0].mac_key;
    doc->deliveries[0].mac_key = document_key;
}
static void drop_mac_method(struct cpix_document *doc)
{
    doc->deliveries[0].mac_key = (struct cpix_wrapped){0};
}
static void drop_deliveries(struct cpix_document *doc)
{
    doc->delivery_count = 0;
}
static void drop_certificate(struct cpix_document *doc)
{
    doc->deliveries[0].certificate = NULL;
}
static void huge_rsa(struct cpix_document *doc)
{
    char *text = arena_alloc(&arena, 8001);
    memset(text, 'A', 8000);
    doc->deliveries[0].document_key.cipher = text;
}

static void test_nothing_is_opened_of_a_spoilt_document(void **state)
{
    static const struct {
        const char *name;
        void (*spoil)(struct cpix_document *doc);
        const char *words;
    } CASES[] = {
        {"a content key without MAC", drop_content_mac, "no ValueMAC came"},
        {"a content key without cipher", drop_cipher, "no EncryptedValue came"},
        {"MACs of two keys swapped", swap_keys, "the ValueMAC is wrong"},
        {"a MAC of 32 bytes", shorten_mac, "the ValueMAC is wrong"},
        {"no base64", spoil_base64, "the ValueMAC is wrong"},
        {"document key and MAC key swapped", swap_rsa, "DocumentKey holds no key of 32 bytes"},
        {"no MACMethod", drop_mac_method, "MACMethod holds no key of 64 bytes"},
        {"no recipient", drop_deliveries, "no DeliveryData"},
        {"no certificate", drop_certificate, "no DeliveryData is for this private key"},
        {"6000 bytes of RSA", huge_rsa, "DocumentKey holds no key"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct cpix_document doc;
        struct opened opened;
        char why[256] = "";
        print_message("  %s\n", CASES[i].name);
        make_document(CPIX_MAC_SHAPE_SPEKE, &doc);
        CASES[i].spoil(&doc);
        assert_int_equal(open_document(&doc, parties[0].key, &arena, &opened, why, sizeof why), -1);
        assert_non_null(strstr(why, CASES[i].words));
        assert_null(opened.keys);
        for (size_t k = 0; k < KEY_COUNT; k++)
            assert_null(doc.keys[k].key);
        arena_reset(&arena);
    }
}

static void test_a_stranger_opens_nothing(void **state)
{
    struct cpix_document doc;
    struct opened opened;
    char why[256];
    (void)state;
    make_document(CPIX_MAC_SHAPE_SPEKE, &doc);
    assert_int_equal(open_document(&doc, stranger.key, &arena, &opened, why, sizeof why), -1);
    /* Not even where the certificate says that it is meant. */
    doc.deliveries[1].certificate = stranger.certificate;
    assert_int_equal(open_document(&doc, stranger.key, &arena, &opened, why, sizeof why), -1);
    assert_non_null(strstr(why, "DocumentKey holds no key"));
    arena_reset(&arena);
}

static void test_opened_keys_are_described_as_clear_ones_are(void **state)
{
    struct cpix_document doc;
    struct opened opened;
    char why[256];
    (void)state;
    make_document(CPIX_MAC_SHAPE_SPEKE, &doc);
    assert_int_equal(open_document(&doc, parties[0].key, &arena, &opened, why, sizeof why), 0);
    for (int reveal = 0; reveal <= 1; reveal++) {
        json_t *d = answer_describe(&doc, SPEKE_V2_0, &arena, reveal == 1, NULL);
        const json_t *key = json_array_get(json_object_get(d, "keys"), 0);
        const char *hex = json_string_value(json_object_get(key, "key_hex"));
        assert_int_equal(answer_describe_opened(&opened, d), 0);
        assert_int_equal(json_string_length(json_object_get(key, "fingerprint")), 16);
        assert_true(json_is_true(json_object_get(key, "encrypted")));
        if (reveal == 0)
            assert_null(hex);
        else
            assert_string_equal(hex, "0102030405060708090a0b0c0d0e0f10");
        json_decref(d);
    }
    opened_free(&opened, &doc);
    arena_reset(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_recipient_opens_every_shape),
        cmocka_unit_test(test_nothing_is_opened_of_a_spoilt_document),
        cmocka_unit_test(test_a_stranger_opens_nothing),
        cmocka_unit_test(test_opened_keys_are_described_as_clear_ones_are),
    };
    return cmocka_run_group_tests_name("ctl_open", tests, set_up, tear_down);
}
