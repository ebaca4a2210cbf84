/* SPDX-License-Identifier: Apache-2.0 */
/* What players bring as tokens. The input is a token; or, where it begins with a brace, a header in
 * its first line and behind it claims, which are signed here, so that they come to be judged. */
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <string.h>

#include "base/base64.h"
#include "fuzz.h"
#include "player/token.h"

enum { LARGEST = 3 * TOKEN_MAX, NOW = 1800000000, LEEWAY = 30, SECRET_BYTES = 32, MAC_BYTES = 32 };

static const unsigned char SECRET[SECRET_BYTES + 1] = "ssssssssssssssssssssssssssssssss";
/* The public key of RFC 7515 appendix A.3. */
static const unsigned char POINT[] = {
    0x04, 0x7f, 0xcd, 0xce, 0x27, 0x70, 0xf6, 0xc4, 0x5d, 0x41, 0x83, 0xcb, 0xee,
    0x6f, 0xdb, 0x4b, 0x7b, 0x58, 0x07, 0x33, 0x35, 0x7b, 0xe9, 0xef, 0x13, 0xba,
    0xcf, 0x6e, 0x3c, 0x7b, 0xd1, 0x54, 0x45, 0xc7, 0xf1, 0x44, 0xcd, 0x1b, 0xbd,
    0x9b, 0x7e, 0x87, 0x2c, 0xdf, 0xed, 0xb9, 0xee, 0xb9, 0xf4, 0xb3, 0x69, 0x5d,
    0x6e, 0xa9, 0x0b, 0x24, 0xad, 0x8a, 0x46, 0x23, 0x28, 0x85, 0x88, 0xe5, 0xad};

/* The MAC by OpenSSL alone, as base64url. */
static void mac_of(const char *text, size_t n, char out[static BASE64_SIZE(MAC_BYTES)])
{
    unsigned char mac[MAC_BYTES];
    unsigned size = 0;
    MUST(HMAC(EVP_sha256(), SECRET, SECRET_BYTES, (const unsigned char *)text, n, mac, &size) !=
         NULL);
    MUST(size == MAC_BYTES);
    (void)base64url_encode(mac, MAC_BYTES, out); /* the length is known */
}

/* A token from its header and claims. The caller frees it. */
static char *assemble(const char *header, size_t header_size, const char *claims,
                      size_t claims_size)
{
    const size_t most = BASE64_SIZE(header_size) + BASE64_SIZE(claims_size) +
                        BASE64_SIZE(MAC_BYTES) + 3;
    char *text = malloc(most);
    MUST(text != NULL);
    size_t n = base64url_encode(header, header_size, text);
    text[n++] = '.';
    n += base64url_encode(claims, claims_size, text + n);
    mac_of(text, n, text + n + 1);
    text[n] = '.';
    return text;
}

/* What verifies was said to be of this algorithm, by this key, and nobody else signed it. */
static void check_verified(const struct token *t, bool shared)
{
    char mac[BASE64_SIZE(MAC_BYTES)];
    const char *end = t->text + t->size;
    const char *dot = memrchr(t->text, '.', t->size);
    const char *says = json_string_value(json_object_get(t->header, "alg"));
    MUST(dot != NULL && says != NULL && strcmp(says, shared ? "HS256" : "ES256") == 0);
    MUST(json_object_get(t->header, "crit") == NULL && json_is_object(t->claims));
    MUST(t->size <= TOKEN_MAX);
    if (!shared)
        return;
    mac_of(t->text, (size_t)(dot - t->text), mac);
    MUST(strlen(mac) == (size_t)(end - dot - 1) && memcmp(dot + 1, mac, strlen(mac)) == 0);
}

/* What is good is bound to something, and its time has come and not gone. */
static void check_good(const struct token *t)
{
    const json_t *begins = json_object_get(t->claims, "nbf");
    const json_t *address = json_object_get(t->claims, "ip");
    MUST(t->content_count + t->kid_count > 0);
    MUST(t->content_count <= TOKEN_CONTENTS_MAX && t->kid_count <= TOKEN_KIDS_MAX);
    MUST(json_number_value(json_object_get(t->claims, "exp")) > NOW - LEEWAY);
    MUST(begins == NULL || json_number_value(begins) <= NOW + LEEWAY);
    MUST(address == NULL || strcmp(json_string_value(address), "192.0.2.1") == 0);
    MUST(t->subject == NULL || strlen(t->subject) <= TOKEN_TEXT_MAX);
    MUST(t->id == NULL || strlen(t->id) <= TOKEN_TEXT_MAX);
    for (size_t i = 0; i < t->content_count; i++)
        MUST(token_has_content(t, t->contents[i]));
    for (size_t i = 0; i < t->kid_count; i++)
        MUST(token_has_kid(t, &t->kids[i]));
}

static void try_token(const char *text, size_t size)
{
    static const struct token_circumstances WHERE = {NOW, LEEWAY, "192.0.2.1", "tv"};
    static struct token_points points;
    static const struct token_key KEYS[] = {{TOKEN_HS256, SECRET, SECRET_BYTES},
                                            {TOKEN_ES256, POINT, sizeof POINT}};
    for (int i = 0; i < 2; i++) {
        struct token t;
        enum token_fault fault = token_read(&t, text, size);
        MUST(fault == TOKEN_GOOD || fault == TOKEN_MALFORMED || fault == TOKEN_UNKNOWN_KEY);
        if (fault == TOKEN_GOOD) {
            MUST(t.kid != NULL);
            fault = token_verify(&t, &KEYS[i], i == 0 ? NULL : &points);
            MUST(fault <= TOKEN_WRONG_SIGNATURE);
        }
        if (fault == TOKEN_GOOD) {
            check_verified(&t, KEYS[i].algorithm == TOKEN_HS256);
            fault = token_judge(&t, &WHERE);
            MUST(fault != TOKEN_WRONG_ALGORITHM && fault != TOKEN_WRONG_SIGNATURE);
        }
        if (fault == TOKEN_GOOD)
            check_good(&t);
        token_end(&t);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    if (size > LARGEST)
        return 0;
    fuzz_setup();
    if (!ready)
        token_setup();
    ready = true;
    const uint8_t *end = size > 0 && data[0] == '{' ? memchr(data, '\n', size) : NULL;
    char *text;
    if (end != NULL) {
        const size_t n = (size_t)(end - data);
        text = assemble((const char *)data, n, (const char *)end + 1, size - n - 1);
        size = strlen(text);
    } else {
        text = malloc(size + 1);
        MUST(text != NULL);
        memcpy(text, data, size);
    }
    try_token(text, size);
    free(text);
    return 0;
}
