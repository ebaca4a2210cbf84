/* SPDX-License-Identifier: Apache-2.0 */
/* The elements of a document, from the leaves to the root, and what is kept of each. */
#include <string.h>

#include "base/arena.h"
#include "base/failure.h"
#include "cpix/reader.h"

/* --- Texts and attributes ------------------------------------------------------------------- */

/* Without entity replacement libxml2 hands each '&' of a value over as "&#38;", so that a tree
 * that is built from it holds a reference. Here it is the character that was meant. */
static void undo_ampersands(char *value)
{
    static const char REFERENCE[] = "&#38;";
    char *out = strchr(value, '&');
    for (const char *in = out; in != NULL;) {
        const size_t skip = strncmp(in, REFERENCE, sizeof REFERENCE - 1) == 0 ? sizeof REFERENCE - 1
                                                                              : 1;
        *out++ = '&';
        in += skip;
        const char *next = strchr(in, '&');
        const size_t n = next == NULL ? strlen(in) + 1 : (size_t)(next - in);
        memmove(out, in, n);
        out += n;
        in = next;
    }
}

/* A copy of n bytes of an attribute's value or of a namespace, which is one, in the arena; NULL
 * with the failure set when it is full. */
static const char *copy_value(struct reader *r, const char *text, size_t n)
{
    char *value = arena_strndup(r->arena, text, n);
    if (value == NULL)
        (void)fail_memory(r->f);
    else if (memchr(value, '&', n) != NULL)
        undo_ampersands(value);
    return value;
}

static size_t value_size(const struct tag_attribute *a)
{
    return (size_t)(a->value_end - a->value);
}

static const char *copy_text(struct reader *r, const char *text)
{
    if (text[0] == '\0')
        return "";
    const char *copy = arena_strndup(r->arena, text, strlen(text));
    if (copy == NULL)
        (void)fail_memory(r->f);
    return copy;
}

/* An attribute without prefix that an element may have, and where its value goes. */
struct wanted {
    const char *name;
    const char **value;
};

static int take_attributes(struct reader *r, const struct tag *tag, const struct wanted *wanted,
                           size_t count)
{
    for (size_t i = 0; i < tag->attribute_count; i++) {
        const struct tag_attribute *a = &tag->attributes[i];
        size_t j = 0;
        while (j < count && (a->name_space != NULL || strcmp(a->name, wanted[j].name) != 0))
            j++;
        if (j < count && (*wanted[j].value = copy_value(r, a->value, value_size(a))) == NULL)
            return -1;
    }
    return 0;
}

static int keep_attributes(struct reader *r, const struct tag *tag, struct cpix_attributes *kept)
{
    kept->items = arena_array(r->arena, tag->attribute_count, sizeof *kept->items);
    if (kept->items == NULL)
        return fail_memory(r->f);
    for (size_t i = 0; i < tag->attribute_count; i++) {
        const struct tag_attribute *a = &tag->attributes[i];
        struct cpix_attribute *item = &kept->items[i];
        item->name = copy_text(r, a->name);
        item->value = copy_value(r, a->value, value_size(a));
        if (a->name_space != NULL)
            item->name_space = copy_value(r, a->name_space, strlen(a->name_space));
        if (failed(r->f))
            return -1;
        kept->count++;
    }
    return 0;
}

const char *cpix_attribute(const struct cpix_attributes *attributes, const char *name)
{
    for (size_t i = 0; i < attributes->count; i++) {
        if (attributes->items[i].name_space == NULL && strcmp(attributes->items[i].name, name) == 0)
            return attributes->items[i].value;
    }
    return NULL;
}

/* The place of a further item in a list of count items, which moves when it is full: room is made
 * for 4 and then doubled, so that the count tells when. NULL with the failure set when the arena
 * is full. */
static void *add(struct reader *r, void *items, size_t *count, size_t size)
{
    enum { FIRST_ROOM = 4 };
    void **list = items;
    const size_t n = *count;
    if (n == 0 || (n >= FIRST_ROOM && (n & (n - 1)) == 0)) {
        void *room = arena_array(r->arena, n == 0 ? FIRST_ROOM : 2 * n, size);
        if (room == NULL) {
            (void)fail_memory(r->f);
            return NULL;
        }
        if (n > 0)
            memcpy(room, *list, n * size);
        *list = room;
    }
    (*count)++;
    return (char *)*list + n * size;
}

/* The element at hand is not counted yet, so the list that it stands in is named. */
static int too_many(struct reader *r, const struct tag *tag, const char *text)
{
    r->depth--;
    return reader_refuse(r, 422, tag->line, text);
}

static int start_list(struct reader *r, const struct tag *tag, struct cpix_list *list)
{
    const char *id = NULL;
    const struct wanted wanted[] = {{"id", &id}};
    if (take_attributes(r, tag, wanted, 1) != 0)
        return -1;
    if (list->occurrences++ == 0) {
        list->line = tag->line;
        list->id = id;
    }
    list->last_line = tag->line;
    return 0;
}

/* --- Encrypted keys ------------------------------------------------------------------------- */

/* The first text counts; what follows is left alone. */
static int take_first_text(struct reader *r, const char **out, const char *text)
{
    if (*out == NULL)
        *out = copy_text(r, text);
    return *out == NULL ? -1 : 0;
}

static int end_cipher_value(struct reader *r, const char *text)
{
    return take_first_text(r, &r->wrapped->cipher, text);
}

static int end_value_mac(struct reader *r, const char *text)
{
    return take_first_text(r, &r->wrapped->mac, text);
}

static const struct element CIPHER_VALUE = {
    .name_space = XENC_NAMESPACE, .name = "CipherValue", .end = end_cipher_value};
static const struct element *const CIPHER_DATA_CHILDREN[] = {&CIPHER_VALUE, NULL};
static const struct element CIPHER_DATA = {
    .name_space = XENC_NAMESPACE, .name = "CipherData", .children = CIPHER_DATA_CHILDREN};
static const struct element *const ENCRYPTED_CHILDREN[] = {&CIPHER_DATA, NULL};
static const struct element ENCRYPTED_VALUE = {
    .name_space = PSKC_NAMESPACE, .name = "EncryptedValue", .children = ENCRYPTED_CHILDREN};
static const struct element VALUE_MAC = {
    .name_space = PSKC_NAMESPACE, .name = "ValueMAC", .end = end_value_mac};

/* --- DeliveryDataList ----------------------------------------------------------------------- */

static struct cpix_delivery *last_delivery(struct reader *r)
{
    return &r->doc->deliveries[r->doc->delivery_count - 1];
}

static int end_delivery_text(struct reader *r, const char *text)
{
    void *at = (char *)last_delivery(r) + r->levels[r->depth - 1].element->member;
    return take_first_text(r, at, text);
}

static int start_document_key(struct reader *r, const struct tag *tag)
{
    (void)tag;
    r->wrapped = &last_delivery(r)->document_key;
    return 0;
}

static int start_mac_method(struct reader *r, const struct tag *tag)
{
    (void)tag;
    r->wrapped = &last_delivery(r)->mac_key;
    return 0;
}

static int start_delivery(struct reader *r, const struct tag *tag)
{
    if (r->doc->delivery_count == r->limits->recipients)
        return too_many(r, tag, "Too many DeliveryData elements");
    struct cpix_delivery *d = add(r, &r->doc->deliveries, &r->doc->delivery_count, sizeof *d);
    if (d == NULL)
        return -1;
    *d = (struct cpix_delivery){.line = tag->line};
    const struct wanted wanted[] = {{"id", &d->id}, {"name", &d->name}};
    return take_attributes(r, tag, wanted, sizeof wanted / sizeof wanted[0]);
}

static int start_delivery_list(struct reader *r, const struct tag *tag)
{
    return start_list(r, tag, &r->doc->delivery_list);
}

#define DELIVERY_TEXT(namespace_, name_, member_)                              \
    {                                                                          \
        .name_space = (namespace_), .name = (name_), .end = end_delivery_text, \
        .member = offsetof(struct cpix_delivery, member_)                      \
    }
static const struct element CERTIFICATE = DELIVERY_TEXT(DSIG_NAMESPACE, "X509Certificate",
                                                        certificate);
static const struct element *const X509_CHILDREN[] = {&CERTIFICATE, NULL};
static const struct element X509_DATA = {
    .name_space = DSIG_NAMESPACE, .name = "X509Data", .children = X509_CHILDREN};
static const struct element *const DELIVERY_KEY_CHILDREN[] = {&X509_DATA, NULL};
static const struct element DELIVERY_KEY = {
    .name_space = CPIX_NAMESPACE, .name = "DeliveryKey", .children = DELIVERY_KEY_CHILDREN};
static const struct element *const WRAPPED_SECRET_CHILDREN[] = {&ENCRYPTED_VALUE, &VALUE_MAC, NULL};
static const struct element WRAPPED_SECRET = {
    .name_space = PSKC_NAMESPACE, .name = "Secret", .children = WRAPPED_SECRET_CHILDREN};
static const struct element *const WRAPPED_DATA_CHILDREN[] = {&WRAPPED_SECRET, NULL};
static const struct element WRAPPED_DATA = {
    .name_space = CPIX_NAMESPACE, .name = "Data", .children = WRAPPED_DATA_CHILDREN};
static const struct element *const DOCUMENT_KEY_CHILDREN[] = {&WRAPPED_DATA, NULL};
static const struct element DOCUMENT_KEY = {.name_space = CPIX_NAMESPACE,
                                            .name = "DocumentKey",
                                            .start = start_document_key,
                                            .children = DOCUMENT_KEY_CHILDREN};
/* MACMethod in its three shapes: Key/EncryptedValue, Key and MACKey with the cipher right in it. */
static const struct element *const MAC_KEY_CHILDREN[] = {&ENCRYPTED_VALUE, &CIPHER_DATA, &VALUE_MAC,
                                                         NULL};
static const struct element MAC_KEY = {
    .name_space = CPIX_NAMESPACE, .name = "Key", .children = MAC_KEY_CHILDREN};
static const struct element PSKC_MAC_KEY = {
    .name_space = PSKC_NAMESPACE, .name = "MACKey", .children = MAC_KEY_CHILDREN};
static const struct element *const MAC_METHOD_CHILDREN[] = {&MAC_KEY, &PSKC_MAC_KEY, NULL};
static const struct element MAC_METHOD = {.name_space = CPIX_NAMESPACE,
                                          .name = "MACMethod",
                                          .start = start_mac_method,
                                          .children = MAC_METHOD_CHILDREN};
static const struct element DESCRIPTION = DELIVERY_TEXT(CPIX_NAMESPACE, "Description", description);
static const struct element SENDING_ENTITY = DELIVERY_TEXT(CPIX_NAMESPACE, "SendingEntity",
                                                           sending_entity);
static const struct element SENDER_POINT_OF_CONTACT = DELIVERY_TEXT(
    CPIX_NAMESPACE, "SenderPointOfContact", sender_point_of_contact);
static const struct element RECEIVING_ENTITY = DELIVERY_TEXT(CPIX_NAMESPACE, "ReceivingEntity",
                                                             receiving_entity);
static const struct element *const DELIVERY_CHILDREN[] = {
    &DELIVERY_KEY,     &DOCUMENT_KEY,
    &MAC_METHOD,       &DESCRIPTION,
    &SENDING_ENTITY,   &SENDER_POINT_OF_CONTACT,
    &RECEIVING_ENTITY, NULL};
static const struct element DELIVERY = {.name_space = CPIX_NAMESPACE,
                                        .name = "DeliveryData",
                                        .start = start_delivery,
                                        .children = DELIVERY_CHILDREN,
                                        .counter = offsetof(struct cpix_document, delivery_count)};
static const struct element *const DELIVERY_LIST_CHILDREN[] = {&DELIVERY, NULL};
static const struct element DELIVERY_LIST = {.name_space = CPIX_NAMESPACE,
                                             .name = "DeliveryDataList",
                                             .start = start_delivery_list,
                                             .children = DELIVERY_LIST_CHILDREN};

/* --- ContentKeyList ------------------------------------------------------------------------- */

static int end_plain_value(struct reader *r, const char *text)
{
    return take_first_text(r, &r->doc->keys[r->doc->key_count - 1].plain_value, text);
}

static int start_hdcp(struct reader *r, const struct tag *tag)
{
    struct cpix_content_key *key = &r->doc->keys[r->doc->key_count - 1];
    const struct wanted wanted[] = {{"HLSHDCPLevel", &key->hdcp_level}};
    return take_attributes(r, tag, wanted, 1);
}

static int end_output_protection(struct reader *r, const char *text)
{
    struct cpix_content_key *key = &r->doc->keys[r->doc->key_count - 1];
    key->hdcp_output_protection = copy_text(r, text);
    return key->hdcp_output_protection == NULL ? -1 : 0;
}

static int start_key(struct reader *r, const struct tag *tag)
{
    if (r->doc->key_count == r->limits->keys)
        return too_many(r, tag, "Too many ContentKey elements");
    struct cpix_content_key *key = add(r, &r->doc->keys, &r->doc->key_count, sizeof *key);
    if (key == NULL)
        return -1;
    *key = (struct cpix_content_key){.line = tag->line};
    r->wrapped = &key->encrypted;
    const struct wanted wanted[] = {{"kid", &key->kid_text},
                                    {"commonEncryptionScheme", &key->scheme_text},
                                    {"explicitIV", &key->explicit_iv},
                                    {"id", &key->id},
                                    {"Algorithm", &key->algorithm}};
    return take_attributes(r, tag, wanted, sizeof wanted / sizeof wanted[0]);
}

static int start_key_list(struct reader *r, const struct tag *tag)
{
    return start_list(r, tag, &r->doc->key_list);
}

static const struct element PLAIN_VALUE = {
    .name_space = PSKC_NAMESPACE, .name = "PlainValue", .end = end_plain_value};
static const struct element *const SECRET_CHILDREN[] = {&PLAIN_VALUE, &ENCRYPTED_VALUE, &VALUE_MAC,
                                                        NULL};
static const struct element SECRET = {
    .name_space = PSKC_NAMESPACE, .name = "Secret", .children = SECRET_CHILDREN};
static const struct element *const DATA_CHILDREN[] = {&SECRET, NULL};
static const struct element DATA = {
    .name_space = CPIX_NAMESPACE, .name = "Data", .children = DATA_CHILDREN};
static const struct element OUTPUT_PROTECTION = {
    .name_space = CPIX_NAMESPACE, .name = "HDCPOutputProtectionData", .end = end_output_protection};
static const struct element *const HDCP_CHILDREN[] = {&OUTPUT_PROTECTION, NULL};
static const struct element HDCP = {.name_space = CPIX_NAMESPACE,
                                    .name = "HDCPData",
                                    .start = start_hdcp,
                                    .children = HDCP_CHILDREN};
static const struct element *const KEY_CHILDREN[] = {&DATA, &HDCP, NULL};
static const struct element KEY = {.name_space = CPIX_NAMESPACE,
                                   .name = "ContentKey",
                                   .start = start_key,
                                   .children = KEY_CHILDREN,
                                   .counter = offsetof(struct cpix_document, key_count)};
static const struct element *const KEY_LIST_CHILDREN[] = {&KEY, NULL};
static const struct element KEY_LIST = {.name_space = CPIX_NAMESPACE,
                                        .name = "ContentKeyList",
                                        .start = start_key_list,
                                        .children = KEY_LIST_CHILDREN};

/* --- DRMSystemList -------------------------------------------------------------------------- */

static struct cpix_drm_system *last_system(struct reader *r)
{
    return &r->doc->systems[r->doc->system_count - 1];
}

static int start_placeholder(struct reader *r, const struct tag *tag)
{
    struct cpix_drm_system *system = last_system(r);
    struct cpix_placeholder *p = add(r, &system->placeholders, &system->placeholder_count,
                                     sizeof *p);
    if (p == NULL)
        return -1;
    *p = (struct cpix_placeholder){.field = tag->element->field, .line = tag->line, .received = ""};
    const struct wanted playlist = {"playlist", &p->playlist};
    const struct wanted robustness = {"robustness", &p->robustness};
    if (p->field == CPIX_HLS_SIGNALING_DATA)
        return take_attributes(r, tag, &playlist, 1);
    return p->field == CPIX_CONTENT_PROTECTION_DATA ? take_attributes(r, tag, &robustness, 1) : 0;
}

static int end_placeholder(struct reader *r, const char *text)
{
    struct cpix_drm_system *system = last_system(r);
    struct cpix_placeholder *p = &system->placeholders[system->placeholder_count - 1];
    p->received = copy_text(r, text);
    return p->received == NULL ? -1 : 0;
}

static int start_system(struct reader *r, const struct tag *tag)
{
    if (r->doc->system_count == r->limits->systems)
        return too_many(r, tag, "Too many DRMSystem elements");
    struct cpix_drm_system *system = add(r, &r->doc->systems, &r->doc->system_count,
                                         sizeof *system);
    if (system == NULL)
        return -1;
    *system = (struct cpix_drm_system){.line = tag->line};
    const struct wanted wanted[] = {{"kid", &system->kid_text},
                                    {"systemId", &system->system_id_text},
                                    {"id", &system->id},
                                    {"name", &system->name},
                                    {"HLSAllowedCPC", &system->hls_allowed_cpc}};
    return take_attributes(r, tag, wanted, sizeof wanted / sizeof wanted[0]);
}

static int start_system_list(struct reader *r, const struct tag *tag)
{
    return start_list(r, tag, &r->doc->system_list);
}

#define PLACEHOLDER(namespace_, name_, field_) \
    [field_] = {.name_space = (namespace_),    \
                .name = (name_),               \
                .start = start_placeholder,    \
                .end = end_placeholder,        \
                .field = (field_)}
const struct element CPIX_PLACEHOLDERS[] = {
    PLACEHOLDER(CPIX_NAMESPACE, "PSSH", CPIX_PSSH),
    PLACEHOLDER(CPIX_NAMESPACE, "ContentProtectionData", CPIX_CONTENT_PROTECTION_DATA),
    PLACEHOLDER(CPIX_NAMESPACE, "HLSSignalingData", CPIX_HLS_SIGNALING_DATA),
    PLACEHOLDER(CPIX_NAMESPACE, "SmoothStreamingProtectionHeaderData", CPIX_SMOOTH_HEADER),
    PLACEHOLDER(CPIX_NAMESPACE, "URIExtXKey", CPIX_URI_EXT_X_KEY),
    PLACEHOLDER(SPEKE_NAMESPACE, "KeyFormat", CPIX_SPEKE_KEY_FORMAT),
    PLACEHOLDER(SPEKE_NAMESPACE, "KeyFormatVersions", CPIX_SPEKE_KEY_FORMAT_VERSIONS),
    PLACEHOLDER(SPEKE_NAMESPACE, "ProtectionHeader", CPIX_SPEKE_PROTECTION_HEADER),
};
static const struct element *const SYSTEM_CHILDREN[] = {
    &CPIX_PLACEHOLDERS[CPIX_PSSH],
    &CPIX_PLACEHOLDERS[CPIX_CONTENT_PROTECTION_DATA],
    &CPIX_PLACEHOLDERS[CPIX_HLS_SIGNALING_DATA],
    &CPIX_PLACEHOLDERS[CPIX_SMOOTH_HEADER],
    &CPIX_PLACEHOLDERS[CPIX_URI_EXT_X_KEY],
    &CPIX_PLACEHOLDERS[CPIX_SPEKE_KEY_FORMAT],
    &CPIX_PLACEHOLDERS[CPIX_SPEKE_KEY_FORMAT_VERSIONS],
    &CPIX_PLACEHOLDERS[CPIX_SPEKE_PROTECTION_HEADER],
    NULL};
static const struct element SYSTEM = {.name_space = CPIX_NAMESPACE,
                                      .name = "DRMSystem",
                                      .start = start_system,
                                      .children = SYSTEM_CHILDREN,
                                      .counter = offsetof(struct cpix_document, system_count)};
static const struct element *const SYSTEM_LIST_CHILDREN[] = {&SYSTEM, NULL};
static const struct element SYSTEM_LIST = {.name_space = CPIX_NAMESPACE,
                                           .name = "DRMSystemList",
                                           .start = start_system_list,
                                           .children = SYSTEM_LIST_CHILDREN};

/* --- ContentKeyPeriodList ------------------------------------------------------------------- */

static int start_period(struct reader *r, const struct tag *tag)
{
    if (r->doc->period_count == r->limits->keys)
        return too_many(r, tag, "Too many ContentKeyPeriod elements");
    struct cpix_period *p = add(r, &r->doc->periods, &r->doc->period_count, sizeof *p);
    if (p == NULL)
        return -1;
    *p = (struct cpix_period){.line = tag->line};
    if (keep_attributes(r, tag, &p->attributes) != 0)
        return -1;
    p->id = cpix_attribute(&p->attributes, "id");
    p->index = cpix_attribute(&p->attributes, "index");
    p->start = cpix_attribute(&p->attributes, "start");
    p->end = cpix_attribute(&p->attributes, "end");
    p->start_offset = cpix_attribute(&p->attributes, "startOffset");
    p->end_offset = cpix_attribute(&p->attributes, "endOffset");
    return 0;
}

static int start_period_list(struct reader *r, const struct tag *tag)
{
    return start_list(r, tag, &r->doc->period_list);
}

static const struct element PERIOD = {.name_space = CPIX_NAMESPACE,
                                      .name = "ContentKeyPeriod",
                                      .start = start_period,
                                      .counter = offsetof(struct cpix_document, period_count)};
static const struct element *const PERIOD_LIST_CHILDREN[] = {&PERIOD, NULL};
static const struct element PERIOD_LIST = {.name_space = CPIX_NAMESPACE,
                                           .name = "ContentKeyPeriodList",
                                           .start = start_period_list,
                                           .children = PERIOD_LIST_CHILDREN};

/* --- ContentKeyUsageRuleList ---------------------------------------------------------------- */

static struct cpix_rule *last_rule(struct reader *r)
{
    return &r->doc->rules[r->doc->rule_count - 1];
}

static struct cpix_filter *last_filter(struct reader *r)
{
    struct cpix_rule *rule = last_rule(r);
    return &rule->filters[rule->filter_count - 1];
}

static enum cpix_filter_kind filter_kind(const struct tag *tag)
{
    static const char *const NAMES[] = {
        [CPIX_KEY_PERIOD_FILTER] = "KeyPeriodFilter", [CPIX_VIDEO_FILTER] = "VideoFilter",
        [CPIX_AUDIO_FILTER] = "AudioFilter",          [CPIX_LABEL_FILTER] = "LabelFilter",
        [CPIX_BITRATE_FILTER] = "BitrateFilter",
    };
    if (tag->name_space == NULL || strcmp(tag->name_space, CPIX_NAMESPACE) != 0)
        return CPIX_OTHER_FILTER;
    size_t kind = 0;
    while (kind < CPIX_OTHER_FILTER && strcmp(tag->name, NAMES[kind]) != 0)
        kind++;
    return (enum cpix_filter_kind)kind;
}

static int start_filter(struct reader *r, const struct tag *tag)
{
    struct cpix_rule *rule = last_rule(r);
    struct cpix_filter *filter = add(r, &rule->filters, &rule->filter_count, sizeof *filter);
    if (filter == NULL)
        return -1;
    *filter = (struct cpix_filter){.kind = filter_kind(tag), .line = tag->line};
    filter->name = copy_text(r, tag->name);
    if (tag->name_space != NULL)
        filter->name_space = copy_value(r, tag->name_space, strlen(tag->name_space));
    if (failed(r->f))
        return -1;
    return keep_attributes(r, tag, &filter->attributes);
}

static int start_filter_content(struct reader *r, const struct tag *tag)
{
    (void)tag;
    last_filter(r)->has_content = true;
    return 0;
}

static int end_filter(struct reader *r, const char *text)
{
    if (text[strspn(text, " \t\r\n")] != '\0')
        last_filter(r)->has_content = true;
    return 0;
}

static int start_rule(struct reader *r, const struct tag *tag)
{
    if (r->doc->rule_count == r->limits->keys)
        return too_many(r, tag, "Too many ContentKeyUsageRule elements");
    struct cpix_rule *rule = add(r, &r->doc->rules, &r->doc->rule_count, sizeof *rule);
    if (rule == NULL)
        return -1;
    *rule = (struct cpix_rule){.line = tag->line, .key = CPIX_NO_KEY};
    if (keep_attributes(r, tag, &rule->attributes) != 0)
        return -1;
    rule->kid_text = cpix_attribute(&rule->attributes, "kid");
    rule->intended_track_type = cpix_attribute(&rule->attributes, "intendedTrackType");
    return 0;
}

static int start_rule_list(struct reader *r, const struct tag *tag)
{
    return start_list(r, tag, &r->doc->rule_list);
}

static const struct element FILTER_CONTENT = {.start = start_filter_content};
static const struct element FILTER = {
    .name = "*", .start = start_filter, .end = end_filter, .other = &FILTER_CONTENT};
static const struct element RULE = {.name_space = CPIX_NAMESPACE,
                                    .name = "ContentKeyUsageRule",
                                    .start = start_rule,
                                    .other = &FILTER,
                                    .counter = offsetof(struct cpix_document, rule_count)};
static const struct element *const RULE_LIST_CHILDREN[] = {&RULE, NULL};
static const struct element RULE_LIST = {.name_space = CPIX_NAMESPACE,
                                         .name = "ContentKeyUsageRuleList",
                                         .start = start_rule_list,
                                         .children = RULE_LIST_CHILDREN};

/* --- CPIX ----------------------------------------------------------------------------------- */

static int start_root(struct reader *r, const struct tag *tag)
{
    struct cpix_document *doc = r->doc;
    doc->line = tag->line;
    const struct wanted wanted[] = {{"id", &doc->id},
                                    {"contentId", &doc->content_id},
                                    {"name", &doc->name},
                                    {"version", &doc->version_text}};
    return take_attributes(r, tag, wanted, sizeof wanted / sizeof wanted[0]);
}

static const struct element *const ROOT_CHILDREN[] = {&KEY_LIST,    &SYSTEM_LIST,   &RULE_LIST,
                                                      &PERIOD_LIST, &DELIVERY_LIST, NULL};
const struct element CPIX_ROOT = {
    .name_space = CPIX_NAMESPACE, .name = "CPIX", .start = start_root, .children = ROOT_CHILDREN};
