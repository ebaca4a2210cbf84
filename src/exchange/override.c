/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/override.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/failure.h"
#include "base/trim.h"
#include "cpix/cpix.h"

enum { SHA1_BYTES = 20, LARGEST_NAME = 1 << 20 };

static const struct uuid NAME_SPACE = {{0x2f, 0x8a, 0x9c, 0x1e, 0x6b, 0x7d, 0x5e, 0x43, 0x9a, 0x10,
                                        0x5d, 0x3c, 0x7e, 0x8f, 0x4b, 0x21}};

int override_uuid5(const struct uuid *name_space, const void *name, size_t n, struct uuid *out)
{
    unsigned char digest[SHA1_BYTES];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const bool done = context != NULL && EVP_DigestInit_ex(context, EVP_sha1(), NULL) == 1 &&
                      EVP_DigestUpdate(context, name_space->bytes, UUID_BYTES) == 1 &&
                      EVP_DigestUpdate(context, name, n) == 1 &&
                      EVP_DigestFinal_ex(context, digest, NULL) == 1;
    EVP_MD_CTX_free(context);
    if (!done)
        return -1;
    memcpy(out->bytes, digest, UUID_BYTES);
    out->bytes[6] = (uint8_t)((out->bytes[6] & 0x0f) | 0x50);
    out->bytes[8] = (uint8_t)((out->bytes[8] & 0x3f) | 0x80);
    return 0;
}

/* --- Names ---------------------------------------------------------------------------------- */

static void put_span(struct buf *b, struct span s)
{
    buf_put(b, s.text, s.n);
}

static const struct cpix_period *period_of(const struct cpix_document *doc,
                                           const struct cpix_rule *rule)
{
    const char *id = NULL;
    for (size_t i = 0; id == NULL && i < rule->filter_count; i++) {
        if (rule->filters[i].kind == CPIX_KEY_PERIOD_FILTER)
            id = cpix_attribute(&rule->filters[i].attributes, "periodId");
    }
    for (size_t i = 0; id != NULL && i < doc->period_count; i++) {
        if (span_compare(trim(doc->periods[i].id), trim(id)) == 0)
            return &doc->periods[i];
    }
    return NULL;
}

static const struct cpix_rule *rule_of(const struct cpix_document *doc, size_t key)
{
    for (size_t i = 0; i < doc->rule_count; i++) {
        if (doc->rules[i].key == key)
            return &doc->rules[i];
    }
    return NULL;
}

/* What tells a period from the others: the first of these that it has. */
static struct span place_of(const struct cpix_period *period)
{
    const struct span index = trim(period->index), start = trim(period->start);
    if (index.n > 0)
        return index;
    return start.n > 0 ? start : trim(period->start_offset);
}

static void put_name(struct buf *b, const struct cpix_document *doc, size_t key)
{
    const bool v1 = doc->version == SPEKE_V1;
    const struct cpix_rule *rule = rule_of(doc, key);
    const struct cpix_period *period = rule == NULL ? NULL : period_of(doc, rule);
    put_span(b, trim(v1 ? doc->id : doc->content_id));
    buf_putc(b, '\n');
    if (!v1 && rule != NULL)
        put_span(b, trim(rule->intended_track_type));
    buf_putc(b, '\n');
    if (period != NULL)
        put_span(b, place_of(period));
}

/* --- The document --------------------------------------------------------------------------- */

static int compute(const struct cpix_document *doc, struct uuid *kids, struct failure *f)
{
    struct buf name;
    int result = 0;
    buf_init(&name, LARGEST_NAME);
    for (size_t i = 0; result == 0 && i < doc->key_count; i++) {
        buf_clear(&name);
        put_name(&name, doc, i);
        if (!buf_ok(&name))
            result = fail_memory(f);
        else if (override_uuid5(&NAME_SPACE, name.data, name.len, &kids[i]) != 0)
            result = fail_internal(f, "KID override: SHA-1 failed");
    }
    buf_free(&name);
    return result;
}

static int compare_kids(const void *a, const void *b)
{
    return uuid_compare(a, b);
}

/* Tells the second key of those that would have one KID. */
static int refuse_twins(const struct cpix_document *doc, const struct uuid *kids,
                        const struct uuid *twin, struct failure *f)
{
    char text[UUID_TEXT_SIZE];
    size_t i = 0;
    while (!uuid_equal(&kids[i], twin))
        i++;
    do
        i++;
    while (!uuid_equal(&kids[i], twin));
    uuid_format(twin, text);
    (void)fail(f, 422, "KID override gives two ContentKeys the same KID: %s", text);
    f->line = doc->keys[i].line;
    return fail_because(f, "ContentKeyList/ContentKey[%zu]@kid, line %d", i + 1, f->line);
}

static int check_distinct(const struct cpix_document *doc, const struct uuid *kids,
                          struct arena *arena, struct failure *f)
{
    const size_t count = doc->key_count;
    struct uuid *sorted = arena_array(arena, count, sizeof *sorted);
    if (sorted == NULL)
        return fail_memory(f);
    memcpy(sorted, kids, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_kids);
    for (size_t i = 1; i < count; i++) {
        if (uuid_equal(&sorted[i - 1], &sorted[i]))
            return refuse_twins(doc, kids, &sorted[i], f);
    }
    return 0;
}

static void set_attribute(struct cpix_attributes *attributes, const char *name, const char *value)
{
    for (size_t i = 0; i < attributes->count; i++) {
        struct cpix_attribute *a = &attributes->items[i];
        if (a->name_space == NULL && strcmp(a->name, name) == 0)
            a->value = value;
    }
}

/* Everything that refers to a key follows it. */
static void follow(struct cpix_document *doc)
{
    for (size_t i = 0; i < doc->system_count; i++) {
        struct cpix_drm_system *system = &doc->systems[i];
        system->kid = doc->keys[system->key].kid;
        system->kid_text = doc->keys[system->key].kid_text;
    }
    for (size_t i = 0; i < doc->rule_count; i++) {
        struct cpix_rule *rule = &doc->rules[i];
        if (rule->key == CPIX_NO_KEY)
            continue;
        rule->kid = doc->keys[rule->key].kid;
        rule->kid_text = doc->keys[rule->key].kid_text;
        set_attribute(&rule->attributes, "kid", rule->kid_text);
    }
}

int override_kids(struct cpix_document *doc, struct arena *arena, struct failure *f)
{
    struct uuid *kids = arena_array(arena, doc->key_count, sizeof *kids);
    char(*texts)[UUID_TEXT_SIZE] = arena_array(arena, doc->key_count, sizeof *texts);
    if (kids == NULL || texts == NULL)
        return fail_memory(f);
    if (compute(doc, kids, f) != 0 || check_distinct(doc, kids, arena, f) != 0)
        return -1;
    for (size_t i = 0; i < doc->key_count; i++) {
        uuid_format(&kids[i], texts[i]);
        doc->keys[i].kid = kids[i];
        doc->keys[i].kid_text = texts[i];
    }
    follow(doc);
    return 0;
}
