/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/signal.h"

#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/failure.h"
#include "base/segment.h"
#include "base/settings.h"
#include "cpix/cpix.h"
#include "drm/drm.h"
#include "exchange/tenant.h"
#include "keystore/keystore.h"

/* "media" or nothing asks for EXT-X-KEY; "master", in CPIX 2.4 "multiVariant", for
 * EXT-X-SESSION-KEY. The checks let no other word through. */
static enum drm_field hls_field(const struct cpix_placeholder *p)
{
    const char *word = p->playlist == NULL ? "" : p->playlist;
    return strstr(word, "master") != NULL || strstr(word, "multiVariant") != NULL ? DRM_HLS_MASTER
                                                                                  : DRM_HLS_MEDIA;
}

/* What a placeholder asks the DRM system for; 0 when the version does not have the element. SPEKE
 * v2.x has dropped URIExtXKey and the speke namespace, and v1 does not know HLSSignalingData. */
static unsigned wanted_field(const struct cpix_placeholder *p, enum speke_version version)
{
    const bool v1 = version == SPEKE_V1;
    switch (p->field) {
    case CPIX_PSSH:
        return DRM_PSSH;
    case CPIX_CONTENT_PROTECTION_DATA:
        return DRM_CONTENT_PROTECTION;
    case CPIX_HLS_SIGNALING_DATA:
        return v1 ? 0 : hls_field(p);
    case CPIX_SMOOTH_HEADER:
        return v1 ? 0 : DRM_SMOOTH_HEADER;
    case CPIX_SPEKE_PROTECTION_HEADER:
        return v1 ? DRM_SMOOTH_HEADER : 0;
    case CPIX_URI_EXT_X_KEY:
        return v1 ? DRM_KEY_URI : 0;
    case CPIX_SPEKE_KEY_FORMAT:
        return v1 ? DRM_KEY_FORMAT : 0;
    case CPIX_SPEKE_KEY_FORMAT_VERSIONS:
        return v1 ? DRM_KEY_FORMAT_VERSIONS : 0;
    }
    return 0;
}

static const char *value_of(const struct drm_values *values, unsigned field)
{
    switch (field) {
    case DRM_PSSH:
        return values->pssh;
    case DRM_CONTENT_PROTECTION:
        return values->content_protection;
    case DRM_HLS_MEDIA:
        return values->hls_media;
    case DRM_HLS_MASTER:
        return values->hls_master;
    case DRM_SMOOTH_HEADER:
        return values->smooth_header;
    case DRM_KEY_URI:
        return values->key_uri;
    case DRM_KEY_FORMAT:
        return values->key_format;
    case DRM_KEY_FORMAT_VERSIONS:
        return values->key_format_versions;
    default:
        return NULL;
    }
}

/* A text of the settings that is to be written, NULL for none. */
static const char *given(const char *text)
{
    return text == NULL || text[0] == '\0' ? NULL : text;
}

static int signal_system(struct cpix_drm_system *system, const struct drm_system *drm,
                         const struct drm_input *in, struct arena *arena, struct failure *f)
{
    unsigned wanted = 0;
    struct drm_values values;
    for (size_t i = 0; i < system->placeholder_count; i++)
        wanted |= wanted_field(&system->placeholders[i], in->version);
    if (drm_signal(drm, in, wanted, arena, &values, f) != 0)
        return -1;
    for (size_t i = 0; i < system->placeholder_count; i++) {
        struct cpix_placeholder *p = &system->placeholders[i];
        p->value = value_of(&values, wanted_field(p, in->version));
        p->robustness = given(in->settings->robustness);
        /* An empty PSSH is what v2.x encryptors expect of FairPlay; in v1 it would mean nothing. */
        if (in->version == SPEKE_V1 && p->value != NULL && p->value[0] == '\0')
            p->value = NULL;
    }
    system->hls_allowed_cpc = given(in->settings->hls_allowed_cpc);
    return 0;
}

enum { URL_MAX = 16 * 1024 };

/* What players fetch is below the player's door and the tenant's name, where the operator has told
 * where the door is, else next to the request's own URL. NULL when memory ran out. */
static const char *player_url(const struct settings *settings, const struct tenant_config *config,
                              const char *base_url, const char *what, struct arena *arena)
{
    const char *door = given(config->player_url);
    struct buf url;
    buf_init(&url, URL_MAX);
    if (door == NULL)
        door = given(settings->player_url);
    buf_puts(&url, door != NULL ? door : base_url);
    if (url.len > 0 && url.data[url.len - 1] == '/')
        url.len--;
    if (door != NULL) {
        buf_putc(&url, '/');
        segment_put(&url, config->tenant);
    }
    buf_putc(&url, '/');
    buf_puts(&url, what);
    const char *copy = buf_ok(&url) ? arena_strndup(arena, (const char *)url.data, url.len) : NULL;
    buf_free(&url);
    return copy;
}

/* The writer keeps it to SPEKE v2.1. Whatever the request brought is not the provider's word. */
static void put_hdcp(struct cpix_document *doc, const struct tenant_config *config)
{
    for (size_t i = 0; i < doc->key_count; i++) {
        doc->keys[i].hdcp_level = given(config->hdcp_level);
        doc->keys[i].hdcp_output_protection = given(config->output_protection_base64);
    }
}

int signal_systems(struct cpix_document *doc, const struct keystore_slot *slots,
                   const struct settings *settings, const struct tenant_config *config,
                   const char *base_url, struct arena *arena, struct failure *f)
{
    const char *key_url = given(settings->key_url);
    const char *clearkey_url = player_url(settings, config, base_url, "clearkey", arena);
    if (key_url == NULL)
        key_url = player_url(settings, config, base_url, "client", arena);
    if (key_url == NULL || clearkey_url == NULL)
        return fail_memory(f);
    put_hdcp(doc, config);
    for (size_t i = 0; i < doc->system_count; i++) {
        struct cpix_drm_system *system = &doc->systems[i];
        const struct cpix_content_key *key = &doc->keys[system->key];
        const struct drm_settings *of_tenant;
        const struct drm_system *drm = tenant_system(config, &system->system_id, doc->version,
                                                     &of_tenant);
        if (drm == NULL)
            return fail_internal(f, "a DRM system that was checked is not known, line %d",
                                 system->line);
        struct drm_settings drm_settings = *of_tenant;
        drm_settings.key_url_base = key_url;
        drm_settings.clearkey_url_base = clearkey_url;
        const struct drm_input in = {
            .kid = &key->kid,
            .key = key->key,
            .iv = slots[system->key].iv,
            .iv_text = key->explicit_iv,
            .content_id = doc->version == SPEKE_V1 ? doc->id : doc->content_id,
            .scheme = key->scheme,
            .version = doc->version,
            .settings = &drm_settings,
            .system_id = &system->system_id,
        };
        if (signal_system(system, drm, &in, arena, f) != 0)
            return -1;
    }
    return 0;
}
