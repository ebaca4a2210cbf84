/* SPDX-License-Identifier: Apache-2.0 */
#include "document.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "content.h"
#include "cpix/cpix.h"

static const char *const WIDEVINE = "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed";
static const char *const PLAYREADY = "9a04f079-9840-4286-ab92-e65be0885f95";
static const char *const FAIRPLAY = "94ce86fb-07ff-4f43-adb8-93d2fa968ca2";

enum { SYSTEMS = 3, ARENA_MAX = 4 * 1024 * 1024 };

static void ask(struct cpix_drm_system *system, enum cpix_field field, const char *playlist)
{
    system->placeholders[system->placeholder_count++] = (struct cpix_placeholder){
        .field = field, .playlist = playlist, .value = ""};
}

static int ask_system(struct arena *arena, struct cpix_drm_system *system, const char *system_id,
                      const char *kid)
{
    system->kid_text = kid;
    system->system_id_text = system_id;
    system->placeholders = arena_array(arena, 4, sizeof *system->placeholders);
    if (system->placeholders == NULL)
        return -1;
    ask(system, CPIX_PSSH, NULL);
    if (system_id != FAIRPLAY) /* which has none */
        ask(system, CPIX_CONTENT_PROTECTION_DATA, NULL);
    ask(system, CPIX_HLS_SIGNALING_DATA, "media");
    ask(system, CPIX_HLS_SIGNALING_DATA, "master");
    return 0;
}

static int add_rule(struct arena *arena, struct cpix_rule *rule, size_t index, const char *kid)
{
    char name[16];
    const int n = snprintf(name, sizeof name, "VIDEO%zu", index);
    char *track = arena_strndup(arena, name, (size_t)n);
    rule->attributes.items = arena_array(arena, 2, sizeof *rule->attributes.items);
    rule->filters = arena_array(arena, 1, sizeof *rule->filters);
    if (track == NULL || rule->attributes.items == NULL || rule->filters == NULL)
        return -1;
    rule->attributes.items[0] = (struct cpix_attribute){.name = "kid", .value = kid};
    rule->attributes.items[1] = (struct cpix_attribute){.name = "intendedTrackType",
                                                        .value = track};
    rule->attributes.count = 2;
    rule->filters[0] = (struct cpix_filter){
        .kind = CPIX_VIDEO_FILTER, .name = "VideoFilter", .name_space = CPIX_NAMESPACE};
    rule->filter_count = 1;
    return 0;
}

static int add_key(struct arena *arena, struct cpix_document *doc, size_t index,
                   const struct uuid *id)
{
    static const char *const *const systems[SYSTEMS] = {&WIDEVINE, &PLAYREADY, &FAIRPLAY};
    char text[UUID_TEXT_SIZE];
    uuid_format(id, text);
    const char *kid = arena_strndup(arena, text, sizeof text - 1);
    if (kid == NULL)
        return -1;
    doc->keys[index] = (struct cpix_content_key){.kid_text = kid, .scheme_text = "cbcs"};
    for (size_t i = 0; i < SYSTEMS; i++) {
        if (ask_system(arena, &doc->systems[index * SYSTEMS + i], *systems[i], kid) != 0)
            return -1;
    }
    return add_rule(arena, &doc->rules[index], index, kid);
}

static int fill(struct arena *arena, struct cpix_document *doc, uint64_t run, uint64_t content,
                size_t keys)
{
    doc->keys = arena_array(arena, keys, sizeof *doc->keys);
    doc->systems = arena_array(arena, keys * SYSTEMS, sizeof *doc->systems);
    doc->rules = arena_array(arena, keys, sizeof *doc->rules);
    if (doc->keys == NULL || doc->systems == NULL || doc->rules == NULL)
        return -1;
    doc->key_count = doc->rule_count = keys;
    doc->system_count = keys * SYSTEMS;
    for (size_t i = 0; i < keys; i++) {
        struct uuid kid;
        bench_kid(run, content, i, &kid);
        if (add_key(arena, doc, i, &kid) != 0)
            return -1;
    }
    return 0;
}

int bench_request(uint64_t run, uint64_t content, size_t keys, const char *recipient,
                  struct buf *out)
{
    char content_id[BENCH_CONTENT_ID_SIZE];
    struct cpix_delivery delivery = {.id = "recipient", .certificate = recipient};
    bench_content_id(run, content, content_id);
    struct cpix_document doc = {
        .version = SPEKE_V2_0,
        .content_id = content_id,
        .version_text = "2.3",
        .delivery_list = {.occurrences = recipient != NULL},
        .deliveries = &delivery,
        .delivery_count = recipient != NULL,
        .key_list = {.occurrences = 1},
        .system_list = {.occurrences = 1},
        .rule_list = {.occurrences = 1},
    };
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    const int result = fill(&arena, &doc, run, content, keys);
    if (result == 0)
        cpix_write(&doc, out);
    arena_free(&arena);
    return result == 0 && buf_ok(out) ? 0 : -1;
}
