/* SPDX-License-Identifier: Apache-2.0 */
#include "player/clearkey.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/failure.h"
#include "base/secret.h"
#include "keystore/player.h"
#include "player/token.h"

enum { REQUEST_DEPTH_MAX = 4 };

static int malformed(struct failure *f, const char *what)
{
    return fail(f, 400, "Malformed licence request: %s", what);
}

static bool has_kid(const struct clearkey_request *r, const struct uuid *kid)
{
    for (size_t i = 0; i < r->count; i++) {
        if (uuid_equal(&r->kids[i], kid))
            return true;
    }
    return false;
}

static int take_kid(struct clearkey_request *r, const json_t *value, struct failure *f)
{
    struct uuid kid = {{0}};
    size_t n;
    const char *text = json_string_value(value);
    if (text == NULL ||
        base64url_decode(text, json_string_length(value), kid.bytes, UUID_BYTES, &n) != 0 ||
        n != UUID_BYTES)
        return malformed(f, "a KID is no base64url of 16 bytes");
    if (!has_kid(r, &kid))
        r->kids[r->count++] = kid;
    return 0;
}

static int take_kids(struct clearkey_request *r, const json_t *kids, struct failure *f)
{
    const size_t count = json_array_size(kids);
    if (count == 0)
        return malformed(f, "no KIDs");
    if (count > CLEARKEY_KIDS_MAX)
        return fail(f, 413, "More than %d KIDs", CLEARKEY_KIDS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (take_kid(r, json_array_get(kids, i), f) != 0)
            return -1;
    }
    return 0;
}

/* The CDM holds the answer's type against its session's. */
static int take_type(struct clearkey_request *r, const json_t *type, struct failure *f)
{
    static const char *const TYPES[] = {"temporary", "persistent-license"};
    const char *text = json_string_value(type);
    r->type = TYPES[0];
    if (type == NULL)
        return 0;
    for (size_t i = 0; text != NULL && i < sizeof TYPES / sizeof TYPES[0]; i++) {
        if (strcmp(text, TYPES[i]) == 0) {
            r->type = TYPES[i];
            return 0;
        }
    }
    return malformed(f, "an unknown type");
}

int clearkey_read(struct clearkey_request *r, const void *body, size_t size, struct failure *f)
{
    r->count = 0;
    if (size > CLEARKEY_REQUEST_MAX)
        return fail(f, 413, "Licence request larger than %d bytes", CLEARKEY_REQUEST_MAX);
    if (size == 0 || !json_is_shallow(body, size, REQUEST_DEPTH_MAX))
        return malformed(f, size == 0 ? "empty" : "nested too deep");
    json_t *value = json_loadb(body, size, JSON_REJECT_DUPLICATES, NULL);
    int result = -1;
    if (!json_is_object(value))
        (void)malformed(f, "no JSON object");
    else if (take_kids(r, json_object_get(value, "kids"), f) == 0)
        result = take_type(r, json_object_get(value, "type"), f);
    json_decref(value);
    return result;
}

static void put_key(const struct keystore_delivery_slot *slot, struct buf *out)
{
    char kid[BASE64_SIZE(UUID_BYTES)], key[BASE64_SIZE(KEYSTORE_KEY_BYTES)];
    (void)base64url_encode(slot->kid.bytes, UUID_BYTES, kid); /* the lengths are known */
    (void)base64url_encode(slot->key, KEYSTORE_KEY_BYTES, key);
    buf_puts(out, "{\"kty\":\"oct\",\"kid\":\"");
    buf_puts(out, kid);
    buf_puts(out, "\",\"k\":\"");
    buf_puts(out, key);
    buf_puts(out, "\"}");
    secret_wipe(key, sizeof key);
}

void clearkey_write(const struct keystore_delivery_slot *slots, size_t count, const char *type,
                    struct buf *out)
{
    bool first = true;
    buf_puts(out, "{\"keys\":[");
    for (size_t i = 0; i < count; i++) {
        if (!slots[i].found)
            continue;
        if (!first)
            buf_putc(out, ',');
        first = false;
        put_key(&slots[i], out);
    }
    buf_puts(out, "],\"type\":\"");
    buf_puts(out, type);
    buf_puts(out, "\"}");
}
