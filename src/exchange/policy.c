/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/policy.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failure.h"
#include "base/trim.h"
#include "cpix/cpix.h"
#include "exchange/pattern.h"
#include "exchange/tenant.h"

/* 1920x1080. What has more pixels is UHD, as the contracts that SPEKE publishes have it. */
enum { LARGEST_HD = 2073600 };

int policy_version(const struct tenant_config *config, enum speke_version version,
                   struct failure *f)
{
    if ((config->versions >> version & 1) != 0)
        return 0;
    (void)fail(f, 422, "Unsupported SPEKE version");
    return fail_because(f, "SPEKE version %s is not among the tenant's versions",
                        speke_version_name(version));
}

/* What the filters of a rule let in. */
struct reach {
    bool audio, uhd, smaller;
};

/* The value of an attribute that the checks found to be a number, or that is not there. */
static unsigned long pixels(const struct cpix_filter *filter, const char *name,
                            unsigned long otherwise)
{
    const char *value = cpix_attribute(&filter->attributes, name);
    return value == NULL ? otherwise : strtoul(value, NULL, 10);
}

static struct reach reach_of(const struct cpix_rule *rule)
{
    struct reach reach = {false, false, false};
    for (size_t i = 0; i < rule->filter_count; i++) {
        const struct cpix_filter *filter = &rule->filters[i];
        if (filter->kind == CPIX_AUDIO_FILTER)
            reach.audio = true;
        if (filter->kind != CPIX_VIDEO_FILTER)
            continue;
        reach.uhd = reach.uhd || pixels(filter, "maxPixels", LARGEST_HD + 1) > LARGEST_HD;
        reach.smaller = reach.smaller || pixels(filter, "minPixels", 0) <= LARGEST_HD;
    }
    return reach;
}

/* Where faults go; full when the sink wants no more. */
struct telling {
    cpix_fault_sink sink;
    void *context;
    size_t count;
    bool full;
};

static void tell(struct telling *t, const char *rule, int line, const char *text, const char *place,
                 ...) __attribute__((format(printf, 5, 6)));

/* The place ends with the setting that refuses. */
static void tell(struct telling *t, const char *rule, int line, const char *text, const char *place,
                 ...)
{
    struct cpix_fault fault = {.rule = rule, .line = line};
    va_list args;
    if (t->full)
        return;
    va_start(args, place);
    (void)vsnprintf(fault.place, sizeof fault.place, place, args);
    va_end(args);
    (void)snprintf(fault.text, sizeof fault.text, "%s", text);
    t->count++;
    t->full = !t->sink(t->context, &fault);
}

static const char CONTRACT[] = "Requested CPIX encryption contract not supported";

static void judge_rule(struct telling *t, const struct tenant_config *config,
                       const struct cpix_rule *rule, size_t number)
{
    static const char PLACE[] = "ContentKeyUsageRuleList/ContentKeyUsageRule[%zu] (%s)";
    const struct reach reach = reach_of(rule);
    if (config->refuse_all && span_is(trim(rule->intended_track_type), "ALL"))
        tell(t, "V17", rule->line, CONTRACT, PLACE, number,
             "refuse_all: one key for all audio and video");
    if (config->refuse_audio_with_uhd && reach.audio && reach.uhd)
        tell(t, "V17", rule->line, CONTRACT, PLACE, number,
             "refuse_audio_with_uhd: one key for audio and UHD");
    if (config->refuse_mixed_uhd && reach.smaller && reach.uhd)
        tell(t, "V17", rule->line, CONTRACT, PLACE, number,
             "refuse_mixed_uhd: one key for UHD and smaller video");
}

static void judge_contract(struct telling *t, const struct tenant_config *config,
                           const struct cpix_document *doc)
{
    if (config->max_keys > 0 && doc->key_count > (size_t)config->max_keys)
        tell(t, "V17", doc->key_list.line, CONTRACT,
             "ContentKeyList (max_keys: %zu keys, the tenant allows %ld)", doc->key_count,
             config->max_keys);
    for (size_t i = 0; i < doc->rule_count; i++)
        judge_rule(t, config, &doc->rules[i], i + 1);
}

static void judge_content_id(struct telling *t, const struct tenant_config *config,
                             const struct cpix_document *doc, enum speke_version version)
{
    const char *given = version == SPEKE_V1 ? doc->id : doc->content_id;
    if (config->content_ids == NULL || given == NULL ||
        pattern_list_fits(config->content_ids, given))
        return;
    tell(t, "policy", doc->line, "Content id not served",
         "CPIX@%s (content_ids: none of the tenant's patterns fits it)",
         version == SPEKE_V1 ? "id" : "contentId");
}

size_t policy_check(const struct tenant_config *config, const struct cpix_document *doc,
                    enum speke_version version, cpix_fault_sink sink, void *context)
{
    struct telling t = {.sink = sink, .context = context};
    judge_content_id(&t, config, doc, version);
    if (version != SPEKE_V1)
        judge_contract(&t, config, doc);
    if (config->delivery == TENANT_DELIVERY_REQUIRED && doc->delivery_list.occurrences == 0)
        tell(&t, "policy", doc->line, "Content key encryption required: missing DeliveryDataList",
             "CPIX (delivery = required)");
    return t.count;
}
