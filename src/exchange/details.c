/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/details.h"

#include <stdbool.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/failure.h"
#include "base/trim.h"
#include "cpix/certificate.h"
#include "cpix/cpix.h"
#include "keystore/keystore.h"

/* As many bytes as the database keeps of one rule's filters. */
enum { FILTERS_MAX = 65536 };

/* Adds an id to those that were found, unless it is among them. There are a handful. */
static void add_distinct(struct uuid *found, size_t *count, const struct uuid *id)
{
    size_t i = 0;
    while (i < *count && !uuid_equal(&found[i], id))
        i++;
    if (i == *count)
        found[(*count)++] = *id;
}

static int gather_systems(const struct cpix_document *doc, struct arena *arena,
                          struct keystore_details *details)
{
    struct uuid *found = arena_array(arena, doc->system_count, sizeof *found);
    if (found == NULL)
        return -1;
    for (size_t i = 0; i < doc->system_count; i++)
        add_distinct(found, &details->system_count, &doc->systems[i].system_id);
    details->systems = found;
    return 0;
}

static bool names_period(const struct cpix_rule *rule, const char *id)
{
    for (size_t i = 0; i < rule->filter_count; i++) {
        const struct cpix_filter *filter = &rule->filters[i];
        if (filter->kind == CPIX_KEY_PERIOD_FILTER &&
            span_compare(trim(cpix_attribute(&filter->attributes, "periodId")), trim(id)) == 0)
            return true;
    }
    return false;
}

static int gather_kids(const struct cpix_document *doc, const struct cpix_period *period,
                       struct uuid *scratch, struct arena *arena, struct keystore_period *out)
{
    for (size_t i = 0; i < doc->rule_count; i++) {
        if (doc->rules[i].key != CPIX_NO_KEY && names_period(&doc->rules[i], period->id))
            add_distinct(scratch, &out->kid_count, &doc->rules[i].kid);
    }
    struct uuid *kids = arena_array(arena, out->kid_count, sizeof *kids);
    if (kids == NULL)
        return -1;
    memcpy(kids, scratch, out->kid_count * sizeof *kids);
    out->kids = kids;
    return 0;
}

static int gather_periods(const struct cpix_document *doc, struct arena *arena,
                          struct keystore_details *details)
{
    struct keystore_period *periods = arena_array(arena, doc->period_count, sizeof *periods);
    struct uuid *scratch = arena_array(arena, doc->rule_count, sizeof *scratch);
    if (periods == NULL || scratch == NULL)
        return -1;
    for (size_t i = 0; i < doc->period_count; i++) {
        const struct cpix_period *p = &doc->periods[i];
        periods[i] = (struct keystore_period){
            .id = p->id,
            .index = p->index,
            .start = p->start,
            .end = p->end,
            .start_offset = p->start_offset,
            .end_offset = p->end_offset,
        };
        if (gather_kids(doc, p, scratch, arena, &periods[i]) != 0)
            return -1;
    }
    details->periods = periods;
    details->period_count = doc->period_count;
    return 0;
}

/* What a later request that names no rules is told of a key that is made now. */
static int gather_rules(const struct cpix_document *doc, struct arena *arena,
                        struct keystore_details *details)
{
    struct keystore_rule *rules = arena_array(arena, doc->rule_count, sizeof *rules);
    struct buf filters;
    size_t count = 0;
    buf_init(&filters, FILTERS_MAX);
    for (size_t i = 0; rules != NULL && i < doc->rule_count; i++) {
        const struct cpix_rule *rule = &doc->rules[i];
        if (rule->key == CPIX_NO_KEY)
            continue;
        buf_clear(&filters);
        cpix_write_filters(rule, doc->version, &filters);
        if (!buf_ok(&filters)) /* larger than anybody's: the rule is echoed and not kept */
            continue;
        rules[count] = (struct keystore_rule){
            .kid = doc->keys[rule->key].kid,
            .track_type = rule->intended_track_type,
            .filters = arena_strndup(arena, filters.len > 0 ? (char *)filters.data : "",
                                     filters.len),
        };
        if (rules[count++].filters == NULL)
            rules = NULL;
    }
    buf_free(&filters);
    details->rules = rules;
    details->rule_count = count;
    return rules == NULL ? -1 : 0;
}

static int gather_recipients(const struct cpix_document *doc,
                             const struct certificate *const *recipients, struct arena *arena,
                             struct keystore_details *details)
{
    const size_t count = recipients == NULL ? 0 : doc->delivery_count;
    struct keystore_recipient *out = arena_array(arena, count, sizeof *out);
    if (out == NULL)
        return -1;
    for (size_t i = 0; i < count; i++) {
        memcpy(out[i].fingerprint, recipients[i]->fingerprint.bytes, sizeof out[i].fingerprint);
        out[i].subject = recipients[i]->subject;
    }
    details->recipients = out;
    details->recipient_count = count;
    return 0;
}

int details_gather(const struct cpix_document *doc, const struct certificate *const *recipients,
                   struct arena *arena, struct keystore_details *details, struct failure *f)
{
    *details = (struct keystore_details){0};
    if (gather_systems(doc, arena, details) != 0 || gather_periods(doc, arena, details) != 0 ||
        gather_rules(doc, arena, details) != 0 ||
        gather_recipients(doc, recipients, arena, details) != 0)
        return fail_memory(f);
    return 0;
}
