/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/secret.h"
#include "ctl/pssh.h"
#include "ctl/request.h"
#include "drm/drm.h"

struct check {
    const struct cpix_document *asked; /* NULL when it could not be read */
    const struct cpix_document *got;
    enum speke_version version;
    struct arena *arena;
    json_t *faults;
};

static void fault(const struct check *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void fault(const struct check *c, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0)
        text[0] = '\0';
    va_end(args);
    /* Memory that runs out here makes the description run out of it too. */
    if (json_array_append_new(c->faults, json_string(text)) != 0)
        (void)json_array_append_new(c->faults, json_string("a fault that cannot be printed"));
}

static const char *or_none(const char *text)
{
    return text != NULL ? text : "(none)";
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_uuid(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcasecmp(a, b) == 0;
}

static void check_root(const struct check *c)
{
    const struct cpix_document *asked = c->asked, *got = c->got;
    if (c->version == SPEKE_V1) {
        if (!same(asked->id, got->id))
            fault(c, "CPIX@id is \"%s\", asked was \"%s\"", or_none(got->id), or_none(asked->id));
        return;
    }
    if (!same(asked->content_id, got->content_id))
        fault(c, "CPIX@contentId is \"%s\", asked was \"%s\"", or_none(got->content_id),
              or_none(asked->content_id));
    if (!same(asked->version_text, got->version_text))
        fault(c, "CPIX@version is \"%s\", asked was \"%s\"", or_none(got->version_text),
              or_none(asked->version_text));
}

/* Whether the IV is 16 bytes; an IV that is the key would give the key away. */
static void check_iv(const struct check *c, const struct cpix_content_key *key,
                     const unsigned char *value)
{
    unsigned char iv[CPIX_IV_BYTES];
    size_t len;
    if (key->explicit_iv == NULL)
        return;
    if (base64_decode(key->explicit_iv, strlen(key->explicit_iv), iv, sizeof iv, &len) != 0 ||
        len != CPIX_IV_BYTES)
        fault(c, "explicitIV of KID %s is not base64 of 16 bytes", or_none(key->kid_text));
    else if (secret_equal(iv, value, CPIX_IV_BYTES))
        fault(c, "explicitIV of KID %s is the key", or_none(key->kid_text));
}

static void check_asked_key(const struct check *c, size_t i)
{
    const struct cpix_content_key *asked = &c->asked->keys[i], *got = &c->got->keys[i];
    if (!same_uuid(asked->kid_text, got->kid_text))
        fault(c, "key %zu has KID %s, asked was %s", i + 1, or_none(got->kid_text),
              or_none(asked->kid_text));
    if (!same(asked->scheme_text, got->scheme_text))
        fault(c, "commonEncryptionScheme of KID %s is \"%s\", asked was \"%s\"",
              or_none(got->kid_text), or_none(got->scheme_text), or_none(asked->scheme_text));
    if (asked->explicit_iv != NULL && !same(asked->explicit_iv, got->explicit_iv))
        fault(c, "explicitIV of KID %s is not the one of the request", or_none(got->kid_text));
}

/* keys has room for every key of the answer. */
static void check_key_values(const struct check *c, unsigned char (*keys)[CPIX_KEY_BYTES])
{
    for (size_t i = 0; i < c->got->key_count; i++) {
        const struct cpix_content_key *key = &c->got->keys[i];
        if (answer_key(key, keys[i]) != 0) {
            fault(c, "no key of 16 bytes came for KID %s", or_none(key->kid_text));
            continue;
        }
        check_iv(c, key, keys[i]);
        for (size_t k = 0; k < i; k++) {
            if (secret_equal(keys[k], keys[i], CPIX_KEY_BYTES))
                fault(c, "KIDs %s and %s have the same key", or_none(c->got->keys[k].kid_text),
                      or_none(key->kid_text));
        }
    }
}

static void check_keys(const struct check *c)
{
    const size_t count = c->got->key_count;
    const size_t size = (count + 1) * CPIX_KEY_BYTES;
    unsigned char(*keys)[CPIX_KEY_BYTES] = secret_alloc(size);
    if (keys == NULL)
        fault(c, "%zu keys do not fit into the secure heap", count);
    else
        check_key_values(c, keys);
    secret_free(keys, size);
    if (c->asked == NULL)
        return;
    if (count != c->asked->key_count) {
        fault(c, "%zu keys came, asked were %zu", count, c->asked->key_count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        check_asked_key(c, i);
}

/* --- signalling ------------------------------------------------------------------------------ */

/* "widevine for KID ...", for the texts of faults. */
static const char *title(const struct check *c, const struct cpix_drm_system *system,
                         char out[static 128])
{
    struct uuid id;
    const struct drm_system *known = NULL;
    if (system->system_id_text != NULL && uuid_parse(system->system_id_text, &id) == 0)
        known = drm_find(&id, c->version);
    (void)snprintf(out, 128, "%.40s for KID %.40s",
                   known != NULL ? drm_title(known) : or_none(system->system_id_text),
                   or_none(system->kid_text));
    return out;
}

static bool holds_kid(const struct uuid *kids, size_t count, const char *kid_text)
{
    struct uuid kid;
    if (kid_text == NULL || uuid_parse(kid_text, &kid) != 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (uuid_equal(&kids[i], &kid))
            return true;
    }
    return false;
}

static void check_pssh(const struct check *c, const struct cpix_drm_system *system,
                       const char *base64)
{
    char name[128];
    struct uuid id = {{0}};
    struct pssh_box box;
    size_t len = 0;
    bool kid_seen = false;
    const char *bytes = answer_decode(c->arena, base64, &len);
    for (size_t at = 0; bytes != NULL && at < len; at += box.size) {
        if (pssh_read((const unsigned char *)bytes + at, len - at, &box) != 0) {
            bytes = NULL;
            break;
        }
        if (system->system_id_text == NULL || uuid_parse(system->system_id_text, &id) != 0 ||
            !uuid_equal(&id, &box.system_id))
            fault(c, "PSSH of %s is of another system", title(c, system, name));
        kid_seen = kid_seen || holds_kid(box.kids, box.kid_count, system->kid_text);
    }
    if (bytes == NULL)
        fault(c, "PSSH of %s is not base64 of pssh boxes", title(c, system, name));
    else if (!kid_seen && drm_find(&id, c->version) != NULL)
        fault(c, "PSSH of %s does not hold the KID", title(c, system, name));
}

/* An encryptor raises an error when the box for the manifest is not that of the segments. */
static void check_manifest(const struct check *c, const struct cpix_drm_system *system,
                           const char *base64)
{
    char name[128];
    size_t len;
    const char *text = answer_decode(c->arena, base64, &len);
    const struct cpix_placeholder *pssh = answer_field(system, CPIX_PSSH, NULL);
    if (text == NULL || text[0] != '<')
        fault(c, "ContentProtectionData of %s is not base64 of XML", title(c, system, name));
    else if (pssh != NULL && pssh->received[0] != '\0' && strstr(text, pssh->received) == NULL)
        fault(c, "ContentProtectionData of %s does not hold its PSSH", title(c, system, name));
}

static void check_hls(const struct check *c, const struct cpix_drm_system *system,
                      const struct cpix_placeholder *p)
{
    static const char *const NAMES[] = {"METHOD", "KEYFORMAT", "KEYFORMATVERSIONS"};
    char name[128], here[128], there[128];
    size_t len;
    const bool master = p->playlist != NULL && strcmp(p->playlist, "media") != 0;
    const char *head = master ? "#EXT-X-SESSION-KEY:" : "#EXT-X-KEY:";
    const char *line = answer_decode(c->arena, p->received, &len);
    if (line == NULL || strncmp(line, head, strlen(head)) != 0) {
        fault(c, "HLSSignalingData (%s) of %s is not base64 of a line %s", or_none(p->playlist),
              title(c, system, name), head);
        return;
    }
    answer_hls_attribute(line, "METHOD", here, sizeof here);
    if (here[0] == '\0' || strcmp(here, "NONE") == 0)
        fault(c, "HLS METHOD of %s is \"%s\"", title(c, system, name), here);
    const struct cpix_placeholder *media = answer_field(system, CPIX_HLS_SIGNALING_DATA, "media");
    const char *other = master && media != NULL ? answer_decode(c->arena, media->received, &len)
                                                : NULL;
    for (size_t i = 0; other != NULL && i < sizeof NAMES / sizeof NAMES[0]; i++) {
        answer_hls_attribute(line, NAMES[i], here, sizeof here);
        answer_hls_attribute(other, NAMES[i], there, sizeof there);
        if (strcmp(here, there) != 0)
            fault(c, "HLS %s of %s differs between the playlists", NAMES[i],
                  title(c, system, name));
    }
}

static void check_object(const struct check *c, const struct cpix_drm_system *system,
                         const char *base64)
{
    char name[128];
    struct uuid kids[PSSH_KIDS_MAX];
    size_t len, count;
    const char *bytes = answer_decode(c->arena, base64, &len);
    if (bytes == NULL ||
        playready_object_read((const unsigned char *)bytes, len, kids, PSSH_KIDS_MAX, &count) != 0)
        fault(c, "the Smooth Streaming header of %s is not base64 of a PlayReady Object",
              title(c, system, name));
    else if (!holds_kid(kids, count, system->kid_text))
        fault(c, "the Smooth Streaming header of %s does not hold the KID", title(c, system, name));
}

static void check_value(const struct check *c, const struct cpix_drm_system *system,
                        const struct cpix_placeholder *p)
{
    char name[128];
    size_t len;
    if (p->received == NULL || p->received[0] == '\0')
        return;
    switch (p->field) {
    case CPIX_PSSH:
        check_pssh(c, system, p->received);
        break;
    case CPIX_CONTENT_PROTECTION_DATA:
        check_manifest(c, system, p->received);
        break;
    case CPIX_HLS_SIGNALING_DATA:
        check_hls(c, system, p);
        break;
    case CPIX_SMOOTH_HEADER:
    case CPIX_SPEKE_PROTECTION_HEADER:
        check_object(c, system, p->received);
        break;
    default:
        if (answer_decode(c->arena, p->received, &len) == NULL)
            fault(c, "a value of %s is not base64", title(c, system, name));
        break;
    }
}

/* The bits (enum drm_field) that an element can be answered by, and its name. */
static unsigned field_bits(enum cpix_field field, const char **name)
{
    static const struct {
        const char *name;
        unsigned bits;
    } FIELDS[] = {
        [CPIX_PSSH] = {"PSSH", DRM_PSSH},
        [CPIX_CONTENT_PROTECTION_DATA] = {"ContentProtectionData", DRM_CONTENT_PROTECTION},
        [CPIX_HLS_SIGNALING_DATA] = {"HLSSignalingData", DRM_HLS_MEDIA | DRM_HLS_MASTER},
        [CPIX_SMOOTH_HEADER] = {"SmoothStreamingProtectionHeaderData", DRM_SMOOTH_HEADER},
        [CPIX_URI_EXT_X_KEY] = {"URIExtXKey", DRM_KEY_URI},
        [CPIX_SPEKE_KEY_FORMAT] = {"KeyFormat", DRM_KEY_FORMAT},
        [CPIX_SPEKE_KEY_FORMAT_VERSIONS] = {"KeyFormatVersions", DRM_KEY_FORMAT_VERSIONS},
        [CPIX_SPEKE_PROTECTION_HEADER] = {"ProtectionHeader", DRM_SMOOTH_HEADER},
    };
    *name = FIELDS[field].name;
    return FIELDS[field].bits;
}

/* Every placeholder of a value that the system has must have been filled. */
static void check_answered(const struct check *c, const struct cpix_drm_system *asked,
                           const struct cpix_drm_system *got)
{
    char name[128];
    struct uuid id;
    if (asked->system_id_text == NULL || uuid_parse(asked->system_id_text, &id) != 0)
        return;
    for (size_t i = 0; i < asked->placeholder_count; i++) {
        const struct cpix_placeholder *p = &asked->placeholders[i];
        const char *element;
        const unsigned bits = field_bits(p->field, &element);
        if ((document_fields(&id, c->version) & bits) == 0)
            continue; /* rightly left empty or taken out */
        const struct cpix_placeholder *answer = answer_field(got, p->field, p->playlist);
        if (answer == NULL || answer->received == NULL || answer->received[0] == '\0')
            fault(c, "%s%s%s of %s was asked for and did not come", element,
                  p->playlist != NULL ? " " : "", p->playlist != NULL ? p->playlist : "",
                  title(c, asked, name));
    }
}

static void check_systems(const struct check *c)
{
    char name[128];
    for (size_t i = 0; i < c->got->system_count; i++) {
        const struct cpix_drm_system *system = &c->got->systems[i];
        for (size_t k = 0; k < system->placeholder_count; k++)
            check_value(c, system, &system->placeholders[k]);
    }
    if (c->asked == NULL)
        return;
    if (c->got->system_count != c->asked->system_count) {
        fault(c, "%zu DRMSystem elements came, asked were %zu", c->got->system_count,
              c->asked->system_count);
        return;
    }
    for (size_t i = 0; i < c->got->system_count; i++) {
        const struct cpix_drm_system *asked = &c->asked->systems[i], *got = &c->got->systems[i];
        if (!same_uuid(asked->system_id_text, got->system_id_text) ||
            !same_uuid(asked->kid_text, got->kid_text))
            fault(c, "DRMSystem %zu is not %s", i + 1, title(c, asked, name));
        else
            check_answered(c, asked, got);
    }
}

/* --- periods and rules ------------------------------------------------------------------------ */

static bool same_attributes(const struct cpix_attributes *a, const struct cpix_attributes *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (!same(a->items[i].name, b->items[i].name) ||
            !same(a->items[i].value, b->items[i].value))
            return false;
    }
    return true;
}

static bool same_rule(const struct cpix_rule *a, const struct cpix_rule *b)
{
    if (!same_attributes(&a->attributes, &b->attributes) || a->filter_count != b->filter_count)
        return false;
    for (size_t i = 0; i < a->filter_count; i++) {
        if (a->filters[i].kind != b->filters[i].kind ||
            !same_attributes(&a->filters[i].attributes, &b->filters[i].attributes))
            return false;
    }
    return true;
}

/* The encryption contract and the periods must come back as they were sent. */
static void check_contract(const struct check *c)
{
    const struct cpix_document *asked = c->asked, *got = c->got;
    bool rules = asked->rule_count == got->rule_count;
    bool periods = asked->period_count == got->period_count;
    for (size_t i = 0; rules && i < asked->rule_count; i++)
        rules = same_rule(&asked->rules[i], &got->rules[i]);
    for (size_t i = 0; periods && i < asked->period_count; i++)
        periods = same_attributes(&asked->periods[i].attributes, &got->periods[i].attributes);
    if (!rules)
        fault(c, "the usage rules came back changed");
    if (!periods)
        fault(c, "the key periods came back changed");
}

void answer_check(const struct cpix_document *asked, const struct cpix_document *got,
                  enum speke_version version, struct arena *arena, json_t *faults)
{
    const struct check c = {asked, got, version, arena, faults};
    if (asked != NULL)
        check_root(&c);
    check_keys(&c);
    check_systems(&c);
    if (asked != NULL)
        check_contract(&c);
}
