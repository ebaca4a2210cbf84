/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates of recipients: what begins as DER does is encoded first, so that its bytes are the
 * ones that change; anything else is the text of X509Certificate. */
#include "cpix/certificate.h"

#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/failure.h"
#include "cpix/delivery.h"
#include "fuzz.h"

enum { ARENA_MAX = 1 << 20, DER_SEQUENCE = 0x30 };

static const unsigned char SECRET[DELIVERY_MAC_KEY_BYTES] = {1, 2, 3};

static char *certificate_text(const uint8_t *data, size_t size)
{
    if (size == 0 || data[0] != DER_SEQUENCE)
        return fuzz_text(data, size);
    char *text = malloc(BASE64_SIZE(size));
    MUST(text != NULL);
    (void)base64_encode(data, size, text); /* its length is of no use here */
    return text;
}

static void encrypt(const struct certificate *c)
{
    struct failure f = {0};
    unsigned char out[CERTIFICATE_RSA_BITS_MAX / 8];
    MUST(c->modulus_bytes <= sizeof out);
    MUST(memchr(c->subject, '\0', sizeof c->subject) != NULL);
    (void)certificate_validity(c, 1800000000); /* any of its answers will do */
    if (c->bits >= DELIVERY_DEFAULT_POLICY.min_rsa_bits)
        MUST(certificate_encrypt(c, SECRET, sizeof SECRET, out, &f) == 0);
}

/* The recipient in a document, for tenants of different strictness. */
static void accept(const char *text)
{
    static struct arena arena;
    static X509_STORE *nobody;
    struct cpix_delivery delivery = {.certificate = text};
    const struct cpix_document doc = {.deliveries = &delivery, .delivery_count = 1};
    const struct certificate **recipients;
    if (arena.max == 0)
        arena_init(&arena, ARENA_MAX);
    if (nobody == NULL)
        nobody = X509_STORE_new();
    MUST(nobody != NULL);
    for (int strictness = 0; strictness < 2; strictness++) {
        struct delivery_policy policy = DELIVERY_DEFAULT_POLICY;
        struct failure f = {0};
        policy.check_validity = strictness > 0;
        policy.registered_only = strictness > 0;
        policy.authorities = strictness > 0 ? nobody : NULL;
        const int result = delivery_accept(&doc, &policy, &arena, &recipients, &f);
        if (result != 0)
            MUST(f.status == 422 && f.text[0] != '\0');
        else
            MUST(strictness == 0 && recipients[0]->bits >= policy.min_rsa_bits);
    }
    arena_reset(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct certificate *c, *again;
    struct failure f = {0};
    fuzz_setup();
    char *text = certificate_text(data, size);
    if (certificate_take(text, &c, &f) == 0) {
        MUST(certificate_take(text, &again, &f) == 0 && again == c);
        encrypt(c);
    } else {
        MUST(f.status == 422 && f.text[0] != '\0');
    }
    accept(text);
    certificate_forget_all();
    free(text);
    return 0;
}
