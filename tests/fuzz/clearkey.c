/* SPDX-License-Identifier: Apache-2.0 */
/* Licence requests of Clear Key: refused with a reason or read whole; the licence that answers one
 * can be read, and asks for the same when it is read as a request. */
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/failure.h"
#include "fuzz.h"
#include "keystore/player.h"
#include "player/clearkey.h"

enum { LARGEST = CLEARKEY_REQUEST_MAX + 64, LICENCE_MAX = 1 << 16 };

static void check_request(const struct clearkey_request *r)
{
    MUST(r->count > 0 && r->count <= CLEARKEY_KIDS_MAX);
    MUST(strcmp(r->type, "temporary") == 0 || strcmp(r->type, "persistent-license") == 0);
    for (size_t i = 0; i < r->count; i++) {
        for (size_t j = 0; j < i; j++)
            MUST(!uuid_equal(&r->kids[i], &r->kids[j]));
    }
}

/* 16 bytes of a member of a key. */
static void take(const json_t *key, const char *name, unsigned char out[static UUID_BYTES])
{
    size_t n = 0;
    const json_t *text = json_object_get(key, name);
    MUST(json_is_string(text));
    MUST(base64url_decode(json_string_value(text), json_string_length(text), out, UUID_BYTES, &n) ==
             0 &&
         n == UUID_BYTES);
}

/* Every second key is found; each is its KID. */
static void check_licence(const struct clearkey_request *r)
{
    struct keystore_delivery_slot slots[CLEARKEY_KIDS_MAX];
    unsigned char keys[CLEARKEY_KIDS_MAX][UUID_BYTES];
    struct buf out;
    for (size_t i = 0; i < r->count; i++) {
        memcpy(keys[i], r->kids[i].bytes, UUID_BYTES);
        slots[i] = (struct keystore_delivery_slot){
            .kid = r->kids[i], .key = keys[i], .found = i % 2 == 0};
    }
    buf_init(&out, LICENCE_MAX);
    clearkey_write(slots, r->count, r->type, &out);
    MUST(buf_ok(&out));
    json_t *licence = json_loadb((const char *)out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *list = json_object_get(licence, "keys");
    MUST(json_array_size(list) == (r->count + 1) / 2);
    MUST(strcmp(json_string_value(json_object_get(licence, "type")), r->type) == 0);
    for (size_t i = 0; i < json_array_size(list); i++) {
        unsigned char kid[UUID_BYTES], key[UUID_BYTES];
        take(json_array_get(list, i), "kid", kid);
        take(json_array_get(list, i), "k", key);
        MUST(memcmp(kid, r->kids[2 * i].bytes, UUID_BYTES) == 0);
        MUST(memcmp(key, kid, UUID_BYTES) == 0);
    }
    json_decref(licence);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct clearkey_request request;
    struct failure f = {0};
    if (size > LARGEST)
        return 0;
    fuzz_setup();
    unsigned char *body = malloc(size + 1); /* its own, so that ASan sees a step too far */
    MUST(body != NULL);
    memcpy(body, data, size);
    unsigned char *exact = realloc(body, size > 0 ? size : 1);
    MUST(exact != NULL);
    if (clearkey_read(&request, exact, size, &f) == 0) {
        MUST(!failed(&f));
        check_request(&request);
        check_licence(&request);
    } else {
        MUST((f.status == 400 || f.status == 413) && f.text[0] != '\0');
    }
    free(exact);
    return 0;
}
