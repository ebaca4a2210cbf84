/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/tenant.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/failure.h"
#include "base/log.h"
#include "drm/template.h"
#include "exchange/tenant_lists.h"
#include "exchange/tenant_options.h"
#include "keystore/keystore.h"

enum { CONFIG_MAX = 32 * 1024 * 1024 }; /* a thousand settings of the largest size do not fit */

_Static_assert(sizeof(enum playready_header) == sizeof(unsigned), "options are stored as unsigned");

/* --- Defaults ------------------------------------------------------------------------------- */

/* The table's defaults of what is the tenant's as a whole; those of the systems are
 * DRM_DEFAULT_SETTINGS, which a test holds against the table. */
static void set_defaults(struct tenant_config *c)
{
    size_t count;
    const struct tenant_option *options = tenant_options(&count);
    for (size_t i = 0; i < count; i++) {
        if (options[i].systems[0] == '\0' && options[i].initial != NULL)
            tenant_option_store(&options[i], options[i].initial, c);
    }
    for (size_t i = 0; i < DRM_SYSTEMS; i++)
        c->known[i] = DRM_DEFAULT_SETTINGS;
}

static void set_delivery(struct tenant_config *c)
{
    c->delivery_policy.min_rsa_bits = (int)c->min_rsa_bits; /* at most 8192 */
    c->delivery_policy.check_validity = c->check_validity;
    c->delivery_policy.mac_shape = (enum cpix_mac_shape)c->mac_shape;
    c->delivery_policy.registered_only = c->recipients_text != NULL || c->authorities_text != NULL;
}

void tenant_config_init(struct tenant_config *c)
{
    memset(c, 0, sizeof *c);
    arena_init(&c->arena, CONFIG_MAX);
    set_defaults(c);
    c->delivery_policy = DELIVERY_DEFAULT_POLICY;
    set_delivery(c);
}

void tenant_config_free(struct tenant_config *c)
{
    X509_STORE_free(c->delivery_policy.authorities);
    c->delivery_policy.authorities = NULL;
    arena_free(&c->arena);
}

/* --- Settings ------------------------------------------------------------------------------- */

static struct drm_settings *settings_of(struct tenant_config *c, const struct uuid *id)
{
    for (size_t i = 0; i < DRM_SYSTEMS; i++) {
        if (uuid_equal(drm_id(drm_at(i)), id))
            return &c->known[i];
    }
    for (size_t i = 0; i < c->other_count; i++) {
        if (uuid_equal(&c->others[i].id, id))
            return &c->others[i].settings;
    }
    struct tenant_system *other = &c->others[c->other_count++];
    *other = (struct tenant_system){.id = *id, .settings = DRM_DEFAULT_SETTINGS};
    return &other->settings;
}

static int wrong(const struct keystore_setting *s, const char *why, struct failure *f)
{
    return fail_internal(f, "the tenant's setting \"%s\"%s%s: %s", s->name,
                         s->system[0] == '\0' ? "" : " of DRM system ", s->system, why);
}

static int take_setting(struct tenant_config *c, const struct keystore_setting *s,
                        struct failure *f)
{
    char why[256];
    struct uuid id;
    const bool whole = s->system[0] == '\0';
    if (!whole && uuid_parse(s->system, &id) != 0)
        return wrong(s, "the system is no UUID", f);
    const struct tenant_option *option = tenant_option_find(whole ? NULL : &id, s->name);
    if (option == NULL)
        return wrong(s, "not known to this version of the program", f);
    if (tenant_option_check(option, s->value, why, sizeof why) != 0)
        return wrong(s, why, f);
    const char *value = arena_strndup(&c->arena, s->value, strlen(s->value));
    if (value == NULL)
        return fail_memory(f);
    tenant_option_store(option, value, whole ? (void *)c : settings_of(c, &id));
    return 0;
}

static size_t count_words(const char *text)
{
    const char *word;
    size_t count = 0;
    while (text != NULL && tenant_next_word(&text, &word) > 0)
        count++;
    return count;
}

/* A list of DRM systems that has passed its check, so every word can be read. */
static int read_systems(struct tenant_config *c, const char *text, struct uuid **systems,
                        size_t *count, struct failure *f)
{
    const char *p = text, *word;
    size_t n;
    *systems = arena_array(&c->arena, count_words(text), sizeof **systems);
    if (*systems == NULL)
        return fail_memory(f);
    while (p != NULL && (n = tenant_next_word(&p, &word)) > 0) {
        if (tenant_system_parse(word, n, &(*systems)[(*count)++]) != 0)
            return fail_internal(f, "a DRM system that was checked does not parse");
    }
    return 0;
}

static int read_lists(struct tenant_config *c, struct failure *f)
{
    const size_t recipients = count_words(c->recipients_text);
    struct certificate_fingerprint *fingerprints = arena_array(&c->arena, recipients,
                                                               sizeof *fingerprints);
    if (fingerprints == NULL)
        return fail_memory(f);
    if (read_systems(c, c->systems_text, &c->systems, &c->system_count, f) != 0 ||
        read_systems(c, c->fetch_systems_text, &c->fetch_systems, &c->fetch_system_count, f) != 0)
        return -1;
    const char *p = c->recipients_text, *word;
    size_t n;
    for (size_t i = 0; p != NULL && (n = tenant_next_word(&p, &word)) > 0; i++) {
        if (tenant_fingerprint_parse(word, n, fingerprints[i].bytes) != 0)
            return fail_internal(f, "a fingerprint that was checked does not parse");
    }
    c->delivery_policy.fingerprints = fingerprints;
    c->delivery_policy.fingerprint_count = recipients;
    return 0;
}

static int read_authorities(struct tenant_config *c, struct failure *f)
{
    char why[256];
    if (c->authorities_text == NULL)
        return 0;
    c->delivery_policy.authorities = tenant_authorities(c->authorities_text, why, sizeof why);
    return c->delivery_policy.authorities == NULL
               ? fail_internal(f, "the tenant's setting \"delivery_ca\": %s", why)
               : 0;
}

static int encode_output_protection(struct tenant_config *c, struct failure *f)
{
    if (c->output_protection == NULL)
        return 0;
    const size_t n = strlen(c->output_protection);
    char *text = arena_alloc(&c->arena, BASE64_SIZE(n));
    if (text == NULL)
        return fail_memory(f);
    (void)base64_encode(c->output_protection, n, text); /* the length is known */
    c->output_protection_base64 = text;
    return 0;
}

/* A system whose settings were brought into disorder past spekectl is taken for one that nobody
 * set up. */
static void judge_others(struct tenant_config *c, const char *tenant)
{
    char why[256], id[UUID_TEXT_SIZE];
    for (size_t i = 0; i < c->other_count; i++) {
        struct tenant_system *other = &c->others[i];
        if (tenant_templates_check(&other->settings, why, sizeof why) == 0)
            continue;
        uuid_format(&other->id, id);
        log_warning("tenant \"%s\": DRM system %s is not served: %s", tenant, id, why);
        other->broken = true;
    }
}

int tenant_config_read(struct tenant_config *c, const struct keystore_client *client,
                       struct failure *f)
{
    tenant_config_init(c);
    c->others = arena_array(&c->arena, client->setting_count, sizeof *c->others);
    if (c->others == NULL)
        return fail_memory(f);
    for (size_t i = 0; i < client->setting_count; i++) {
        if (take_setting(c, &client->settings[i], f) != 0)
            return -1;
    }
    judge_others(c, client->tenant);
    c->tenant = arena_strndup(&c->arena, client->tenant, strlen(client->tenant));
    if (c->tenant == NULL)
        return fail_memory(f);
    set_delivery(c);
    if (read_lists(c, f) != 0 || read_authorities(c, f) != 0)
        return -1;
    return encode_output_protection(c, f);
}

/* --- Systems -------------------------------------------------------------------------------- */

static bool is_served(const struct tenant_config *c, const struct uuid *id)
{
    size_t i = 0;
    while (i < c->system_count && !uuid_equal(&c->systems[i], id))
        i++;
    return c->system_count == 0 || i < c->system_count;
}

static bool has_template(const struct drm_settings *s)
{
    return s->pssh != NULL || s->content_protection != NULL || s->hls_uri != NULL;
}

int tenant_templates_check(const struct drm_settings *settings, char *why, size_t size)
{
    const size_t in_xml = template_place_of(TEMPLATE_XML, settings->content_protection, "pssh");
    const size_t in_uri = template_place_of(TEMPLATE_URI, settings->hls_uri, "pssh");
    if (settings->pssh != NULL || (in_xml == 0 && in_uri == 0))
        return 0;
    (void)snprintf(why, size,
                   "%s, byte %zu: {pssh} stands for the box that the setting pssh "
                   "makes, and it is not set",
                   in_xml != 0 ? "content_protection" : "hls_uri", in_xml != 0 ? in_xml : in_uri);
    return -1;
}

const struct drm_system *tenant_system(const struct tenant_config *c, const struct uuid *id,
                                       enum speke_version version,
                                       const struct drm_settings **settings)
{
    const struct drm_system *system = drm_find(id, version);
    if (!is_served(c, id))
        return NULL;
    if (system != NULL) {
        *settings = &c->known[drm_index(system)];
        return drm_needs_switch(system) && !(*settings)->eme_licence ? NULL : system;
    }
    for (size_t i = 0; i < c->other_count; i++) {
        if (!uuid_equal(&c->others[i].id, id) || c->others[i].broken ||
            !has_template(&c->others[i].settings))
            continue;
        *settings = &c->others[i].settings;
        return drm_from_templates();
    }
    return NULL;
}

bool tenant_scheme_fits(const struct drm_system *system, const struct drm_settings *settings,
                        enum scheme scheme)
{
    if (system != drm_from_templates())
        return drm_scheme_fits(system, scheme);
    return scheme == SCHEME_NONE || (settings->schemes & DRM_SCHEME_BIT(scheme)) != 0;
}

static enum cpix_fit system_fit(const void *context, const struct uuid *system_id,
                                enum scheme scheme, enum speke_version version)
{
    const struct drm_settings *settings;
    const struct drm_system *system = tenant_system(context, system_id, version, &settings);
    if (system == NULL)
        return CPIX_UNKNOWN_SYSTEM;
    if (scheme == SCHEME_NONE)
        return CPIX_FITS;
    return tenant_scheme_fits(system, settings, scheme) ? CPIX_FITS : CPIX_MISFIT;
}

struct cpix_rules tenant_rules(const struct tenant_config *c, enum speke_version version)
{
    return (struct cpix_rules){
        .version = version,
        .system_fit = system_fit,
        .fit_context = c,
        .strict_cardinality = c->strict_cardinality,
        .allow_unsupported_filters = c->allow_unsupported_filters,
    };
}

/* --- Cache ---------------------------------------------------------------------------------- */

static void clear_place(struct tenant_place *place)
{
    if (place->tenant == NULL)
        return;
    free(place->tenant);
    place->tenant = NULL;
    tenant_config_free(&place->config);
}

/* An older configuration of the tenant gives its place up, else the oldest place is taken. */
static struct tenant_place *free_place(struct tenant_cache *cache, const char *tenant)
{
    size_t i = 0;
    while (i < TENANTS_KEPT &&
           (cache->places[i].tenant == NULL || strcmp(cache->places[i].tenant, tenant) != 0))
        i++;
    if (i == TENANTS_KEPT) {
        i = cache->next;
        cache->next = (cache->next + 1) % TENANTS_KEPT;
    }
    clear_place(&cache->places[i]);
    return &cache->places[i];
}

const struct tenant_config *tenant_cache_get(struct tenant_cache *cache,
                                             const struct keystore_client *client,
                                             struct failure *f)
{
    for (size_t i = 0; i < TENANTS_KEPT; i++) {
        const struct tenant_place *place = &cache->places[i];
        if (place->tenant != NULL && place->generation == client->generation &&
            strcmp(place->tenant, client->tenant) == 0)
            return &place->config;
    }
    struct tenant_place *place = free_place(cache, client->tenant);
    place->tenant = strdup(client->tenant);
    place->generation = client->generation;
    if (place->tenant == NULL) {
        (void)fail_memory(f);
        return NULL;
    }
    if (tenant_config_read(&place->config, client, f) == 0)
        return &place->config;
    clear_place(place);
    return NULL;
}

void tenant_cache_free(struct tenant_cache *cache)
{
    for (size_t i = 0; i < TENANTS_KEPT; i++)
        clear_place(&cache->places[i]);
}
