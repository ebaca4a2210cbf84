/* SPDX-License-Identifier: Apache-2.0 */
/* Each element stands on a line of its own, which costs a byte and lets people and line tools read
 * an answer; texts have no blanks around them. There is no XML declaration: UTF-8 and version 1.0
 * are what XML takes for granted, and some clients' parsers choke on one. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "cpix/reader.h"

#define XML_NAMESPACE "http://www.w3.org/XML/1998/namespace"

/* A text that is written in the source: its length is known. */
#define PUT(out, literal) buf_put((out), (literal), sizeof(literal) - 1)

static void put_attribute(struct buf *out, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_putc(out, ' ');
    buf_puts(out, name);
    PUT(out, "=\"");
    buf_put_xml(out, value);
    buf_putc(out, '"');
}

/* An attribute of a foreign namespace gets a prefix of its own, a1, a2 and so on, declared on its
 * element. Only "xml" is bound for ever and may not be given another. */
static void put_foreign_attribute(struct buf *out, const struct cpix_attribute *a, size_t number)
{
    char prefix[32];
    if (strcmp(a->name_space, XML_NAMESPACE) == 0) {
        (void)snprintf(prefix, sizeof prefix, "xml");
    } else {
        (void)snprintf(prefix, sizeof prefix, "xmlns:a%zu", number);
        put_attribute(out, prefix, a->name_space);
        (void)snprintf(prefix, sizeof prefix, "a%zu", number);
    }
    buf_putc(out, ' ');
    buf_puts(out, prefix);
    buf_putc(out, ':');
    buf_puts(out, a->name);
    PUT(out, "=\"");
    buf_put_xml(out, a->value);
    buf_putc(out, '"');
}

/* SPEKE v2.x has no place for the speke namespace: encryptors refuse an answer that has it. */
static bool is_banned(const char *name_space, enum speke_version version)
{
    return version != SPEKE_V1 && name_space != NULL && strcmp(name_space, SPEKE_NAMESPACE) == 0;
}

static void put_attributes(struct buf *out, const struct cpix_attributes *attributes,
                           enum speke_version version)
{
    for (size_t i = 0; i < attributes->count; i++) {
        const struct cpix_attribute *a = &attributes->items[i];
        if (a->name_space == NULL)
            put_attribute(out, a->name, a->value);
        else if (!is_banned(a->name_space, version))
            put_foreign_attribute(out, a, i + 1);
    }
}

/* Whether a list is to be written: one that was read, or one that has items. */
static bool has_list(const struct cpix_list *list, size_t count)
{
    return list->occurrences > 0 || count > 0;
}

/* --- DeliveryDataList ----------------------------------------------------------------------- */

#define AES_256_CBC  XENC_NAMESPACE "aes256-cbc"
#define RSA_OAEP     XENC_NAMESPACE "rsa-oaep-mgf1p"
#define HMAC_SHA512  "http://www.w3.org/2001/04/xmldsig-more#hmac-sha512"
#define METHOD(name) "<enc:EncryptionMethod Algorithm=\"" name "\"/>\n"

static void put_element(struct buf *out, const char *name, const char *text)
{
    if (text == NULL)
        return;
    buf_putc(out, '<');
    buf_puts(out, name);
    buf_putc(out, '>');
    buf_put_xml(out, text);
    PUT(out, "</");
    buf_puts(out, name);
    PUT(out, ">\n");
}

/* Base64 on one line, however it was folded; what cannot be base64 as it is, never as markup. */
static void put_without_blanks(struct buf *out, const char *text)
{
    static const char BLANKS[] = " \t\r\n";
    if (strpbrk(text, "&<>\"'") != NULL) {
        buf_put_xml(out, text);
        return;
    }
    while (*text != '\0') {
        const size_t n = strcspn(text, BLANKS);
        buf_put(out, text, n);
        text += n;
        text += strspn(text, BLANKS);
    }
}

/* method is the whole element EncryptionMethod. */
static void put_cipher(struct buf *out, const char *method, const struct cpix_wrapped *w)
{
    buf_puts(out, method);
    PUT(out, "<enc:CipherData>\n");
    put_element(out, "enc:CipherValue", w->cipher);
    PUT(out, "</enc:CipherData>\n");
}

static void put_encrypted(struct buf *out, const char *method, const struct cpix_wrapped *w)
{
    PUT(out, "<pskc:EncryptedValue>\n");
    put_cipher(out, method, w);
    PUT(out, "</pskc:EncryptedValue>\n");
    put_element(out, "pskc:ValueMAC", w->mac);
}

static void put_mac_method(struct buf *out, const struct cpix_wrapped *w, enum cpix_mac_shape shape)
{
    PUT(out, "<cpix:MACMethod Algorithm=\"" HMAC_SHA512 "\">\n");
    const bool pskc = shape == CPIX_MAC_SHAPE_PSKC;
    buf_puts(out, pskc ? "<pskc:MACKey>\n" : "<cpix:Key>\n");
    if (shape == CPIX_MAC_SHAPE_SPEKE)
        put_encrypted(out, METHOD(RSA_OAEP), w);
    else
        put_cipher(out, METHOD(RSA_OAEP), w);
    buf_puts(out, pskc ? "</pskc:MACKey>\n" : "</cpix:Key>\n");
    PUT(out, "</cpix:MACMethod>\n");
}

static void put_delivery(struct buf *out, const struct cpix_delivery *d, enum cpix_mac_shape shape)
{
    PUT(out, "<cpix:DeliveryData");
    put_attribute(out, "id", d->id);
    put_attribute(out, "name", d->name);
    PUT(out, ">\n<cpix:DeliveryKey>\n<ds:X509Data>\n<ds:X509Certificate>");
    put_without_blanks(out, d->certificate != NULL ? d->certificate : "");
    PUT(out, "</ds:X509Certificate>\n</ds:X509Data>\n</cpix:DeliveryKey>\n");
    if (d->document_key.cipher != NULL) {
        PUT(out, "<cpix:DocumentKey Algorithm=\"" AES_256_CBC "\">\n"
                 "<cpix:Data>\n<pskc:Secret>\n");
        put_encrypted(out, METHOD(RSA_OAEP), &d->document_key);
        PUT(out, "</pskc:Secret>\n</cpix:Data>\n</cpix:DocumentKey>\n");
    }
    if (d->mac_key.cipher != NULL)
        put_mac_method(out, &d->mac_key, shape);
    put_element(out, "cpix:Description", d->description);
    put_element(out, "cpix:SendingEntity", d->sending_entity);
    put_element(out, "cpix:SenderPointOfContact", d->sender_point_of_contact);
    put_element(out, "cpix:ReceivingEntity", d->receiving_entity);
    PUT(out, "</cpix:DeliveryData>\n");
}

static void put_deliveries(struct buf *out, const struct cpix_document *doc)
{
    if (!has_list(&doc->delivery_list, doc->delivery_count))
        return;
    PUT(out, "<cpix:DeliveryDataList");
    put_attribute(out, "id", doc->delivery_list.id);
    PUT(out, ">\n");
    for (size_t i = 0; i < doc->delivery_count; i++)
        put_delivery(out, &doc->deliveries[i], doc->mac_shape);
    PUT(out, "</cpix:DeliveryDataList>\n");
}

/* --- ContentKeyList ------------------------------------------------------------------------- */

/* Stands before Data, as in the schema of CPIX 2.4. */
static void put_hdcp(struct buf *out, const struct cpix_content_key *key,
                     enum speke_version version)
{
    if (version != SPEKE_V2_1 || (key->hdcp_level == NULL && key->hdcp_output_protection == NULL))
        return;
    PUT(out, "<cpix:HDCPData");
    put_attribute(out, "HLSHDCPLevel", key->hdcp_level);
    PUT(out, ">\n");
    if (key->hdcp_output_protection != NULL) {
        PUT(out, "<cpix:HDCPOutputProtectionData>");
        buf_put_xml(out, key->hdcp_output_protection);
        PUT(out, "</cpix:HDCPOutputProtectionData>\n");
    }
    PUT(out, "</cpix:HDCPData>\n");
}

static void put_key(struct buf *out, const struct cpix_content_key *key, enum speke_version version)
{
    PUT(out, "<cpix:ContentKey");
    put_attribute(out, "kid", key->kid_text);
    if (version != SPEKE_V1)
        put_attribute(out, "commonEncryptionScheme", key->scheme_text);
    put_attribute(out, "explicitIV", key->explicit_iv);
    put_attribute(out, "id", key->id);
    put_attribute(out, "Algorithm", key->algorithm);
    if (key->key == NULL && key->encrypted.cipher == NULL) {
        PUT(out, "/>\n");
        return;
    }
    PUT(out, ">\n");
    put_hdcp(out, key, version);
    PUT(out, "<cpix:Data>\n<pskc:Secret>\n");
    if (key->encrypted.cipher != NULL) {
        put_encrypted(out, METHOD(AES_256_CBC), &key->encrypted);
    } else {
        PUT(out, "<pskc:PlainValue>");
        buf_put_base64(out, key->key, CPIX_KEY_BYTES);
        PUT(out, "</pskc:PlainValue>\n");
    }
    PUT(out, "</pskc:Secret>\n</cpix:Data>\n</cpix:ContentKey>\n");
}

static void put_keys(struct buf *out, const struct cpix_document *doc)
{
    if (!has_list(&doc->key_list, doc->key_count))
        return;
    PUT(out, "<cpix:ContentKeyList");
    put_attribute(out, "id", doc->key_list.id);
    PUT(out, ">\n");
    for (size_t i = 0; i < doc->key_count; i++)
        put_key(out, &doc->keys[i], doc->version);
    PUT(out, "</cpix:ContentKeyList>\n");
}

/* --- DRMSystemList -------------------------------------------------------------------------- */

static bool is_speke_field(enum cpix_field field)
{
    return field == CPIX_SPEKE_KEY_FORMAT || field == CPIX_SPEKE_KEY_FORMAT_VERSIONS ||
           field == CPIX_SPEKE_PROTECTION_HEADER;
}

static bool is_written(const struct cpix_placeholder *p, enum speke_version version)
{
    if (p->value == NULL)
        return false;
    return version == SPEKE_V1 || (p->field != CPIX_URI_EXT_X_KEY && !is_speke_field(p->field));
}

static void put_placeholder(struct buf *out, const struct cpix_placeholder *p,
                            enum speke_version version)
{
    const struct element *e = &CPIX_PLACEHOLDERS[p->field];
    const char *open = is_speke_field(p->field) ? "<speke:" : "<cpix:";
    buf_puts(out, open);
    buf_puts(out, e->name);
    if (p->field == CPIX_HLS_SIGNALING_DATA)
        put_attribute(out, "playlist", p->playlist);
    if (version == SPEKE_V2_1 && p->field == CPIX_CONTENT_PROTECTION_DATA)
        put_attribute(out, "robustness", p->robustness);
    if (p->value[0] == '\0') {
        PUT(out, "/>\n");
        return;
    }
    buf_putc(out, '>');
    buf_put_xml(out, p->value);
    PUT(out, "</");
    buf_puts(out, open + 1);
    buf_puts(out, e->name);
    PUT(out, ">\n");
}

static void put_system(struct buf *out, const struct cpix_drm_system *system,
                       enum speke_version version)
{
    PUT(out, "<cpix:DRMSystem");
    put_attribute(out, "kid", system->kid_text);
    put_attribute(out, "systemId", system->system_id_text);
    put_attribute(out, "id", system->id);
    put_attribute(out, "name", system->name);
    if (version == SPEKE_V2_1)
        put_attribute(out, "HLSAllowedCPC", system->hls_allowed_cpc);
    PUT(out, ">\n");
    for (size_t i = 0; i < system->placeholder_count; i++) {
        if (is_written(&system->placeholders[i], version))
            put_placeholder(out, &system->placeholders[i], version);
    }
    PUT(out, "</cpix:DRMSystem>\n");
}

static void put_systems(struct buf *out, const struct cpix_document *doc)
{
    if (!has_list(&doc->system_list, doc->system_count))
        return;
    PUT(out, "<cpix:DRMSystemList");
    put_attribute(out, "id", doc->system_list.id);
    PUT(out, ">\n");
    for (size_t i = 0; i < doc->system_count; i++)
        put_system(out, &doc->systems[i], doc->version);
    PUT(out, "</cpix:DRMSystemList>\n");
}

/* --- ContentKeyPeriodList and ContentKeyUsageRuleList --------------------------------------- */

static void put_periods(struct buf *out, const struct cpix_document *doc)
{
    if (!has_list(&doc->period_list, doc->period_count))
        return;
    PUT(out, "<cpix:ContentKeyPeriodList");
    put_attribute(out, "id", doc->period_list.id);
    PUT(out, ">\n");
    for (size_t i = 0; i < doc->period_count; i++) {
        PUT(out, "<cpix:ContentKeyPeriod");
        put_attributes(out, &doc->periods[i].attributes, doc->version);
        PUT(out, "/>\n");
    }
    PUT(out, "</cpix:ContentKeyPeriodList>\n");
}

/* A foreign element takes its namespace as the default one, which is over at its end. */
static void put_filter(struct buf *out, const struct cpix_filter *filter,
                       enum speke_version version)
{
    const bool ours = filter->name_space != NULL && strcmp(filter->name_space, CPIX_NAMESPACE) == 0;
    if (is_banned(filter->name_space, version))
        return;
    buf_puts(out, ours ? "<cpix:" : "<");
    buf_puts(out, filter->name);
    if (!ours)
        put_attribute(out, "xmlns", filter->name_space);
    put_attributes(out, &filter->attributes, version);
    PUT(out, "/>\n");
}

void cpix_write_filters(const struct cpix_rule *rule, enum speke_version version, struct buf *out)
{
    for (size_t i = 0; i < rule->filter_count; i++) {
        if (rule->filters[i].kind != CPIX_KEY_PERIOD_FILTER)
            put_filter(out, &rule->filters[i], version);
    }
}

static void put_rules(struct buf *out, const struct cpix_document *doc)
{
    if (!has_list(&doc->rule_list, doc->rule_count))
        return;
    PUT(out, "<cpix:ContentKeyUsageRuleList");
    put_attribute(out, "id", doc->rule_list.id);
    PUT(out, ">\n");
    for (size_t i = 0; i < doc->rule_count; i++) {
        const struct cpix_rule *rule = &doc->rules[i];
        PUT(out, "<cpix:ContentKeyUsageRule");
        put_attributes(out, &rule->attributes, doc->version);
        PUT(out, ">\n");
        for (size_t j = 0; j < rule->filter_count; j++)
            put_filter(out, &rule->filters[j], doc->version);
        PUT(out, "</cpix:ContentKeyUsageRule>\n");
    }
    PUT(out, "</cpix:ContentKeyUsageRuleList>\n");
}

/* --- CPIX ----------------------------------------------------------------------------------- */

static bool uses_speke_namespace(const struct cpix_document *doc)
{
    if (doc->version != SPEKE_V1)
        return false;
    for (size_t i = 0; i < doc->system_count; i++) {
        const struct cpix_drm_system *system = &doc->systems[i];
        for (size_t j = 0; j < system->placeholder_count; j++) {
            if (is_speke_field(system->placeholders[j].field) &&
                is_written(&system->placeholders[j], doc->version))
                return true;
        }
    }
    return false;
}

void cpix_write(const struct cpix_document *doc, struct buf *out)
{
    PUT(out, "<cpix:CPIX xmlns:cpix=\"" CPIX_NAMESPACE "\" xmlns:pskc=\"" PSKC_NAMESPACE "\"");
    if (uses_speke_namespace(doc))
        PUT(out, " xmlns:speke=\"" SPEKE_NAMESPACE "\"");
    if (has_list(&doc->delivery_list, doc->delivery_count))
        PUT(out, " xmlns:ds=\"" DSIG_NAMESPACE "\" xmlns:enc=\"" XENC_NAMESPACE "\"");
    if (doc->version == SPEKE_V1) {
        put_attribute(out, "id", doc->id);
    } else {
        put_attribute(out, "contentId", doc->content_id);
        put_attribute(out, "version", doc->version_text);
    }
    put_attribute(out, "name", doc->name);
    PUT(out, ">\n");
    put_deliveries(out, doc);
    put_keys(out, doc);
    put_systems(out, doc);
    put_periods(out, doc);
    put_rules(out, doc);
    PUT(out, "</cpix:CPIX>\n");
}
