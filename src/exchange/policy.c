/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/policy.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/failure.h"
#include "base/trim.h"
#include "cpix/cpix.h"
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

/* Why the tenant refuses the rule, NULL when it does not. */
static const char *fault_of(const struct tenant_config *config, const struct cpix_rule *rule)
{
    const struct reach reach = reach_of(rule);
    if (config->refuse_all && span_is(trim(rule->intended_track_type), "ALL"))
        return "refuse_all: one key for all audio and video";
    if (config->refuse_audio_with_uhd && reach.audio && reach.uhd)
        return "refuse_audio_with_uhd: one key for audio and UHD";
    if (config->refuse_mixed_uhd && reach.smaller && reach.uhd)
        return "refuse_mixed_uhd: one key for UHD and smaller video";
    return NULL;
}

static int refuse_contract(struct failure *f)
{
    return fail(f, 422, "Requested CPIX encryption contract not supported");
}

static int judge_contract(const struct tenant_config *config, const struct cpix_document *doc,
                          struct failure *f)
{
    if (config->max_keys > 0 && doc->key_count > (size_t)config->max_keys) {
        (void)refuse_contract(f);
        return fail_because(f, "max_keys: %zu keys, the tenant allows %ld", doc->key_count,
                            config->max_keys);
    }
    for (size_t i = 0; i < doc->rule_count; i++) {
        const char *fault = fault_of(config, &doc->rules[i]);
        if (fault == NULL)
            continue;
        (void)refuse_contract(f);
        return fail_because(f,
                            "ContentKeyUsageRuleList/ContentKeyUsageRule[%zu], line %d (V17), %s",
                            i + 1, doc->rules[i].line, fault);
    }
    return 0;
}

int policy_document(const struct tenant_config *config, const struct cpix_document *doc,
                    struct failure *f)
{
    if (doc->version != SPEKE_V1 && judge_contract(config, doc, f) != 0)
        return -1;
    if (config->delivery == TENANT_DELIVERY_REQUIRED && doc->delivery_list.occurrences == 0) {
        (void)fail(f, 422, "Content key encryption required: missing DeliveryDataList");
        return fail_because(f, "delivery = required, line %d", doc->line);
    }
    return 0;
}
