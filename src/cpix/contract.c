/* SPDX-License-Identifier: Apache-2.0 */
/* The encryption contract: which key protects which tracks. V1 to V16 are the checks' numbers. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/trim.h"
#include "cpix/check.h"

#define MISSING_CONTRACT   "Missing CPIX encryption contract"
#define MALFORMED_CONTRACT "Malformed encryption contract"
#define RULE               "ContentKeyUsageRuleList/ContentKeyUsageRule[%zu]"

/* What the checks need to know of a usage rule. */
struct contract_rule {
    struct span type;
    size_t number;   /* from 1 on */
    size_t *periods; /* indices of the ContentKeyPeriods it names, sorted, each once */
    size_t period_count;
    size_t video, audio; /* how many filters of that kind */
    bool bare;           /* no such filter has an attribute */
    bool repeated;       /* another rule before has the same type and periods */
};

struct contract {
    struct checks *c;
    struct contract_rule *rules; /* of each rule of the document */
    struct period_entry *periods;
    size_t period_count;
};

/* The first ContentKeyPeriod of each @id, sorted by it. */
struct period_entry {
    struct span id;
    size_t period;
};

static bool malformed(const struct contract *k, const char *check, int line, size_t rule,
                      const char *within)
{
    return check_fault(k->c, check, line, MALFORMED_CONTRACT, RULE "%s", rule, within);
}

/* --- Periods -------------------------------------------------------------------------------- */

static int compare_periods(const void *a, const void *b)
{
    const struct period_entry *x = a, *y = b;
    const int order = span_compare(x->id, y->id);
    return order != 0 ? order : (x->period > y->period) - (x->period < y->period);
}

static int compare_period_id(const void *id, const void *entry)
{
    return span_compare(*(const struct span *)id, ((const struct period_entry *)entry)->id);
}

static bool index_periods(struct contract *k)
{
    const struct cpix_document *doc = k->c->doc;
    k->periods = check_array(k->c, doc->period_count, sizeof *k->periods);
    if (k->periods == NULL)
        return false;
    for (size_t i = 0; i < doc->period_count; i++)
        k->periods[i] = (struct period_entry){.id = trim(doc->periods[i].id), .period = i};
    qsort(k->periods, doc->period_count, sizeof *k->periods, compare_periods);
    for (size_t i = 0; i < doc->period_count; i++) {
        if (k->period_count == 0 ||
            span_compare(k->periods[k->period_count - 1].id, k->periods[i].id) != 0)
            k->periods[k->period_count++] = k->periods[i];
    }
    return true;
}

static int compare_sizes(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

static void sort_periods(struct contract_rule *r)
{
    size_t count = 0;
    qsort(r->periods, r->period_count, sizeof *r->periods, compare_sizes);
    for (size_t i = 0; i < r->period_count; i++) {
        if (count == 0 || r->periods[count - 1] != r->periods[i])
            r->periods[count++] = r->periods[i];
    }
    r->period_count = count;
}

/* V15: a KeyPeriodFilter names a period that is there. */
static bool check_period_filter(struct contract *k, struct contract_rule *r,
                                const struct cpix_filter *filter, const char *place)
{
    struct span id = {.text = "", .n = 0};
    for (size_t i = 0; i < filter->attributes.count; i++) {
        const struct cpix_attribute *a = &filter->attributes.items[i];
        if (a->name_space == NULL && strcmp(a->name, "periodId") == 0)
            id = trim(a->value);
    }
    const struct period_entry *entry = NULL;
    if (id.n > 0)
        entry = bsearch(&id, k->periods, k->period_count, sizeof *k->periods, compare_period_id);
    if (entry == NULL)
        return malformed(k, "V15", filter->line, r->number, place);
    r->periods[r->period_count++] = entry->period;
    return true;
}

/* --- Filters -------------------------------------------------------------------------------- */

enum value_kind { VALUE_NUMBER, VALUE_BOOLEAN, VALUE_UNSUPPORTED };

struct filter_attribute {
    const char *name;
    enum value_kind kind;
};

/* Each minimum stands before its maximum. */
static const struct filter_attribute VIDEO_ATTRIBUTES[] = {
    {"minPixels", VALUE_NUMBER}, {"maxPixels", VALUE_NUMBER}, {"minFps", VALUE_NUMBER},
    {"maxFps", VALUE_NUMBER},    {"hdr", VALUE_BOOLEAN},      {"wcg", VALUE_UNSUPPORTED},
};
static const struct filter_attribute AUDIO_ATTRIBUTES[] = {
    {"minChannels", VALUE_NUMBER},
    {"maxChannels", VALUE_NUMBER},
};
enum { MOST_ATTRIBUTES = sizeof VIDEO_ATTRIBUTES / sizeof VIDEO_ATTRIBUTES[0], MIN_FPS = 2 };

/* The bounds of a filter, by the place of the attribute in its table. */
struct bounds {
    bool given[MOST_ATTRIBUTES];
    uint32_t numbers[MOST_ATTRIBUTES];
};

/* A decimal integer from 0 to 4294967295, which is what CPIX calls MAX_UINT32. */
static bool parse_number(const char *text, uint32_t *number)
{
    struct span t = trim(text);
    uint64_t n = 0;
    if (t.n > 0 && t.text[0] == '+') {
        t.text++;
        t.n--;
    }
    if (t.n == 0)
        return false;
    for (size_t i = 0; i < t.n; i++) {
        if (t.text[i] < '0' || t.text[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(t.text[i] - '0');
        if (n > UINT32_MAX)
            return false;
    }
    *number = (uint32_t)n;
    return true;
}

static bool is_boolean(const char *text)
{
    static const char *const WORDS[] = {"true", "false", "1", "0"};
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++) {
        if (span_is(trim(text), WORDS[i]))
            return true;
    }
    return false;
}

/* V13 and V14 for one attribute; the number of the check that it fails, NULL when it is in order.
 */
static const char *judge_attribute(const struct contract *k, const struct cpix_attribute *a,
                                   const struct filter_attribute *table, size_t size,
                                   struct bounds *bounds)
{
    size_t i = 0;
    while (i < size && (a->name_space != NULL || strcmp(a->name, table[i].name) != 0))
        i++;
    if (i == size)
        return "V13";
    if (table[i].kind == VALUE_UNSUPPORTED)
        return k->c->rules->allow_unsupported_filters ? NULL : "V13";
    if (table[i].kind == VALUE_BOOLEAN)
        return is_boolean(a->value) ? NULL : "V14";
    bounds->given[i] = parse_number(a->value, &bounds->numbers[i]);
    return bounds->given[i] ? NULL : "V14";
}

static bool check_attributes(struct contract *k, const struct contract_rule *r,
                             const struct cpix_filter *filter, const char *place)
{
    const bool video = filter->kind == CPIX_VIDEO_FILTER;
    const struct filter_attribute *table = video ? VIDEO_ATTRIBUTES : AUDIO_ATTRIBUTES;
    const size_t size = video ? sizeof VIDEO_ATTRIBUTES / sizeof VIDEO_ATTRIBUTES[0]
                              : sizeof AUDIO_ATTRIBUTES / sizeof AUDIO_ATTRIBUTES[0];
    struct bounds bounds = {0};
    for (size_t i = 0; i < filter->attributes.count; i++) {
        const struct cpix_attribute *a = &filter->attributes.items[i];
        const char *check = judge_attribute(k, a, table, size, &bounds);
        if (check != NULL && !check_fault(k->c, check, filter->line, MALFORMED_CONTRACT,
                                          RULE "%s@%s", r->number, place, a->name))
            return false;
    }
    /* Pixels and channels include both ends, a frame rate excludes its minimum. */
    for (size_t i = 0; i + 1 < size && table[i + 1].kind == VALUE_NUMBER; i += 2) {
        const bool both = bounds.given[i] && bounds.given[i + 1];
        const uint64_t least = (uint64_t)bounds.numbers[i] + (i == MIN_FPS ? 1 : 0);
        if (both && least > bounds.numbers[i + 1] &&
            !check_fault(k->c, "V14", filter->line, MALFORMED_CONTRACT, RULE "%s@%s", r->number,
                         place, table[i].name))
            return false;
    }
    return true;
}

/* V12 to V15 for one child of a rule. */
static bool check_filter(struct contract *k, struct contract_rule *r,
                         const struct cpix_filter *filter, const char *place)
{
    if (filter->has_content && !malformed(k, "V12", filter->line, r->number, place))
        return false;
    switch (filter->kind) {
    case CPIX_KEY_PERIOD_FILTER:
        return check_period_filter(k, r, filter, place);
    case CPIX_VIDEO_FILTER:
    case CPIX_AUDIO_FILTER:
        *(filter->kind == CPIX_VIDEO_FILTER ? &r->video : &r->audio) += 1;
        r->bare = r->bare && filter->attributes.count == 0;
        return check_attributes(k, r, filter, place);
    case CPIX_BITRATE_FILTER:
        if (k->c->rules->allow_unsupported_filters)
            return true;
        break;
    case CPIX_LABEL_FILTER:
    case CPIX_OTHER_FILTER:
        break;
    }
    return malformed(k, "V12", filter->line, r->number, place);
}

static bool check_filters(struct contract *k, struct contract_rule *r, const struct cpix_rule *rule)
{
    size_t seen[CPIX_OTHER_FILTER] = {0};
    char place[64];
    r->periods = check_array(k->c, rule->filter_count, sizeof *r->periods);
    if (r->periods == NULL)
        return false;
    for (size_t i = 0; i < rule->filter_count; i++) {
        const struct cpix_filter *filter = &rule->filters[i];
        if (filter->kind == CPIX_OTHER_FILTER)
            (void)snprintf(place, sizeof place, "/*[%zu]", i + 1);
        else
            (void)snprintf(place, sizeof place, "/%s[%zu]", filter->name, ++seen[filter->kind]);
        if (!check_filter(k, r, filter, place))
            return false;
    }
    sort_periods(r);
    return true;
}

/* --- Track types ---------------------------------------------------------------------------- */

static bool is_all(const struct contract_rule *r)
{
    return span_is(r->type, "ALL");
}

/* The parts of a type such as HDR+HFR+UHD; 0 when one of them is empty. *all tells whether one of
 * several is the word ALL, which stands for itself alone. */
static size_t count_parts(struct span type, bool *all)
{
    size_t count = 0;
    *all = false;
    for (;;) {
        const char *plus = memchr(type.text, '+', type.n);
        const size_t n = plus == NULL ? type.n : (size_t)(plus - type.text);
        const struct span part = trim_span((struct span){.text = type.text, .n = n});
        if (part.n == 0)
            return 0;
        count++;
        *all = *all || span_is(part, "ALL");
        if (plus == NULL)
            break;
        type.text += n + 1;
        type.n -= n + 1;
    }
    *all = *all && count > 1;
    return count;
}

/* V8, V10 and V11: as many filters as the type has parts. The preset SD+HD1 of AWS has two parts
 * and one filter, which is let pass unless strict cardinality is asked for. */
static bool check_cardinality(struct contract *k, const struct contract_rule *r, int line,
                              bool any_filters)
{
    bool all_among_others;
    const size_t filters = r->video + r->audio;
    const size_t parts = count_parts(r->type, &all_among_others);
    if (is_all(r))
        return (r->video == 1 && r->audio == 1 && r->bare) ||
               malformed(k, "V8", line, r->number, "");
    if (all_among_others && !malformed(k, "V8", line, r->number, "@intendedTrackType"))
        return false;
    if (parts == 0)
        return malformed(k, "V11", line, r->number, "@intendedTrackType");
    if (filters == 0)
        return !any_filters || malformed(k, "V10", line, r->number, "");
    if (filters == parts || (filters == 1 && !k->c->rules->strict_cardinality))
        return true;
    return malformed(k, "V11", line, r->number, "");
}

/* --- Rules ---------------------------------------------------------------------------------- */

/* V3 and V5: the KID names a ContentKey. */
static bool check_rule_kid(struct contract *k, struct cpix_rule *rule, size_t number)
{
    rule->key = CPIX_NO_KEY;
    if (trim(rule->kid_text).n == 0)
        return malformed(k, "V3", rule->line, number, "@kid");
    if (check_uuid(rule->kid_text, &rule->kid) == 0)
        rule->key = check_find_key(k->c, &rule->kid);
    return rule->key != CPIX_NO_KEY || malformed(k, "V5", rule->line, number, "@kid");
}

static bool check_rule(struct contract *k, size_t i, bool any_filters)
{
    struct cpix_rule *rule = &k->c->doc->rules[i];
    struct contract_rule *r = &k->rules[i];
    *r = (struct contract_rule){
        .type = trim(rule->intended_track_type), .number = i + 1, .bare = true};
    if (!check_rule_kid(k, rule, r->number) || !check_filters(k, r, rule))
        return false;
    if (r->type.n == 0)
        return malformed(k, "V4", rule->line, r->number, "@intendedTrackType");
    return check_cardinality(k, r, rule->line, any_filters);
}

/* V6: each ContentKey has one rule. */
static bool check_keys_have_rules(struct contract *k)
{
    const struct cpix_document *doc = k->c->doc;
    size_t *rules = check_array(k->c, doc->key_count, sizeof *rules);
    if (rules == NULL)
        return false;
    for (size_t i = 0; i < doc->rule_count; i++) {
        const size_t key = doc->rules[i].key;
        if (key != CPIX_NO_KEY && rules[key]++ > 0 &&
            !malformed(k, "V6", doc->rules[i].line, i + 1, "@kid"))
            return false;
    }
    for (size_t i = 0; i < doc->key_count; i++) {
        if (rules[i] == 0 && !check_fault(k->c, "V6", doc->keys[i].line, MALFORMED_CONTRACT,
                                          "ContentKeyList/ContentKey[%zu]", i + 1))
            return false;
    }
    return true;
}

static int compare_scopes(const struct contract_rule *x, const struct contract_rule *y)
{
    const int order = span_compare(x->type, y->type);
    if (order != 0 || x->period_count != y->period_count)
        return order != 0 ? order : (x->period_count > y->period_count ? 1 : -1);
    for (size_t i = 0; i < x->period_count; i++) {
        if (x->periods[i] != y->periods[i])
            return x->periods[i] > y->periods[i] ? 1 : -1;
    }
    return 0;
}

/* An item of the list in which equal rules come to stand side by side. */
struct sorted_rule {
    struct contract_rule *rule;
};

static int compare_rules(const void *a, const void *b)
{
    const struct contract_rule *x = ((const struct sorted_rule *)a)->rule;
    const struct contract_rule *y = ((const struct sorted_rule *)b)->rule;
    const int order = compare_scopes(x, y);
    return order != 0 ? order : (x->number > y->number) - (x->number < y->number);
}

/* V7: a type is given once for the same periods. */
static bool check_types_differ(struct contract *k)
{
    const struct cpix_document *doc = k->c->doc;
    struct sorted_rule *sorted = check_array(k->c, doc->rule_count, sizeof *sorted);
    if (sorted == NULL)
        return false;
    for (size_t i = 0; i < doc->rule_count; i++)
        sorted[i].rule = &k->rules[i];
    qsort(sorted, doc->rule_count, sizeof *sorted, compare_rules);
    for (size_t i = 1; i < doc->rule_count; i++) {
        struct contract_rule *r = sorted[i].rule;
        r->repeated = r->type.n > 0 && compare_scopes(sorted[i - 1].rule, r) == 0;
    }
    for (size_t i = 0; i < doc->rule_count; i++) {
        if (k->rules[i].repeated &&
            !malformed(k, "V7", doc->rules[i].line, i + 1, "@intendedTrackType"))
            return false;
    }
    return true;
}

/* Whether another rule holds in a period in which this one does. A rule that names no period
 * holds in all of them. */
static bool shares_period(const struct contract *k, const struct contract_rule *r,
                          const size_t *rules_of_period, size_t everywhere)
{
    if (r->period_count == 0)
        return k->c->doc->rule_count > 1;
    for (size_t i = 0; i < r->period_count; i++) {
        if (rules_of_period[r->periods[i]] > 1)
            return true;
    }
    return everywhere > 0;
}

/* V9: where ALL holds no other rule does. */
static bool check_all_is_alone(struct contract *k)
{
    const struct cpix_document *doc = k->c->doc;
    size_t *rules_of_period = check_array(k->c, doc->period_count, sizeof *rules_of_period);
    size_t everywhere = 0;
    if (rules_of_period == NULL)
        return false;
    for (size_t i = 0; i < doc->rule_count; i++) {
        const struct contract_rule *r = &k->rules[i];
        everywhere += r->period_count == 0 ? 1 : 0;
        for (size_t j = 0; j < r->period_count; j++)
            rules_of_period[r->periods[j]]++;
    }
    for (size_t i = 0; i < doc->rule_count; i++) {
        if (is_all(&k->rules[i]) && shares_period(k, &k->rules[i], rules_of_period, everywhere) &&
            !malformed(k, "V9", doc->rules[i].line, i + 1, ""))
            return false;
    }
    return true;
}

/* V16 is no fault: a rule without period beside a list of periods holds in all of them. */
static void note_rules_without_period(const struct contract *k)
{
    const struct cpix_document *doc = k->c->doc;
    for (size_t i = 0; i < doc->rule_count && doc->period_count > 0; i++) {
        if (k->rules[i].period_count > 0)
            continue;
        log_info(RULE ", line %d: no KeyPeriodFilter beside a ContentKeyPeriodList (V16)", i + 1,
                 doc->rules[i].line);
        return;
    }
}

static bool has_filters(const struct cpix_document *doc)
{
    for (size_t i = 0; i < doc->rule_count; i++) {
        for (size_t j = 0; j < doc->rules[i].filter_count; j++) {
            const enum cpix_filter_kind kind = doc->rules[i].filters[j].kind;
            if (kind == CPIX_VIDEO_FILTER || kind == CPIX_AUDIO_FILTER)
                return true;
        }
    }
    return false;
}

bool check_contract(struct checks *c)
{
    const struct cpix_document *doc = c->doc;
    static const char PLACE[] = "ContentKeyUsageRuleList";
    const int line = doc->rule_list.occurrences > 0 ? doc->rule_list.line : doc->line;
    struct contract k = {.c = c};
    if (doc->rule_count == 0)
        return check_fault(c, "V1", line, MISSING_CONTRACT, PLACE);
    const bool any_filters = has_filters(doc);
    if (!any_filters && !check_fault(c, "V2", line, MISSING_CONTRACT, PLACE))
        return false;
    k.rules = check_array(c, doc->rule_count, sizeof *k.rules);
    if (k.rules == NULL || !index_periods(&k))
        return false;
    for (size_t i = 0; i < doc->rule_count; i++) {
        if (!check_rule(&k, i, any_filters))
            return false;
    }
    if (!check_keys_have_rules(&k) || !check_types_differ(&k) || !check_all_is_alone(&k))
        return false;
    note_rules_without_period(&k);
    return true;
}
