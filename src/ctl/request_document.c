/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "ctl/request.h"
#include "drm/drm.h"

enum {
    HLS_LINES = DRM_HLS_MEDIA | DRM_HLS_MASTER,
    V1_URI = DRM_KEY_URI | DRM_KEY_FORMAT | DRM_KEY_FORMAT_VERSIONS,
    EVERYTHING = (1 << 8) - 1
};

/* What AWS's encryptors ask each system for (SPEKE v1 and v2.0 documents). */
static const struct {
    const char *system; /* short name */
    unsigned v1, v2;
} FIELDS[] = {
    {"widevine", DRM_PSSH | DRM_CONTENT_PROTECTION, DRM_PSSH | DRM_CONTENT_PROTECTION | HLS_LINES},
    {"playready", DRM_PSSH | DRM_CONTENT_PROTECTION | DRM_SMOOTH_HEADER,
     DRM_PSSH | DRM_CONTENT_PROTECTION | HLS_LINES | DRM_SMOOTH_HEADER},
    {"fairplay", V1_URI, HLS_LINES},
    {"clearkey", 0, HLS_LINES},
    {"aes128", V1_URI, 0},
    {"common", DRM_PSSH | DRM_CONTENT_PROTECTION, DRM_PSSH | DRM_CONTENT_PROTECTION},
    {"eme", DRM_CONTENT_PROTECTION, DRM_CONTENT_PROTECTION | HLS_LINES},
};

unsigned document_fields(const struct uuid *system_id, enum speke_version version)
{
    const struct drm_system *system = drm_find(system_id, version);
    for (size_t i = 0; system != NULL && i < sizeof FIELDS / sizeof FIELDS[0]; i++) {
        if (strcmp(FIELDS[i].system, drm_name(system)) == 0)
            return version == SPEKE_V1 ? FIELDS[i].v1 : FIELDS[i].v2;
    }
    return EVERYTHING;
}

/* The order of the elements in the AWS examples. */
static const struct {
    unsigned field; /* enum drm_field */
    enum cpix_field v1, v2;
    const char *playlist;
} ELEMENTS[] = {
    {DRM_PSSH, CPIX_PSSH, CPIX_PSSH, NULL},
    {DRM_CONTENT_PROTECTION, CPIX_CONTENT_PROTECTION_DATA, CPIX_CONTENT_PROTECTION_DATA, NULL},
    {DRM_HLS_MEDIA, CPIX_HLS_SIGNALING_DATA, CPIX_HLS_SIGNALING_DATA, "media"},
    {DRM_HLS_MASTER, CPIX_HLS_SIGNALING_DATA, CPIX_HLS_SIGNALING_DATA, "master"},
    {DRM_KEY_URI, CPIX_URI_EXT_X_KEY, CPIX_URI_EXT_X_KEY, NULL},
    {DRM_KEY_FORMAT, CPIX_SPEKE_KEY_FORMAT, CPIX_SPEKE_KEY_FORMAT, NULL},
    {DRM_KEY_FORMAT_VERSIONS, CPIX_SPEKE_KEY_FORMAT_VERSIONS, CPIX_SPEKE_KEY_FORMAT_VERSIONS, NULL},
    {DRM_SMOOTH_HEADER, CPIX_SPEKE_PROTECTION_HEADER, CPIX_SMOOTH_HEADER, NULL},
};

enum { ELEMENT_COUNT = sizeof ELEMENTS / sizeof ELEMENTS[0] };

static const char *uuid_text(struct arena *arena, const struct uuid *u)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(u, text);
    return arena_strndup(arena, text, UUID_TEXT_SIZE - 1);
}

static int build_keys(const struct request_plan *plan, struct arena *arena,
                      struct cpix_document *doc)
{
    doc->keys = arena_array(arena, plan->key_count, sizeof doc->keys[0]);
    if (doc->keys == NULL)
        return -1;
    doc->key_count = plan->key_count;
    doc->key_list.occurrences = 1;
    for (size_t i = 0; i < plan->key_count; i++) {
        struct cpix_content_key *key = &doc->keys[i];
        key->kid = plan->kids[i];
        key->kid_text = uuid_text(arena, &key->kid);
        key->scheme = plan->scheme;
        key->scheme_text = plan->scheme == SCHEME_NONE ? NULL : scheme_name(plan->scheme);
        key->explicit_iv = plan->iv;
        if (key->kid_text == NULL)
            return -1;
    }
    return 0;
}

static int build_placeholders(const struct request_plan *plan, struct arena *arena,
                              struct cpix_drm_system *system)
{
    const bool v1 = plan->version == SPEKE_V1;
    unsigned fields = document_fields(&system->system_id, plan->version);
    if (!v1 && !plan->smooth)
        fields &= ~(unsigned)DRM_SMOOTH_HEADER;
    if (v1) /* a v1 encryptor takes the PSSH and writes its manifests itself */
        fields &= ~(unsigned)DRM_CONTENT_PROTECTION;
    system->placeholders = arena_array(arena, ELEMENT_COUNT, sizeof system->placeholders[0]);
    if (system->placeholders == NULL)
        return -1;
    for (size_t i = 0; i < ELEMENT_COUNT; i++) {
        if ((fields & ELEMENTS[i].field) == 0)
            continue;
        system->placeholders[system->placeholder_count++] = (struct cpix_placeholder){
            .field = v1 ? ELEMENTS[i].v1 : ELEMENTS[i].v2,
            .playlist = ELEMENTS[i].playlist,
            .received = "",
            .value = ""};
    }
    return 0;
}

static int build_systems(const struct request_plan *plan, struct arena *arena,
                         struct cpix_document *doc)
{
    const size_t count = plan->key_count * plan->system_count;
    doc->systems = arena_array(arena, count, sizeof doc->systems[0]);
    if (doc->systems == NULL)
        return -1;
    doc->system_count = count;
    doc->system_list.occurrences = 1;
    for (size_t i = 0; i < count; i++) {
        struct cpix_drm_system *system = &doc->systems[i];
        system->key = i / plan->system_count;
        system->kid = plan->kids[system->key];
        system->kid_text = doc->keys[system->key].kid_text;
        system->system_id = *drm_id(plan->systems[i % plan->system_count]);
        system->system_id_text = uuid_text(arena, &system->system_id);
        if (system->system_id_text == NULL || build_placeholders(plan, arena, system) != 0)
            return -1;
    }
    return 0;
}

/* Adds an attribute unless its value is NULL; room is for four. */
static void add_attribute(struct cpix_attributes *attributes, const char *name, const char *value)
{
    if (value != NULL)
        attributes->items[attributes->count++] = (struct cpix_attribute){.name = name,
                                                                         .value = value};
}

static int make_attributes(struct arena *arena, struct cpix_attributes *attributes)
{
    enum { ROOM = 4 };
    attributes->items = arena_array(arena, ROOM, sizeof attributes->items[0]);
    return attributes->items != NULL ? 0 : -1;
}

static int build_period(const struct request_plan *plan, struct arena *arena,
                        struct cpix_document *doc)
{
    struct uuid id;
    char text[16 + UUID_TEXT_SIZE];
    char name[UUID_TEXT_SIZE];
    if (plan->period == NULL)
        return 0;
    doc->periods = arena_array(arena, 1, sizeof doc->periods[0]);
    if (doc->periods == NULL || make_attributes(arena, &doc->periods[0].attributes) != 0 ||
        plan_derive_kid("period", plan->period, plan->content_id, &id) != 0)
        return -1;
    uuid_format(&id, name);
    (void)snprintf(text, sizeof text, "keyPeriod_%s", name);
    doc->period_count = 1;
    doc->period_list.occurrences = 1;
    doc->periods[0].id = arena_strndup(arena, text, strlen(text));
    doc->periods[0].index = plan->period;
    add_attribute(&doc->periods[0].attributes, "id", doc->periods[0].id);
    add_attribute(&doc->periods[0].attributes, "index", plan->period);
    return doc->periods[0].id != NULL ? 0 : -1;
}

static int build_filters(const struct request_plan *plan, const struct preset_rule *preset,
                         struct arena *arena, struct cpix_document *doc, struct cpix_rule *rule)
{
    rule->filters = arena_array(arena, preset->filter_count + 1, sizeof rule->filters[0]);
    if (rule->filters == NULL)
        return -1;
    if (plan->period != NULL) {
        struct cpix_filter *f = &rule->filters[rule->filter_count++];
        *f = (struct cpix_filter){.kind = CPIX_KEY_PERIOD_FILTER,
                                  .name = "KeyPeriodFilter",
                                  .name_space = CPIX_NAMESPACE};
        if (make_attributes(arena, &f->attributes) != 0)
            return -1;
        add_attribute(&f->attributes, "periodId", doc->periods[0].id);
    }
    for (size_t i = 0; plan->version != SPEKE_V1 && i < preset->filter_count; i++) {
        const bool video = preset->filters[i].kind == CPIX_VIDEO_FILTER;
        struct cpix_filter *f = &rule->filters[rule->filter_count++];
        *f = (struct cpix_filter){.kind = preset->filters[i].kind,
                                  .name = video ? "VideoFilter" : "AudioFilter",
                                  .name_space = CPIX_NAMESPACE};
        if (make_attributes(arena, &f->attributes) != 0)
            return -1;
        add_attribute(&f->attributes, video ? "minPixels" : "minChannels",
                      preset->filters[i].least);
        add_attribute(&f->attributes, video ? "maxPixels" : "maxChannels", preset->filters[i].most);
    }
    return 0;
}

static int build_rules(const struct request_plan *plan, struct arena *arena,
                       struct cpix_document *doc)
{
    const bool v1 = plan->version == SPEKE_V1;
    if (v1 && plan->period == NULL)
        return 0;
    doc->rules = arena_array(arena, plan->key_count, sizeof doc->rules[0]);
    if (doc->rules == NULL)
        return -1;
    doc->rule_count = plan->key_count;
    doc->rule_list.occurrences = 1;
    for (size_t i = 0; i < plan->key_count; i++) {
        struct cpix_rule *rule = &doc->rules[i];
        rule->key = i;
        rule->kid = plan->kids[i];
        rule->kid_text = doc->keys[i].kid_text;
        rule->intended_track_type = v1 ? NULL : plan->rules[i]->track_type;
        if (make_attributes(arena, &rule->attributes) != 0)
            return -1;
        add_attribute(&rule->attributes, "kid", rule->kid_text);
        add_attribute(&rule->attributes, "intendedTrackType", rule->intended_track_type);
        if (build_filters(plan, plan->rules[i], arena, doc, rule) != 0)
            return -1;
    }
    return 0;
}

static int build_delivery(const struct request_plan *plan, struct arena *arena,
                          struct cpix_document *doc)
{
    if (plan->certificate == NULL)
        return 0;
    doc->deliveries = arena_array(arena, 1, sizeof doc->deliveries[0]);
    if (doc->deliveries == NULL)
        return -1;
    doc->deliveries[0] = (struct cpix_delivery){.id = "spekectl", .certificate = plan->certificate};
    doc->delivery_count = 1;
    doc->delivery_list.occurrences = 1;
    return 0;
}

int document_build(const struct request_plan *plan, struct arena *arena, struct cpix_document *out)
{
    *out = (struct cpix_document){.version = plan->version};
    if (plan->version == SPEKE_V1) {
        out->id = plan->content_id;
    } else {
        out->content_id = plan->content_id;
        out->version_text = plan->version == SPEKE_V2_1 ? "2.4" : "2.3";
    }
    if (build_delivery(plan, arena, out) != 0 || build_keys(plan, arena, out) != 0 ||
        build_systems(plan, arena, out) != 0 || build_period(plan, arena, out) != 0 ||
        build_rules(plan, arena, out) != 0)
        return -1;
    return 0;
}
