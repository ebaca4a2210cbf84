/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/secret.h"
#include "ctl/ctl.h"
#include "ctl/output.h"
#include "ctl/pssh.h"
#include "ctl/request.h"
#include "drm/drm.h"

enum { FINGERPRINT_BYTES = 8, TABLE_MAX = 16 * 1024 * 1024 };

static void put_hex(const unsigned char *bytes, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* --- JSON ------------------------------------------------------------------------------------- */

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
    unsigned char *value = secret_alloc(CPIX_KEY_BYTES);
    int result = -1;
    if (value == NULL)
        return -1;
    if (answer_key(key, value) != 0) {
        result = 0; /* a fault, which is told elsewhere */
    } else if (EVP_Digest(value, CPIX_KEY_BYTES, digest, NULL, EVP_sha256(), NULL) == 1) {
        put_hex(digest, FINGERPRINT_BYTES, fingerprint);
        result = json_object_set_new(object, "fingerprint", json_string(fingerprint));
    }
    if (result == 0 && reveal && key->plain_value != NULL) {
        put_hex(value, CPIX_KEY_BYTES, hex);
        result = json_object_set_new(object, "key", json_string(key->plain_value));
        if (result == 0)
            result = json_object_set_new(object, "key_hex", json_string(hex));
        secret_wipe(hex, sizeof hex);
    }
    secret_free(value, CPIX_KEY_BYTES);
    return result;
}

static json_t *describe_key(const struct cpix_document *doc, size_t i, bool reveal)
{
    const struct cpix_content_key *key = &doc->keys[i];
    json_t *object = json_pack("{s:s?, s:o, s:s?, s:s?}", "kid", key->kid_text, "track_types",
                               track_types(doc, key->kid_text), "scheme", key->scheme_text, "iv",
                               key->explicit_iv);
    if (object != NULL && describe_value(key, reveal, object) != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* The boxes of a PSSH element. */
static json_t *describe_pssh(struct arena *arena, const char *base64)
{
    struct pssh_box box;
    char text[UUID_TEXT_SIZE];
    size_t len = 0;
    const char *bytes = answer_decode(arena, base64, &len);
    json_t *boxes = json_array();
    for (size_t at = 0; bytes != NULL && at < len && boxes != NULL; at += box.size) {
        if (pssh_read((const unsigned char *)bytes + at, len - at, &box) != 0)
            break;
        json_t *kids = json_array();
        for (size_t i = 0; i < box.kid_count; i++) {
            uuid_format(&box.kids[i], text);
            if (json_array_append_new(kids, json_string(text)) != 0)
                break;
        }
        uuid_format(&box.system_id, text);
        if (json_array_append_new(boxes, json_pack("{s:s, s:i, s:I, s:o}", "system_id", text,
                                                   "version", (int)box.version, "size",
                                                   (json_int_t)box.size, "kids", kids)) != 0) {
            json_decref(boxes);
            return NULL;
        }
    }
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
    size_t len;
    if (p->received == NULL || p->received[0] == '\0')
        return json_null();
    if (p->field == CPIX_PSSH)
        return describe_pssh(arena, p->received);
    if (p->field == CPIX_SMOOTH_HEADER || p->field == CPIX_SPEKE_PROTECTION_HEADER)
        return json_string(p->received);
    const char *text = answer_decode(arena, p->received, &len);
    json_t *value = text != NULL ? json_string(text) : NULL;
    return value != NULL ? value : json_string(p->received); /* no base64, or no UTF-8 in it */
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
    for (size_t k = 0; object != NULL && k < system->placeholder_count; k++) {
        const struct cpix_placeholder *p = &system->placeholders[k];
        if (json_object_set_new(object, member_name(p), describe_placeholder(arena, p)) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

json_t *answer_describe(const struct cpix_document *got, enum speke_version version,
                        struct arena *arena, bool reveal, json_t *faults)
{
    json_t *keys = json_array(), *systems = json_array();
    bool ok = true;
    for (size_t i = 0; i < got->key_count && ok; i++)
        ok = json_array_append_new(keys, describe_key(got, i, reveal)) == 0;
    for (size_t i = 0; i < got->system_count && ok; i++)
        ok = json_array_append_new(systems, describe_system(got, i, version, arena)) == 0;
    json_t *description = json_pack("{s:s?, s:s, s:o, s:o, s:o}", "content_id",
                                    version == SPEKE_V1 ? got->id : got->content_id,
                                    "speke_version", speke_version_name(version), "keys", keys,
                                    "systems", systems, "faults", faults);
    if (ok)
        return description;
    json_decref(description);
    return NULL;
}

/* --- tables ----------------------------------------------------------------------------------- */

static const struct column KEY_COLUMNS[] = {
    {"kid", "KID", false, 0},
    {"track_types", "TRACKS", true, 0},
    {"fingerprint", "KEY SHA-256", false, 0},
    {"iv", "IV", true, 0},
};

static const struct column REVEALED_COLUMNS[] = {
    {"kid", "KID", false, 0},
    {"track_types", "TRACKS", true, 0},
    {"key_hex", "KEY", false, 0},
    {"iv", "IV", true, 0},
};

static const struct column SYSTEM_COLUMNS[] = {
    {"for", "FOR", true, 0},        {"system", "SYSTEM", false, 0},
    {"pssh", "PSSH", false, 0},     {"dash", "DASH", false, 0},
    {"hls", "HLS", false, 0},       {"format", "KEYFORMAT", true, 0},
    {"smooth", "SMOOTH", false, 0},
};

/* "56 bytes, 1 KID". */
static json_t *pssh_cell(const json_t *pssh)
{
    char text[64];
    size_t i, kids = 0;
    json_int_t bytes = 0;
    json_t *box;
    json_array_foreach(json_object_get(pssh, "boxes"), i, box)
    {
        bytes += json_integer_value(json_object_get(box, "size"));
        kids += json_array_size(json_object_get(box, "kids"));
    }
    if (bytes == 0)
        return json_string("-");
    (void)snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT " bytes, %zu KID%s", bytes, kids,
                   kids == 1 ? "" : "s");
    return json_string(text);
}

static json_t *system_row(const json_t *system)
{
    char method[32] = "-", format[128] = "-";
    const char *line = json_string_value(json_object_get(system, "hls_media"));
    const char *v1_format = json_string_value(json_object_get(system, "key_format"));
    const json_t *tracks = json_object_get(system, "track_types");
    json_t *who = json_object_get(system, json_array_size(tracks) > 0 ? "track_types" : "kid");
    if (line != NULL) {
        answer_hls_attribute(line, "METHOD", method, sizeof method);
        answer_hls_attribute(line, "KEYFORMAT", format, sizeof format);
    } else if (v1_format != NULL) {
        (void)snprintf(method, sizeof method, "URI");
        (void)snprintf(format, sizeof format, "%s", v1_format);
    }
    return json_pack(
        "{s:O, s:O, s:o, s:b, s:s, s:s, s:b}", "for", who, "system",
        json_object_get(system, "system"), "pssh", pssh_cell(json_object_get(system, "pssh")),
        "dash", json_is_string(json_object_get(system, "content_protection_data")), "hls", method,
        "format", format, "smooth", json_is_string(json_object_get(system, "smooth_header")));
}

static int print_systems(const json_t *systems, struct buf *out)
{
    json_t *rows = json_array();
    size_t i;
    json_t *system;
    int result = rows == NULL ? -1 : 0;
    json_array_foreach(systems, i, system)
    {
        if (result == 0)
            result = json_array_append_new(rows, system_row(system));
    }
    if (result == 0)
        table_format(out, CTL_COLUMNS(SYSTEM_COLUMNS), rows, true, terminal_width());
    json_decref(rows);
    return result;
}

int answer_print(const json_t *description, bool reveal)
{
    struct buf text;
    const json_t *keys = json_object_get(description, "keys");
    const char *id = json_string_value(json_object_get(description, "content_id"));
    const char *scheme = json_string_value(json_object_get(json_array_get(keys, 0), "scheme"));
    struct ctl loud = {0};
    int code = CTL_DONE;
    ctl_say(&loud, "content %s, SPEKE %s%s%s", id != NULL ? id : "(none)",
            json_string_value(json_object_get(description, "speke_version")),
            scheme != NULL ? ", scheme " : "", scheme != NULL ? scheme : "");
    buf_init(&text, TABLE_MAX);
    buf_putc(&text, '\n');
    if (reveal)
        table_format(&text, CTL_COLUMNS(REVEALED_COLUMNS), keys, true, terminal_width());
    else
        table_format(&text, CTL_COLUMNS(KEY_COLUMNS), keys, true, terminal_width());
    buf_putc(&text, '\n');
    if (print_systems(json_object_get(description, "systems"), &text) != 0 || !buf_ok(&text))
        code = ctl_fail_memory();
    else if (fwrite(text.data, 1, text.len, stdout) != text.len)
        code = CTL_FAILED; /* main() says why */
    buf_free(&text);
    return code;
}
