/* SPDX-License-Identifier: Apache-2.0 */
#include "player/token.h"

#include <cjose/cjose.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/base64.h"
#include "base/secret.h"

enum { COORDINATE_BYTES = 32, KID_MAX = 128, SIGNATURE_MAX = 64 };

/* --- memory --------------------------------------------------------------------------------- */

static void wipe_and_free(void *p)
{
    if (p == NULL)
        return;
    secret_wipe(p, malloc_usable_size(p));
    free(p);
}

static void *wiping_realloc(void *p, size_t n)
{
    void *fresh = malloc(n);
    if (fresh != NULL && p != NULL) {
        const size_t old = malloc_usable_size(p);
        memcpy(fresh, p, old < n ? old : n);
        wipe_and_free(p);
    }
    return fresh;
}

void token_setup(void)
{
    cjose_set_alloc_funcs(malloc, wiping_realloc, wipe_and_free);
    json_set_alloc_funcs(malloc, wipe_and_free);
}

/* --- taking apart --------------------------------------------------------------------------- */

bool json_is_shallow(const char *text, size_t n, unsigned depth)
{
    unsigned level = 0;
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && (text[i] == '[' || text[i] == '{') && ++level > depth)
            return false;
        else if (!quoted && (text[i] == ']' || text[i] == '}') && level > 0)
            level--;
    }
    return true;
}

/* The JSON object that a part of the token holds; NULL when it holds none. */
static json_t *read_part(const char *text, size_t n)
{
    unsigned char bytes[TOKEN_MAX];
    size_t length;
    if (base64url_decode(text, n, bytes, sizeof bytes, &length) != 0 ||
        !json_is_shallow((const char *)bytes, length, TOKEN_DEPTH_MAX))
        return NULL;
    json_t *value = json_loadb((const char *)bytes, length, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(value))
        return value;
    json_decref(value);
    return NULL;
}

/* Whether a part is base64url as it has to be, of at most so many bytes. libcjose would overlook
 * surplus bits, so that one token had several texts, and ends the process over padding in the midst
 * of a part. */
static bool is_part(const char *text, size_t n, size_t most)
{
    unsigned char bytes[TOKEN_MAX];
    size_t length;
    return n > 0 && base64url_decode(text, n, bytes, most, &length) == 0;
}

/* The parts between the dots; "crit" (RFC 7515 section 4.1.11) would change the meaning of the rest
 * in a way that nobody here knows. */
enum token_fault token_read(struct token *t, const char *text, size_t size)
{
    *t = (struct token){.text = text, .size = size};
    if (size == 0 || size > TOKEN_MAX)
        return TOKEN_MALFORMED;
    const char *first = memchr(text, '.', size);
    if (first == NULL)
        return TOKEN_MALFORMED;
    const char *end = text + size;
    const char *second = memchr(first + 1, '.', (size_t)(end - first - 1));
    if (second == NULL || !is_part(first + 1, (size_t)(second - first - 1), TOKEN_MAX) ||
        !is_part(second + 1, (size_t)(end - second - 1), SIGNATURE_MAX))
        return TOKEN_MALFORMED;
    t->header = read_part(text, (size_t)(first - text));
    if (t->header == NULL || json_object_get(t->header, "crit") != NULL)
        return TOKEN_MALFORMED;
    t->kid = json_string_value(json_object_get(t->header, "kid"));
    if (t->kid == NULL || strlen(t->kid) > KID_MAX)
        return TOKEN_UNKNOWN_KEY;
    return TOKEN_GOOD;
}

/* --- verifying ------------------------------------------------------------------------------ */

static const char *algorithm_name(enum token_algorithm algorithm)
{
    return algorithm == TOKEN_ES256 ? "ES256" : "HS256";
}

/* NULL when the key is none. with_private: the private key lies behind the point. */
static cjose_jwk_t *make_jwk(const struct token_key *key, bool with_private)
{
    cjose_err error;
    unsigned char copy[TOKEN_POINT_BYTES + COORDINATE_BYTES]; /* cjose wants it writable */
    if (key->algorithm == TOKEN_HS256)
        return cjose_jwk_create_oct_spec(key->bytes, key->size, &error);
    if (key->size != (with_private ? sizeof copy : TOKEN_POINT_BYTES) || key->bytes[0] != 4)
        return NULL;
    memcpy(copy, key->bytes, key->size);
    const cjose_jwk_ec_keyspec spec = {
        .crv = CJOSE_JWK_EC_P_256,
        .x = copy + 1,
        .xlen = COORDINATE_BYTES,
        .y = copy + 1 + COORDINATE_BYTES,
        .ylen = COORDINATE_BYTES,
        .d = with_private ? copy + TOKEN_POINT_BYTES : NULL,
        .dlen = with_private ? COORDINATE_BYTES : 0,
    };
    cjose_jwk_t *jwk = cjose_jwk_create_EC_spec(&spec, &error);
    secret_wipe(copy, sizeof copy);
    return jwk;
}

static void release(cjose_jwk_t *jwk)
{
    if (jwk != NULL)
        (void)cjose_jwk_release(jwk); /* tells whether it was the last reference */
}

void token_points_free(struct token_points *p)
{
    for (size_t i = 0; i < TOKEN_POINTS_MAX; i++)
        release(p->items[i].jwk);
    *p = (struct token_points){.next = 0};
}

/* The key of a point, remembered from now on; NULL when it is no point of the curve. */
static const cjose_jwk_t *find_point(struct token_points *p, const struct token_key *key)
{
    for (size_t i = 0; i < TOKEN_POINTS_MAX && p->items[i].jwk != NULL; i++) {
        if (memcmp(p->items[i].bytes, key->bytes, TOKEN_POINT_BYTES) == 0)
            return p->items[i].jwk;
    }
    cjose_jwk_t *jwk = make_jwk(key, false);
    if (jwk == NULL)
        return NULL;
    struct token_point *place = &p->items[p->next];
    p->next = (p->next + 1) % TOKEN_POINTS_MAX;
    release(place->jwk);
    memcpy(place->bytes, key->bytes, TOKEN_POINT_BYTES);
    place->jwk = jwk;
    return jwk;
}

static bool is_signed_with(cjose_jws_t *jws, const struct token_key *key,
                           struct token_points *points)
{
    cjose_err error;
    if (points != NULL && key->algorithm == TOKEN_ES256) {
        const cjose_jwk_t *known = key->size == TOKEN_POINT_BYTES ? find_point(points, key) : NULL;
        return known != NULL && cjose_jws_verify(jws, known, &error);
    }
    cjose_jwk_t *jwk = make_jwk(key, false);
    const bool good = jwk != NULL && cjose_jws_verify(jws, jwk, &error);
    release(jwk);
    return good;
}

/* The claims of the bytes that were verified. */
static json_t *verified_claims(const cjose_jws_t *jws)
{
    cjose_err error;
    uint8_t *plain;
    size_t n;
    if (!cjose_jws_get_plaintext(jws, &plain, &n, &error) ||
        !json_is_shallow((const char *)plain, n, TOKEN_DEPTH_MAX))
        return NULL;
    json_t *value = json_loadb((const char *)plain, n, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(value))
        return value;
    json_decref(value);
    return NULL;
}

enum token_fault token_verify(struct token *t, const struct token_key *key,
                              struct token_points *points)
{
    cjose_err error;
    const char *says = json_string_value(json_object_get(t->header, "alg"));
    if (says == NULL || strcmp(says, algorithm_name(key->algorithm)) != 0)
        return TOKEN_WRONG_ALGORITHM;
    cjose_jws_t *jws = cjose_jws_import(t->text, t->size, &error);
    if (jws == NULL)
        return TOKEN_MALFORMED;
    enum token_fault fault = TOKEN_WRONG_SIGNATURE;
    if (is_signed_with(jws, key, points)) {
        t->claims = verified_claims(jws);
        fault = t->claims != NULL ? TOKEN_GOOD : TOKEN_MALFORMED;
    }
    cjose_jws_release(jws);
    return fault;
}

void token_end(struct token *t)
{
    json_decref(t->header);
    json_decref(t->claims);
    t->header = t->claims = NULL;
}

/* --- judging -------------------------------------------------------------------------------- */

static bool is_time(const json_t *value, double *out)
{
    if (!json_is_number(value))
        return false;
    *out = json_number_value(value);
    return true;
}

static enum token_fault judge_times(const struct token *t, const struct token_circumstances *where)
{
    double time;
    const json_t *expires = json_object_get(t->claims, "exp");
    const json_t *begins = json_object_get(t->claims, "nbf");
    const double now = (double)where->now, leeway = (double)where->leeway;
    if (expires == NULL)
        return TOKEN_UNBOUND;
    if (!is_time(expires, &time))
        return TOKEN_MALFORMED;
    if (!(now < time + leeway))
        return TOKEN_EXPIRED;
    if (begins == NULL)
        return TOKEN_GOOD;
    if (!is_time(begins, &time))
        return TOKEN_MALFORMED;
    return now >= time - leeway ? TOKEN_GOOD : TOKEN_NOT_YET;
}

/* The claim's elements: of an array each, of anything else itself; NULL at the end. */
static const json_t *element(const json_t *claim, size_t i)
{
    if (json_is_array(claim))
        return json_array_get(claim, i);
    return i == 0 ? claim : NULL;
}

static enum token_fault take_contents(struct token *t)
{
    const json_t *claim = json_object_get(t->claims, "content_id"), *item;
    while ((item = element(claim, t->content_count)) != NULL) {
        const char *text = json_string_value(item);
        if (text == NULL || text[0] == '\0' || t->content_count == TOKEN_CONTENTS_MAX ||
            segment_name_digest(text, t->contents[t->content_count]) != 0)
            return TOKEN_MALFORMED;
        t->content_count++;
    }
    return claim != NULL && t->content_count == 0 ? TOKEN_MALFORMED : TOKEN_GOOD;
}

static enum token_fault take_kids(struct token *t)
{
    const json_t *claim = json_object_get(t->claims, "kids"), *item;
    if (claim != NULL && !json_is_array(claim))
        return TOKEN_MALFORMED;
    while ((item = element(claim, t->kid_count)) != NULL) {
        const char *text = json_string_value(item);
        if (text == NULL || t->kid_count == TOKEN_KIDS_MAX ||
            uuid_parse(text, &t->kids[t->kid_count]) != 0)
            return TOKEN_MALFORMED;
        t->kid_count++;
    }
    return claim != NULL && t->kid_count == 0 ? TOKEN_MALFORMED : TOKEN_GOOD;
}

/* A text that may be absent. */
static enum token_fault take_text(const struct token *t, const char *name, const char **out)
{
    const json_t *claim = json_object_get(t->claims, name);
    *out = json_string_value(claim);
    return claim == NULL || (*out != NULL && strlen(*out) <= TOKEN_TEXT_MAX) ? TOKEN_GOOD
                                                                             : TOKEN_MALFORMED;
}

/* Addresses are compared as such: "::1" is "0:0:0:0:0:0:0:1". */
static bool is_same_address(const char *a, const char *b)
{
    unsigned char first[ADDRESS_BYTES], second[ADDRESS_BYTES];
    return address_parse(a, first) == 0 && address_parse(b, second) == 0 &&
           memcmp(first, second, sizeof first) == 0;
}

static enum token_fault judge_place(const struct token *t, const struct token_circumstances *where)
{
    const char *address, *device;
    if (take_text(t, "ip", &address) != TOKEN_GOOD || take_text(t, "device", &device) != TOKEN_GOOD)
        return TOKEN_MALFORMED;
    if (address != NULL && !is_same_address(address, where->remote_addr))
        return TOKEN_OTHER_ADDRESS;
    if (device != NULL && (where->device == NULL || strcmp(device, where->device) != 0))
        return TOKEN_OTHER_DEVICE;
    return TOKEN_GOOD;
}

enum token_fault token_judge(struct token *t, const struct token_circumstances *where)
{
    enum token_fault fault = judge_times(t, where);
    if (fault == TOKEN_GOOD)
        fault = take_contents(t);
    if (fault == TOKEN_GOOD)
        fault = take_kids(t);
    if (fault == TOKEN_GOOD)
        fault = take_text(t, "sub", &t->subject);
    if (fault == TOKEN_GOOD)
        fault = take_text(t, "jti", &t->id);
    if (fault != TOKEN_GOOD)
        return fault;
    if (t->content_count == 0 && t->kid_count == 0)
        return TOKEN_UNBOUND;
    return judge_place(t, where);
}

bool token_has_content(const struct token *t, const unsigned char *digest)
{
    for (size_t i = 0; i < t->content_count; i++) {
        if (memcmp(t->contents[i], digest, SEGMENT_DIGEST_BYTES) == 0)
            return true;
    }
    return t->content_count == 0;
}

bool token_has_kid(const struct token *t, const struct uuid *kid)
{
    for (size_t i = 0; i < t->kid_count; i++) {
        if (uuid_equal(&t->kids[i], kid))
            return true;
    }
    return t->kid_count == 0;
}

/* --- signing -------------------------------------------------------------------------------- */

static cjose_jws_t *sign(const cjose_jwk_t *jwk, const struct token_key *key, const char *kid,
                         const char *claims)
{
    cjose_err error;
    cjose_jws_t *jws = NULL;
    cjose_header_t *header = cjose_header_new(&error);
    if (header != NULL &&
        cjose_header_set(header, CJOSE_HDR_ALG, algorithm_name(key->algorithm), &error) &&
        cjose_header_set(header, CJOSE_HDR_KID, kid, &error) &&
        cjose_header_set(header, "typ", "JWT", &error))
        jws = cjose_jws_sign(jwk, header, (const uint8_t *)claims, strlen(claims), &error);
    if (header != NULL)
        cjose_header_release(header);
    return jws;
}

char *token_sign(const struct token_key *key, const char *kid, const char *claims)
{
    cjose_err error;
    const char *text;
    char *copy = NULL;
    cjose_jwk_t *jwk = make_jwk(key, true);
    cjose_jws_t *jws = jwk != NULL ? sign(jwk, key, kid, claims) : NULL;
    if (jws != NULL && cjose_jws_export(jws, &text, &error))
        copy = strdup(text);
    if (jws != NULL)
        cjose_jws_release(jws);
    release(jwk);
    return copy;
}
