/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/key_document.h"

#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/failure.h"
#include "base/secret.h"
#include "cpix/delivery.h"

enum {
    ARENA_MAX = 256 * 1024 * 1024,
    PERIODS_MAX = 4000, /* of one document */
    VALUES_SIZE = DOCUMENT_KEYS_MAX * CPIX_KEY_BYTES,
    ID_SUFFIX = 24
};

/* The attributes of a period in the order in which they are written, id first. */
static const char *const PERIOD_ATTRIBUTES[] = {"id",  "index",       "start",
                                                "end", "startOffset", "endOffset"};
enum { ATTRIBUTE_COUNT = sizeof PERIOD_ATTRIBUTES / sizeof PERIOD_ATTRIBUTES[0] };

static const char *copy(struct key_document *d, const char *text)
{
    return arena_strndup(&d->arena, text, strlen(text));
}

/* Begins an empty document. */
static int renew(struct key_document *d)
{
    arena_reset(&d->arena);
    secret_wipe(d->values, VALUES_SIZE);
    d->doc = (struct cpix_document){.version = SPEKE_V2_1, .version_text = "2.4"};
    d->doc.keys = arena_array(&d->arena, DOCUMENT_KEYS_MAX, sizeof *d->doc.keys);
    d->doc.rules = arena_array(&d->arena, DOCUMENT_KEYS_MAX, sizeof *d->doc.rules);
    d->doc.periods = arena_array(&d->arena, PERIODS_MAX, sizeof *d->doc.periods);
    d->period_ids = arena_array(&d->arena, PERIODS_MAX, sizeof *d->period_ids);
    return d->doc.keys != NULL && d->doc.rules != NULL && d->doc.periods != NULL &&
                   d->period_ids != NULL
               ? 0
               : -1;
}

int key_document_begin(struct key_document *d)
{
    arena_init(&d->arena, ARENA_MAX);
    d->values = secret_alloc(VALUES_SIZE);
    return d->values != NULL ? renew(d) : -1;
}

void key_document_end(struct key_document *d)
{
    arena_free(&d->arena);
    secret_free(d->values, VALUES_SIZE);
    d->values = NULL;
}

bool key_document_takes(const struct key_document *d, const struct exported_key *key)
{
    return d->doc.key_count == 0 ||
           (strcmp(d->doc.content_id, key->content_id) == 0 &&
            d->doc.key_count < DOCUMENT_KEYS_MAX &&
            d->doc.period_count + json_array_size(key->periods) <= DOCUMENT_KEYS_MAX);
}

/* --- periods -------------------------------------------------------------------------------- */

static const char *text_of(const json_t *period, size_t attribute)
{
    return json_string_value(json_object_get(period, PERIOD_ATTRIBUTES[attribute]));
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Whether the document's period number i is this one; its id may have been changed. */
static bool is_period(const struct key_document *d, size_t i, const json_t *period)
{
    const struct cpix_period *p = &d->doc.periods[i];
    const char *const texts[] = {d->period_ids[i], p->index,        p->start,
                                 p->end,           p->start_offset, p->end_offset};
    bool equal = true;
    for (size_t t = 0; t < ATTRIBUTE_COUNT && equal; t++)
        equal = same(texts[t], text_of(period, t));
    return equal;
}

/* The name of a period that is new: its id, made another one where the document has it already. */
static const char *new_id(struct key_document *d, const char *id, bool taken)
{
    char number[ID_SUFFIX];
    if (!taken)
        return copy(d, id);
    (void)snprintf(number, sizeof number, "-%zu", d->doc.period_count + 1);
    const size_t n = strlen(id);
    char *text = arena_alloc(&d->arena, n + sizeof number);
    if (text != NULL) {
        memcpy(text, id, n);
        memcpy(text + n, number, strlen(number) + 1);
    }
    return text;
}

static int fill_period(struct key_document *d, struct cpix_period *p, const json_t *period,
                       const char *id)
{
    const char **members[] = {&p->id,  &p->index,        &p->start,
                              &p->end, &p->start_offset, &p->end_offset};
    struct cpix_attribute *items = arena_array(&d->arena, ATTRIBUTE_COUNT, sizeof *items);
    if (items == NULL || id == NULL)
        return -1;
    *p = (struct cpix_period){.attributes = {.items = items}};
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
        const char *text = i == 0 ? id : text_of(period, i);
        if (text == NULL)
            continue;
        *members[i] = copy(d, text);
        if (*members[i] == NULL)
            return -1;
        items[p->attributes.count++] = (struct cpix_attribute){.name = PERIOD_ATTRIBUTES[i],
                                                               .value = *members[i]};
    }
    return 0;
}

/* The id by which a rule names the period, which is added when the document does not have it. NULL
 * when memory or the document has no room. */
static const char *period_id(struct key_document *d, const json_t *period)
{
    const char *given = text_of(period, 0);
    const char *id = given != NULL ? given : "period";
    const size_t n = d->doc.period_count;
    bool taken = false;
    for (size_t i = 0; i < n; i++) {
        if (is_period(d, i, period))
            return d->doc.periods[i].id;
        taken = taken || strcmp(d->doc.periods[i].id, id) == 0;
    }
    if (n == PERIODS_MAX || fill_period(d, &d->doc.periods[n], period, new_id(d, id, taken)) != 0)
        return NULL;
    if (given != NULL && (d->period_ids[n] = copy(d, given)) == NULL)
        return NULL;
    d->doc.period_count++;
    return d->doc.periods[n].id;
}

static int add_filter(struct key_document *d, struct cpix_filter *filter, const json_t *period)
{
    struct cpix_attribute *attribute = arena_alloc(&d->arena, sizeof *attribute);
    const char *id = period_id(d, period);
    if (attribute == NULL || id == NULL)
        return -1;
    *attribute = (struct cpix_attribute){.name = "periodId", .value = id};
    *filter = (struct cpix_filter){.kind = CPIX_KEY_PERIOD_FILTER,
                                   .name = "KeyPeriodFilter",
                                   .name_space = CPIX_NAMESPACE,
                                   .attributes = {.items = attribute, .count = 1}};
    return 0;
}

/* The usage rule that ties a key to its periods. */
static int add_rule(struct key_document *d, const char *kid, const json_t *periods)
{
    const size_t count = json_array_size(periods);
    struct cpix_rule *rule = &d->doc.rules[d->doc.rule_count];
    struct cpix_attribute *attribute = arena_alloc(&d->arena, sizeof *attribute);
    struct cpix_filter *filters = arena_array(&d->arena, count, sizeof *filters);
    if (attribute == NULL || filters == NULL)
        return -1;
    *attribute = (struct cpix_attribute){.name = "kid", .value = kid};
    *rule = (struct cpix_rule){.kid_text = kid,
                               .attributes = {.items = attribute, .count = 1},
                               .filters = filters,
                               .filter_count = count};
    for (size_t i = 0; i < count; i++) {
        if (add_filter(d, &filters[i], json_array_get(periods, i)) != 0)
            return -1;
    }
    d->doc.rule_count++;
    return 0;
}

/* --- keys ----------------------------------------------------------------------------------- */

int key_document_add(struct key_document *d, const struct exported_key *key)
{
    struct cpix_document *doc = &d->doc;
    struct cpix_content_key *out = &doc->keys[doc->key_count];
    unsigned char *value = d->values + doc->key_count * CPIX_KEY_BYTES;
    char *kid = arena_alloc(&d->arena, UUID_TEXT_SIZE);
    char *iv = arena_alloc(&d->arena, BASE64_SIZE(CPIX_IV_BYTES));
    if (doc->content_id == NULL)
        doc->content_id = copy(d, key->content_id);
    if (kid == NULL || iv == NULL || doc->content_id == NULL)
        return -1;
    uuid_format(&key->kid, kid);
    (void)base64_encode(key->iv, CPIX_IV_BYTES, iv); /* the length is known */
    memcpy(value, key->value, CPIX_KEY_BYTES);
    *out = (struct cpix_content_key){
        .kid = key->kid, .kid_text = kid, .explicit_iv = iv, .key = value};
    if (key->scheme[0] != '\0') {
        out->scheme_text = copy(d, key->scheme);
        if (out->scheme_text == NULL)
            return -1;
    }
    doc->key_count++;
    return json_array_size(key->periods) == 0 ? 0 : add_rule(d, kid, key->periods);
}

/* Encrypts for recipients whose certificates are valid today. */
static int encrypt(struct key_document *d, struct failure *f)
{
    struct delivery_policy policy = DELIVERY_DEFAULT_POLICY;
    const struct certificate **recipients;
    policy.check_validity = true;
    d->doc.deliveries = arena_array(&d->arena, d->recipient_count, sizeof *d->doc.deliveries);
    if (d->doc.deliveries == NULL)
        return fail_memory(f);
    d->doc.delivery_count = d->recipient_count;
    for (size_t i = 0; i < d->recipient_count; i++)
        d->doc.deliveries[i].certificate = d->recipients[i];
    if (delivery_accept(&d->doc, &policy, &d->arena, &recipients, f) != 0)
        return -1;
    return delivery_encrypt(&d->doc, recipients, policy.mac_shape, &d->arena, f);
}

int key_document_write(struct key_document *d, struct buf *out, struct failure *f)
{
    failure_clear(f);
    if (d->recipient_count > 0 && encrypt(d, f) != 0)
        return -1;
    cpix_write(&d->doc, out);
    if (!buf_ok(out) || renew(d) != 0)
        return fail_memory(f);
    return 0;
}
