/* SPDX-License-Identifier: Apache-2.0 */
/* An encrypted answer as a recipient opens it. The first byte of the input says what becomes of the
 * document behind it:
 *   0  it is opened as it came: nobody can make a ValueMAC without the MAC key, so what opens is
 *      what the seeds hold;
 *   1  each content key gets a ValueMAC that is right for its CipherValue, whatever that is, so
 * that what only a right MAC protects is reached as well; 2  it is a request, which is answered for
 * its recipients and opened again. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/failure.h"
#include "cpix/cpix.h"
#include "cpix/delivery.h"
#include "ctl/describe.h"
#include "ctl/lint.h"
#include "ctl/open.h"
#include "fuzz.h"
#include "open_recipient.h"

enum { LARGEST = 1 << 17, ARENA_MAX = 64 << 20, WAYS = 3, KEYS_MOST = 8, WHY_SIZE = 256 };
enum { RSA_BITS = 1024, WRITTEN_MAX = 1 << 22, SEED_KEYS = 2 };

static struct arena arena;

/* The content keys of the seeds are the bytes 00 to 0f and 10 to 1f, the document key 20 to 3f, the
 * MAC key 40 to 7f. */
static void ascending(unsigned char first, unsigned char *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (unsigned char)(first + i);
}

static EVP_PKEY *recipient_key(void)
{
    static EVP_PKEY *key;
    unsigned char der[sizeof RECIPIENT_KEY];
    const unsigned char *p = der;
    size_t n;
    if (key != NULL)
        return key;
    MUST(base64_decode(RECIPIENT_KEY, strlen(RECIPIENT_KEY), der, sizeof der, &n) == 0);
    key = d2i_PrivateKey(EVP_PKEY_RSA, NULL, &p, (long)n);
    MUST(key != NULL);
    return key;
}

/* Bytes of a base64 text, in the arena; NULL when it is none. */
static unsigned char *decoded(const char *text, size_t *n)
{
    const size_t room = strlen(text) + 1;
    unsigned char *out = arena_alloc(&arena, room);
    MUST(out != NULL);
    return base64_decode(text, strlen(text), out, room, n) == 0 ? out : NULL;
}

static void put_right_macs(struct cpix_document *doc)
{
    unsigned char key[DELIVERY_MAC_KEY_BYTES], mac[DELIVERY_MAC_BYTES];
    ascending(0x40, key, sizeof key);
    for (size_t i = 0; i < doc->key_count; i++) {
        struct cpix_wrapped *w = &doc->keys[i].encrypted;
        size_t n;
        const unsigned char *cipher = w->cipher != NULL ? decoded(w->cipher, &n) : NULL;
        char *text = arena_alloc(&arena, BASE64_SIZE(sizeof mac));
        if (cipher == NULL)
            continue;
        MUST(text != NULL && HMAC(EVP_sha512(), key, sizeof key, cipher, n, mac, NULL) != NULL);
        (void)base64_encode(mac, sizeof mac, text); /* the length is known */
        w->mac = text;
    }
    for (size_t i = 0; i < doc->delivery_count; i++) {
        doc->deliveries[i].document_key.mac = NULL;
        doc->deliveries[i].mac_key.mac = NULL;
    }
}

/* --- What was opened ------------------------------------------------------------------------ */

static void must_be_a_seeds(const unsigned char *key)
{
    unsigned char known[CPIX_KEY_BYTES];
    bool found = false;
    for (unsigned i = 0; i < SEED_KEYS; i++) {
        ascending((unsigned char)(i * CPIX_KEY_BYTES), known, sizeof known);
        found = found || memcmp(key, known, sizeof known) == 0;
    }
    MUST(found);
}

/* Block by block, without OpenSSL's idea of padding. */
static void must_be_decrypted(const struct cpix_content_key *key)
{
    unsigned char document_key[DELIVERY_DOCUMENT_KEY_BYTES], plain[DELIVERY_CIPHER_BYTES];
    size_t n;
    int len = 0;
    const unsigned char *cipher = decoded(key->encrypted.cipher, &n);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    MUST(cipher != NULL && n == DELIVERY_CIPHER_BYTES && ctx != NULL);
    ascending(0x20, document_key, sizeof document_key);
    MUST(EVP_DecryptInit_ex(ctx, EVP_aes_256_cbc(), NULL, document_key, cipher) == 1);
    MUST(EVP_CIPHER_CTX_set_padding(ctx, 0) == 1);
    MUST(EVP_DecryptUpdate(ctx, plain, &len, cipher + CPIX_IV_BYTES, (int)n - CPIX_IV_BYTES) == 1);
    MUST(len == 2 * CPIX_KEY_BYTES && memcmp(plain, key->key, CPIX_KEY_BYTES) == 0);
    for (int i = CPIX_KEY_BYTES; i < len; i++)
        MUST(plain[i] == CPIX_KEY_BYTES);
    EVP_CIPHER_CTX_free(ctx);
}

static void describe(const struct cpix_document *doc, const struct opened *opened)
{
    json_t *told = answer_describe(doc, lint_guess_version(doc), &arena, true, NULL);
    MUST(told != NULL && answer_describe_opened(opened, told) == 0);
    json_decref(told);
}

static void open_hostile(struct cpix_document *doc, bool signed_here)
{
    struct opened opened;
    char why[WHY_SIZE] = "";
    if (signed_here)
        put_right_macs(doc);
    const int result = open_document(doc, recipient_key(), &arena, &opened, why, sizeof why);
    if (result != 0) {
        MUST(why[0] != '\0' && opened.keys == NULL && opened.macs == 0);
        for (size_t i = 0; i < doc->key_count; i++)
            MUST(doc->keys[i].key == NULL);
        return;
    }
    MUST(opened.delivery < doc->delivery_count && opened.macs >= doc->key_count);
    for (size_t i = 0; i < doc->key_count; i++) {
        MUST(doc->keys[i].key != NULL);
        if (signed_here)
            must_be_decrypted(&doc->keys[i]);
        else
            must_be_a_seeds(doc->keys[i].key);
    }
    describe(doc, &opened);
    opened_free(&opened, doc);
    for (size_t i = 0; i < doc->key_count; i++)
        MUST(doc->keys[i].key == NULL);
}

/* --- A request ------------------------------------------------------------------------------ */

static bool is_ours(const struct certificate *const *recipients, size_t count)
{
    bool ours = false;
    for (size_t i = 0; i < count; i++)
        ours = ours || EVP_PKEY_eq(X509_get0_pubkey(recipients[i]->x509), recipient_key()) == 1;
    return ours;
}

static void open_again(const struct buf *xml, bool ours, const unsigned char *key)
{
    const struct cpix_limits limits = fuzz_wide_limits();
    struct cpix_document doc = {0};
    struct failure f = {0};
    struct opened opened;
    char why[WHY_SIZE];
    MUST(cpix_read(xml->data, xml->len, &limits, &arena, &doc, &f) == 0);
    const int result = open_document(&doc, recipient_key(), &arena, &opened, why, sizeof why);
    MUST(result == (ours ? 0 : -1));
    for (size_t i = 0; result == 0 && i < doc.key_count; i++)
        MUST(memcmp(doc.keys[i].key, key, CPIX_KEY_BYTES) == 0);
    opened_free(&opened, &doc);
}

static void answer_request(struct cpix_document *doc)
{
    static const unsigned char KEY[CPIX_KEY_BYTES] = "sixteen bytes ..";
    struct delivery_policy policy = DELIVERY_DEFAULT_POLICY;
    const struct certificate **recipients;
    struct failure f = {0};
    struct buf xml;
    policy.min_rsa_bits = RSA_BITS;
    if (doc->key_count == 0 || doc->key_count > KEYS_MOST || doc->delivery_count == 0)
        return;
    if (delivery_accept(doc, &policy, &arena, &recipients, &f) != 0) {
        MUST(f.status == 422 && f.text[0] != '\0');
        return;
    }
    const enum cpix_mac_shape shape = (enum cpix_mac_shape)(doc->key_count % 3);
    for (size_t i = 0; i < doc->key_count; i++)
        doc->keys[i].key = KEY;
    MUST(delivery_encrypt(doc, recipients, shape, &arena, &f) == 0);
    buf_init(&xml, WRITTEN_MAX);
    doc->version = SPEKE_V2_0;
    cpix_write(doc, &xml);
    MUST(buf_ok(&xml));
    open_again(&xml, is_ours(recipients, doc->delivery_count), KEY);
    buf_free(&xml);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cpix_document doc = {0};
    struct failure f = {0};
    if (size == 0 || size > LARGEST)
        return 0;
    fuzz_setup();
    if (arena.max == 0)
        arena_init(&arena, ARENA_MAX);
    const unsigned way = data[0] % WAYS;
    if (cpix_read(data + 1, size - 1, &CPIX_DEFAULT_LIMITS, &arena, &doc, &f) == 0) {
        if (way == 2)
            answer_request(&doc);
        else
            open_hostile(&doc, way == 1);
    }
    certificate_forget_all();
    arena_reset(&arena);
    return 0;
}
