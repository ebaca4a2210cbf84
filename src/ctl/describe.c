/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/describe.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/failure.h"
#include "base/hex.h"
#include "base/secret.h"
#include "cpix/certificate.h"
#include "ctl/open.h"
#include "ctl/pssh.h"
#include "ctl/request.h"
#include "drm/drm.h"
#include "drm/text.h"

enum { FINGERPRINT_BYTES = 8, HEADER_MAX = 256 * 1024 };

/* Adds a member; value is given up. Returns 0, or -1 when memory ran out. */
static int set(json_t *object, const char *name, json_t *value)
{
    return json_object_set_new(object, name, value);
}

/* The same for a text that may be absent. */
static int set_text(json_t *object, const char *name, const char *text)
{
    return text == NULL ? 0 : set(object, name, json_string(text));
}

/* Gives up what was built when it is not whole. */
static json_t *whole(json_t *value, int result)
{
    if (result == 0)
        return value;
    json_decref(value);
    return NULL;
}

/* --- Keys ------------------------------------------------------------------------------------- */

/* The track types of the rules that name a KID. */
static json_t *track_types(const struct cpix_document *doc, const char *kid_text)
{
    json_t *types = json_array();
    for (size_t i = 0; kid_text != NULL && i < doc->rule_count; i++) {
        const struct cpix_rule *rule = &doc->rules[i];
        if (rule->kid_text == NULL || rule->intended_track_type == NULL ||
            strcmp(rule->kid_text, kid_text) != 0)
            continue;
        /* A reference that is refused is an array that lacks a name: memory ran out. */
        if (json_array_append_new(types, json_string(rule->intended_track_type)) != 0) {
            json_decref(types);
            return NULL;
        }
    }
    return types;
}

/* Adds what may be told of the key's value. */
static int describe_value(const struct cpix_content_key *key, bool reveal, json_t *object)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char fingerprint[2 * FINGERPRINT_BYTES + 1];
    char hex[2 * CPIX_KEY_BYTES + 1];
    char text[BASE64_SIZE(CPIX_KEY_BYTES)];
    unsigned char *value = secret_alloc(CPIX_KEY_BYTES);
    int result = -1;
    if (value == NULL)
        return -1;
    const bool have = answer_key(key, value) == 0;
    if (!have) {
        result = 0; /* encrypted, a request, or a fault, which is told elsewhere */
    } else if (EVP_Digest(value, CPIX_KEY_BYTES, digest, NULL, EVP_sha256(), NULL) == 1) {
        hex_encode(digest, FINGERPRINT_BYTES, fingerprint);
        result = set_text(object, "fingerprint", fingerprint);
    }
    if (result == 0 && reveal && have) {
        hex_encode(value, CPIX_KEY_BYTES, hex);
        (void)base64_encode(value, CPIX_KEY_BYTES, text); /* the length is known */
        result = set_text(object, "key", text);
        if (result == 0)
            result = set_text(object, "key_hex", hex);
        secret_wipe(hex, sizeof hex);
        secret_wipe(text, sizeof text);
    }
    secret_free(value, CPIX_KEY_BYTES);
    return result;
}

/* Base64 of a text as the text; what is none, or no UTF-8, as it is. */
static json_t *decoded_text(struct arena *arena, const char *base64)
{
    size_t len;
    const char *text = answer_decode(arena, base64, &len);
    json_t *value = text != NULL ? json_string(text) : NULL;
    return value != NULL ? value : json_string(base64);
}

static json_t *describe_key(const struct cpix_document *doc, size_t i, struct arena *arena,
                            bool reveal)
{
    const struct cpix_content_key *key = &doc->keys[i];
    json_t *object = json_pack("{s:s?, s:o, s:s?, s:s?, s:b}", "kid", key->kid_text, "track_types",
                               track_types(doc, key->kid_text), "scheme", key->scheme_text, "iv",
                               key->explicit_iv, "encrypted", key->encrypted.cipher != NULL);
    if (object == NULL)
        return NULL;
    int result = describe_value(key, reveal, object);
    if (result == 0)
        result = set_text(object, "hdcp_level", key->hdcp_level);
    if (result == 0 && key->hdcp_output_protection != NULL)
        result = set(object, "hdcp_output_protection",
                     decoded_text(arena, key->hdcp_output_protection));
    return whole(object, result);
}

/* --- Signalling --------------------------------------------------------------------------------
 */

/* Bytes as text where they are one, else in hexadecimal. */
static json_t *bytes_text(struct pssh_bytes b)
{
    struct buf hex;
    json_t *value = json_stringn((const char *)b.bytes, b.size); /* NULL: no UTF-8 */
    if (value != NULL)
        return value;
    buf_init(&hex, 2 * b.size + 1);
    text_put_hex(&hex, b.bytes, b.size);
    if (buf_ok(&hex))
        value = json_stringn((const char *)hex.data, hex.len);
    buf_free(&hex);
    return value;
}

static int describe_widevine(const struct widevine_message *m, json_t *box)
{
    char scheme[5];
    int result = 0;
    if (m->provider.bytes != NULL)
        result = set(box, "provider", bytes_text(m->provider));
    if (result == 0 && m->content_id.bytes != NULL)
        result = set(box, "content_id", bytes_text(m->content_id));
    if (result == 0 && m->policy.bytes != NULL)
        result = set(box, "policy", bytes_text(m->policy));
    if (result != 0 || m->protection_scheme == 0)
        return result;
    for (size_t i = 0; i < 4; i++) {
        const uint32_t c = m->protection_scheme >> (24 - 8 * i) & 0xff;
        scheme[i] = (char)(c >= 0x20 && c < 0x7f ? c : '?');
    }
    scheme[4] = '\0';
    return set_text(box, "protection_scheme", scheme);
}

/* The XML of a PlayReady Object, if the bytes are one. */
static int describe_object(struct pssh_bytes object, const char *member, json_t *into)
{
    struct buf header;
    int result = 0;
    buf_init(&header, HEADER_MAX);
    if (object.bytes != NULL && playready_object_header(object.bytes, object.size, &header) == 0 &&
        buf_ok(&header) && header.len > 0)
        result = set(into, member, json_stringn((const char *)header.data, header.len));
    buf_free(&header);
    return result;
}

static json_t *describe_box(const struct pssh_box *box)
{
    char text[UUID_TEXT_SIZE];
    json_t *kids = json_array();
    int result = 0;
    for (size_t i = 0; i < box->kid_count && result == 0; i++) {
        uuid_format(&box->kids[i], text);
        result = json_array_append_new(kids, json_string(text));
    }
    uuid_format(&box->system_id, text);
    json_t *object = json_pack("{s:s, s:i, s:I, s:o}", "system_id", text, "version",
                               (int)box->version, "size", (json_int_t)box->size, "kids", kids);
    if (result == 0)
        result = describe_widevine(&box->widevine, object);
    if (result == 0)
        result = describe_object(box->data, "playready_header", object);
    return whole(object, result);
}

/* The boxes of a PSSH element. */
static json_t *describe_pssh(struct arena *arena, const char *base64)
{
    struct pssh_box box;
    size_t len = 0;
    const char *bytes = answer_decode(arena, base64, &len);
    json_t *boxes = json_array();
    int result = 0;
    for (size_t at = 0; bytes != NULL && at < len && result == 0; at += box.size) {
        if (pssh_read((const unsigned char *)bytes + at, len - at, &box) != 0)
            break;
        result = json_array_append_new(boxes, describe_box(&box));
    }
    boxes = whole(boxes, result);
    return json_pack("{s:s, s:o}", "value", base64, "boxes", boxes);
}

static const char *member_name(const struct cpix_placeholder *p)
{
    switch (p->field) {
    case CPIX_PSSH:
        return "pssh";
    case CPIX_CONTENT_PROTECTION_DATA:
        return "content_protection_data";
    case CPIX_HLS_SIGNALING_DATA:
        return p->playlist == NULL || strcmp(p->playlist, "media") == 0 ? "hls_media"
                                                                        : "hls_master";
    case CPIX_URI_EXT_X_KEY:
        return "key_uri";
    case CPIX_SPEKE_KEY_FORMAT:
        return "key_format";
    case CPIX_SPEKE_KEY_FORMAT_VERSIONS:
        return "key_format_versions";
    case CPIX_SMOOTH_HEADER:
    case CPIX_SPEKE_PROTECTION_HEADER:
        break;
    }
    return "smooth_header";
}

/* Texts are shown decoded, boxes and objects as the base64 that they are passed on in. */
static json_t *describe_placeholder(struct arena *arena, const struct cpix_placeholder *p)
{
    if (p->received == NULL || p->received[0] == '\0')
        return json_null();
    if (p->field == CPIX_PSSH)
        return describe_pssh(arena, p->received);
    if (p->field == CPIX_SMOOTH_HEADER || p->field == CPIX_SPEKE_PROTECTION_HEADER)
        return json_string(p->received);
    return decoded_text(arena, p->received);
}

/* What a placeholder has beside its value. */
static int describe_more(struct arena *arena, const struct cpix_placeholder *p, json_t *system)
{
    size_t len;
    if (p->robustness != NULL)
        return set_text(system, "robustness", p->robustness);
    if ((p->field != CPIX_SMOOTH_HEADER && p->field != CPIX_SPEKE_PROTECTION_HEADER) ||
        p->received == NULL)
        return 0;
    const char *bytes = answer_decode(arena, p->received, &len);
    const struct pssh_bytes object = {(const unsigned char *)bytes, bytes != NULL ? len : 0};
    return describe_object(object, "smooth_header_decoded", system);
}

static json_t *describe_system(const struct cpix_document *doc, size_t i,
                               enum speke_version version, struct arena *arena)
{
    const struct cpix_drm_system *system = &doc->systems[i];
    struct uuid id;
    const struct drm_system *known = NULL;
    if (system->system_id_text != NULL && uuid_parse(system->system_id_text, &id) == 0)
        known = drm_find(&id, version);
    json_t *object = json_pack("{s:s?, s:o, s:s, s:s?}", "kid", system->kid_text, "track_types",
                               track_types(doc, system->kid_text), "system",
                               known != NULL ? drm_name(known) : "other", "system_id",
                               system->system_id_text);
    int result = object == NULL ? -1 : set_text(object, "hls_allowed_cpc", system->hls_allowed_cpc);
    for (size_t k = 0; result == 0 && k < system->placeholder_count; k++) {
        const struct cpix_placeholder *p = &system->placeholders[k];
        result = set(object, member_name(p), describe_placeholder(arena, p));
        if (result == 0)
            result = describe_more(arena, p, object);
    }
    return whole(object, result);
}

/* --- Periods, rules, recipients ----------------------------------------------------------------
 */

static json_t *describe_attributes(const struct cpix_attributes *attributes)
{
    json_t *object = json_object();
    int result = object == NULL ? -1 : 0;
    for (size_t i = 0; i < attributes->count && result == 0; i++)
        result = set_text(object, attributes->items[i].name, attributes->items[i].value);
    return whole(object, result);
}

static json_t *describe_rule(const struct cpix_rule *rule)
{
    json_t *filters = json_array();
    int result = filters == NULL ? -1 : 0;
    for (size_t i = 0; i < rule->filter_count && result == 0; i++)
        result = json_array_append_new(
            filters, json_pack("{s:s, s:o}", "name", rule->filters[i].name, "attributes",
                               describe_attributes(&rule->filters[i].attributes)));
    return json_pack("{s:s?, s:s?, s:o}", "kid", rule->kid_text, "track_type",
                     rule->intended_track_type, "filters", whole(filters, result));
}

static json_t *describe_recipient(const struct cpix_delivery *d)
{
    const struct certificate *c;
    struct failure f = {0};
    char fingerprint[2 * CERTIFICATE_FINGERPRINT_BYTES + 1];
    json_t *object = json_pack("{s:s?, s:s?, s:b}", "id", d->id, "name", d->name, "keys",
                               d->document_key.cipher != NULL && d->mac_key.cipher != NULL);
    if (object == NULL)
        return NULL;
    if (d->certificate == NULL)
        return whole(object, set_text(object, "fault", "no X509Certificate"));
    if (certificate_take(d->certificate, &c, &f) != 0)
        return whole(object, set_text(object, "fault", f.text));
    hex_encode(c->fingerprint.bytes, CERTIFICATE_FINGERPRINT_BYTES, fingerprint);
    int result = set_text(object, "subject", c->subject);
    if (result == 0)
        result = set_text(object, "sha256", fingerprint);
    if (result == 0)
        result = set(object, "bits", json_integer(c->bits));
    return whole(object, result);
}

/* --- The whole ---------------------------------------------------------------------------------
 */

static int describe_lists(const struct cpix_document *got, enum speke_version version,
                          struct arena *arena, bool reveal, json_t *description)
{
    json_t *keys = json_array(), *systems = json_array(), *periods = json_array();
    json_t *rules = json_array(), *recipients = json_array();
    int result = 0;
    for (size_t i = 0; i < got->key_count && result == 0; i++)
        result = json_array_append_new(keys, describe_key(got, i, arena, reveal));
    for (size_t i = 0; i < got->system_count && result == 0; i++)
        result = json_array_append_new(systems, describe_system(got, i, version, arena));
    for (size_t i = 0; i < got->period_count && result == 0; i++)
        result = json_array_append_new(periods, describe_attributes(&got->periods[i].attributes));
    for (size_t i = 0; i < got->rule_count && result == 0; i++)
        result = json_array_append_new(rules, describe_rule(&got->rules[i]));
    for (size_t i = 0; i < got->delivery_count && result == 0; i++)
        result = json_array_append_new(recipients, describe_recipient(&got->deliveries[i]));
    json_t *lists = json_pack("{s:o, s:o, s:o, s:o, s:o}", "keys", keys, "systems", systems,
                              "periods", periods, "rules", rules, "recipients", recipients);
    if (result == 0 && lists != NULL)
        result = json_object_update(description, lists);
    json_decref(lists);
    return lists != NULL ? result : -1;
}

json_t *answer_describe(const struct cpix_document *got, enum speke_version version,
                        struct arena *arena, bool reveal, json_t *faults)
{
    json_t *description = json_pack("{s:s?, s:s?, s:s?, s:s}", "content_id",
                                    version == SPEKE_V1 ? got->id : got->content_id, "name",
                                    got->name, "cpix_version", got->version_text, "speke_version",
                                    speke_version_name(version));
    int result = description != NULL ? 0 : -1;
    if (result == 0)
        result = describe_lists(got, version, arena, reveal, description);
    if (result == 0 && faults != NULL)
        result = json_object_set(description, "faults", faults);
    json_decref(faults);
    return whole(description, result);
}

int answer_describe_opened(const struct opened *opened, json_t *description)
{
    return set(description, "opened",
               json_pack("{s:I, s:I}", "recipient", (json_int_t)opened->delivery + 1,
                         "macs_verified", (json_int_t)opened->macs));
}
