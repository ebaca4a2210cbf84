/* SPDX-License-Identifier: Apache-2.0 */
/* The table of DRM systems, and the one way into it. */
#include <assert.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/failure.h"
#include "drm/drm.h"
#include "drm/system.h"

/* A content id is a few kilobytes at most and grows sixfold in JSON, so nothing comes near. */
enum { LARGEST_VALUE = 1 << 20 };

enum {
    HLS_LINES = DRM_HLS_MEDIA | DRM_HLS_MASTER,
    V1_KEY_ATTRIBUTES = DRM_KEY_URI | DRM_KEY_FORMAT | DRM_KEY_FORMAT_VERSIONS,
};

/* Which scheme fits which system: the MediaPackage guide, and in SPEKE v2.1 the HLS method that
 * stands for it. */
enum {
    CTR_OR_CBC = DRM_SCHEME_BIT(SCHEME_CENC) | DRM_SCHEME_BIT(SCHEME_CBCS),
    SAMPLE_AES = DRM_SCHEME_BIT(SCHEME_HLS_SAMPLE_AES),
    SAMPLE_AES_CTR = DRM_SCHEME_BIT(SCHEME_HLS_SAMPLE_AES_CTR),
};

const struct drm_settings DRM_DEFAULT_SETTINGS = {
    .playready_header = PLAYREADY_4_0,
    .fairplay_uri = "skd://{guide_json}",
    .key_url = "{key_url}/{content_segment}/{kid}",
    .key_url_base = "",
    .eme_la_url = "{clearkey_url}/{content_segment}",
    .clearkey_url_base = "",
    .schemes = CTR_OR_CBC,
};

/* An empty PSSH is what encryptors expect back of FairPlay and Clear Key in v2.x. */
static const struct drm_system SYSTEMS[] = {
    {
        .name = "widevine",
        .title = "Widevine",
        .id = {{0xed, 0xef, 0x8b, 0xa9, 0x79, 0xd6, 0x4a, 0xce, 0xa3, 0xc8, 0x27, 0xdc, 0xd5, 0x1d,
                0x21, 0xed}},
        .schemes = CTR_OR_CBC | SAMPLE_AES | SAMPLE_AES_CTR,
        .v1_fields = DRM_PSSH | DRM_CONTENT_PROTECTION,
        .v2_fields = DRM_PSSH | DRM_CONTENT_PROTECTION | HLS_LINES,
        .signal = widevine_signal,
    },
    {
        .name = "playready",
        .title = "PlayReady",
        .id = {{0x9a, 0x04, 0xf0, 0x79, 0x98, 0x40, 0x42, 0x86, 0xab, 0x92, 0xe6, 0x5b, 0xe0, 0x88,
                0x5f, 0x95}},
        .schemes = CTR_OR_CBC | SAMPLE_AES | SAMPLE_AES_CTR,
        .v1_fields = DRM_PSSH | DRM_CONTENT_PROTECTION | DRM_SMOOTH_HEADER,
        .v2_fields = DRM_PSSH | DRM_CONTENT_PROTECTION | DRM_SMOOTH_HEADER | HLS_LINES,
        .signal = playready_signal,
    },
    {
        .name = "fairplay",
        .title = "FairPlay",
        .id = {{0x94, 0xce, 0x86, 0xfb, 0x07, 0xff, 0x4f, 0x43, 0xad, 0xb8, 0x93, 0xd2, 0xfa, 0x96,
                0x8c, 0xa2}},
        .schemes = DRM_SCHEME_BIT(SCHEME_CBCS) | SAMPLE_AES,
        .v1_fields = V1_KEY_ATTRIBUTES,
        .v2_fields = DRM_PSSH | HLS_LINES,
        .signal = fairplay_signal,
    },
    {
        .name = "clearkey",
        .title = "Clear Key AES-128",
        .id = {{0x3e, 0xa8, 0x77, 0x8f, 0x77, 0x42, 0x4b, 0xf9, 0xb1, 0x8b, 0xe8, 0x34, 0xb2, 0xac,
                0xbd, 0x47}},
        .schemes = DRM_SCHEME_BIT(SCHEME_CBC1) | DRM_SCHEME_BIT(SCHEME_HLS_AES_128),
        .v2_fields = DRM_PSSH | HLS_LINES,
        .signal = clearkey_signal,
    },
    {
        .name = "aes128",
        .title = "HLS AES-128 (SPEKE v1)",
        .id = {{0x81, 0x37, 0x68, 0x44, 0xf9, 0x76, 0x48, 0x1e, 0xa8, 0x4e, 0xcc, 0x25, 0xd3, 0x9b,
                0x0b, 0x33}},
        .v1_fields = V1_KEY_ATTRIBUTES,
        .signal = clearkey_signal,
    },
    {
        .name = "common",
        .title = "W3C common PSSH",
        .id = {{0x10, 0x77, 0xef, 0xec, 0xc0, 0xb2, 0x4d, 0x02, 0xac, 0xe3, 0x3c, 0x1e, 0x52, 0xe2,
                0xfb, 0x4b}},
        .schemes = CTR_OR_CBC,
        .v1_fields = DRM_PSSH | DRM_CONTENT_PROTECTION,
        .v2_fields = DRM_PSSH | DRM_CONTENT_PROTECTION,
        .signal = common_signal,
    },
    {
        .name = "eme",
        .title = "W3C Clear Key",
        .id = {{0xe2, 0x71, 0x9d, 0x58, 0xa9, 0x85, 0xb3, 0xc9, 0x78, 0x1a, 0xb0, 0x30, 0xaf, 0x78,
                0xd3, 0x0e}},
        .schemes = CTR_OR_CBC | SAMPLE_AES | SAMPLE_AES_CTR,
        .v1_fields = DRM_CONTENT_PROTECTION,
        .v2_fields = DRM_PSSH | DRM_CONTENT_PROTECTION | HLS_LINES,
        .switched = true,
        .signal = eme_signal,
    },
};

_Static_assert(sizeof SYSTEMS / sizeof SYSTEMS[0] == DRM_SYSTEMS, "DRM_SYSTEMS counts them");

static const struct drm_system FROM_TEMPLATES = {
    .name = "other",
    .title = "Other",
    .v1_fields = DRM_PSSH | DRM_CONTENT_PROTECTION | V1_KEY_ATTRIBUTES,
    .v2_fields = DRM_PSSH | DRM_CONTENT_PROTECTION | HLS_LINES,
    .signal = template_signal,
};

static unsigned fields_of(const struct drm_system *system, enum speke_version version)
{
    return version == SPEKE_V1 ? system->v1_fields : system->v2_fields;
}

const struct drm_system *drm_find(const struct uuid *system_id, enum speke_version version)
{
    for (size_t i = 0; i < DRM_SYSTEMS; i++) {
        if (uuid_equal(&SYSTEMS[i].id, system_id))
            return fields_of(&SYSTEMS[i], version) != 0 ? &SYSTEMS[i] : NULL;
    }
    return NULL;
}

bool drm_needs_switch(const struct drm_system *system)
{
    return system->switched;
}

const struct drm_system *drm_find_by_name(const char *name)
{
    for (size_t i = 0; i < DRM_SYSTEMS; i++) {
        if (strcmp(SYSTEMS[i].name, name) == 0)
            return &SYSTEMS[i];
    }
    return NULL;
}

const struct drm_system *drm_at(size_t i)
{
    return &SYSTEMS[i];
}

size_t drm_index(const struct drm_system *system)
{
    return (size_t)(system - SYSTEMS);
}

const struct drm_system *drm_from_templates(void)
{
    return &FROM_TEMPLATES;
}

const char *drm_name(const struct drm_system *system)
{
    return system->name;
}

const char *drm_title(const struct drm_system *system)
{
    return system->title;
}

const struct uuid *drm_id(const struct drm_system *system)
{
    return &system->id;
}

bool drm_scheme_fits(const struct drm_system *system, enum scheme scheme)
{
    if (scheme == SCHEME_NONE)
        return system->v1_fields != 0;
    return (system->schemes & DRM_SCHEME_BIT(scheme)) != 0;
}

bool signal_wants(const struct signalling *s, unsigned fields)
{
    return (s->wanted & fields) != 0;
}

bool signal_given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

int signal_check(struct signalling *s, const struct buf *b)
{
    if (buf_ok(b))
        return 0;
    return fail_internal(s->f, "%s: out of memory, or a value above %d bytes", s->system->name,
                         LARGEST_VALUE);
}

int signal_base64(struct signalling *s, const struct buf *b, size_t from, const char **value)
{
    if (signal_check(s, b) != 0)
        return -1;
    char *text = arena_alloc(s->arena, BASE64_SIZE(b->len - from));
    if (text == NULL)
        return fail_memory(s->f);
    (void)base64_encode(b->data + from, b->len - from, text);
    *value = text;
    return 0;
}

int drm_signal(const struct drm_system *system, const struct drm_input *in, unsigned wanted,
               struct arena *arena, struct drm_values *out, struct failure *f)
{
    struct signalling s = {
        .system = system,
        .in = in,
        .wanted = wanted & fields_of(system, in->version),
        .arena = arena,
        .f = f,
    };
    buf_init(&s.box, LARGEST_VALUE);
    buf_init(&s.text, LARGEST_VALUE);
    const int result = s.wanted != 0 ? system->signal(&s) : 0;
    buf_free(&s.text);
    buf_free(&s.box);
    *out = result == 0 ? s.values : (struct drm_values){0};
    return result;
}
