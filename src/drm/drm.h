/* SPDX-License-Identifier: Apache-2.0 */
/* DRM signalling: what each system wants to be told in manifests and init segments, from KID, key
 * and settings. One file a system behind the table in systems.c. Knows no XML document and no
 * database. */
#ifndef DRM_DRM_H
#define DRM_DRM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/scheme.h"
#include "base/uuid.h"

struct arena;
struct failure;

/* The values, and the bits by which they are asked for. */
enum drm_field {
    DRM_PSSH = 1 << 0,               /* base64 of a whole pssh box */
    DRM_CONTENT_PROTECTION = 1 << 1, /* base64 of the children of the DASH ContentProtection */
    DRM_HLS_MEDIA = 1 << 2,          /* base64 of the #EXT-X-KEY line */
    DRM_HLS_MASTER = 1 << 3,         /* base64 of the #EXT-X-SESSION-KEY line */
    DRM_SMOOTH_HEADER = 1 << 4,      /* base64 of the PlayReady Object */
    DRM_KEY_URI = 1 << 5,            /* v1: base64 of the URI attribute of EXT-X-KEY */
    DRM_KEY_FORMAT = 1 << 6,         /* v1: base64 of KEYFORMAT */
    DRM_KEY_FORMAT_VERSIONS = 1 << 7 /* v1: base64 of KEYFORMATVERSIONS */
};

/* NULL: the system has no such value in that version and the element is left out. "": the element
 * stays, empty. */
struct drm_values {
    const char *pssh, *content_protection, *hls_media, *hls_master, *smooth_header;
    const char *key_uri, *key_format, *key_format_versions;
};

enum playready_header { PLAYREADY_4_0, PLAYREADY_4_1, PLAYREADY_4_2, PLAYREADY_4_3 };

/* What a tenant may set for a DRM system. The templates hold text and any of {content_id}
 * (percent-encoded), {content_segment} (the same, or short where that could not stand in a path:
 * base/segment.h), {content_id_base64} (of its UTF-8; the alphabet with '+' and '/'), {kid}
 * (lower case with hyphens), {kid_hex}, {kid_base64}, {iv_base64}, {iv_hex}, {system_id}. Those of
 * URIs also {guide_json} (the base64 JSON that the MediaPackage guide asks for), {key_url},
 * {clearkey_url} and {pssh} (base64 of the box), those of XML also {pssh}, {content_id_raw} (as it
 * is) and {content_id_json} (a JSON string in quotes), those of data these two, {kid_bytes} and
 * {hex:0a1b}. */
struct drm_settings {
    const char *widevine_provider;          /* NULL or "": field left out */
    const char *widevine_policy;            /* likewise */
    const char *playready_la_url;           /* NULL or "": no LA_URL element */
    enum playready_header playready_header; /* for CTR; CBC is always 4.3 */
    bool widevine_content_id;               /* put the content id into the box */
    const char *fairplay_uri;               /* template of the whole URI */
    const char *key_url;                    /* template of the AES-128 key URL */
    const char *key_url_base;      /* what {key_url} stands for, without a slash at its end */
    const char *eme_la_url;        /* template of the licence URL */
    const char *clearkey_url_base; /* what {clearkey_url} stands for, likewise */
    bool eme_licence;              /* the system "eme" is served */
    bool hls_ctr_method;           /* METHOD=SAMPLE-AES-CTR for cenc; else SAMPLE-AES there too */
    bool hls_keyid;                /* add KEYID=0x… to the Widevine line */
    bool hls_iv; /* add IV=0x… to the AES-128 line; else a segment's number is its IV */
    const char *hls_keyformat;         /* KEYFORMAT; NULL or "": the system's own */
    const char *hls_keyformatversions; /* KEYFORMATVERSIONS, likewise: "1" */

    /* A system from templates alone; NULL or "": it has no such value. */
    unsigned schemes;               /* bits DRM_SCHEME_BIT() of those that it works with */
    bool pssh_kid;                  /* a version 1 box, which names the KID; else version 0 */
    const char *pssh;               /* template of the data in its box */
    const char *content_protection; /* template of the children of ContentProtection */
    const char *hls_uri;            /* template of URI in the HLS lines */

    /* What the document says beside the system's values in SPEKE v2.1; NULL or "": nothing. */
    const char *robustness, *hls_allowed_cpc;
};

#define DRM_SCHEME_BIT(scheme) (1U << (scheme))

/* The settings that follow the MediaPackage guide: skd:// with {guide_json}, and
 * {key_url}/{content_segment}/{kid}. key_url_base is "" and has to be set where AES-128 is in use.
 */
extern const struct drm_settings DRM_DEFAULT_SETTINGS;

struct drm_input {
    const struct uuid *kid;
    const unsigned char *key; /* 16 bytes; only PlayReady's CHECKSUM comes from them */
    const unsigned char *iv;  /* 16 bytes, NULL when there is none */
    const char *iv_text;    /* the base64 text of explicitIV that stands in the document, or NULL */
    const char *content_id; /* UTF-8 */
    enum scheme scheme;
    enum speke_version version;
    const struct drm_settings *settings;
    const struct uuid *system_id; /* of a system from templates */
    const char *pssh;             /* base64 of the box at hand; set within the room */
};

struct drm_system;

/* The systems that the program knows, in a fixed order. */
enum { DRM_SYSTEMS = 7 };
const struct drm_system *drm_at(size_t i);
size_t drm_index(const struct drm_system *system); /* its place in that order */
/* The one that stands for all others: what it says comes from the templates of the settings. */
const struct drm_system *drm_from_templates(void);

/* The system with that ID, NULL when none is known in that version. */
const struct drm_system *drm_find(const struct uuid *system_id, enum speke_version version);
/* By its short name: widevine, playready, fairplay, clearkey (HLS AES-128), aes128 (its v1 ID),
 * common, eme (Clear Key licences). NULL when there is none. */
const struct drm_system *drm_find_by_name(const char *name);
const char *drm_name(const struct drm_system *system);  /* short name */
const char *drm_title(const struct drm_system *system); /* for people: "PlayReady" */
const struct uuid *drm_id(const struct drm_system *system);
/* Whether it is served only where the settings switch it on. */
bool drm_needs_switch(const struct drm_system *system);
/* Whether the system works with the scheme. SCHEME_NONE fits every system that v1 knows. */
bool drm_scheme_fits(const struct drm_system *system, enum scheme scheme);

/* Computes the wanted fields into *out, all others NULL. Texts are in the arena or static; nothing
 * of the key but PlayReady's CHECKSUM is among them. Returns 0, or -1 with the failure set (500:
 * memory, or a setting that no valid value can be made of) and *out all NULL. */
int drm_signal(const struct drm_system *system, const struct drm_input *in, unsigned wanted,
               struct arena *arena, struct drm_values *out, struct failure *f);

#endif
