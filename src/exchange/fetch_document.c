/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/fetch_document.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "cpix/cpix.h"
#include "drm/drm.h"
#include "exchange/tenant.h"
#include "exchange/tenant_options.h"
#include "exchange/track.h"
#include "keystore/keystore.h"

static void put_attribute(struct buf *out, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_printf(out, " %s=\"", name);
    buf_put_xml(out, value);
    buf_putc(out, '"');
}

static void put_kid(struct buf *out, const struct uuid *kid)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(kid, text);
    put_attribute(out, "kid", text);
}

static void put_head(struct buf *out, const char *content_id)
{
    buf_puts(out, "<cpix:CPIX xmlns:cpix=\"" CPIX_NAMESPACE "\" version=\"2.3\"");
    put_attribute(out, "contentId", content_id);
    buf_puts(out, ">\n");
}

/* A key's scheme as CPIX 2.3 knows it. SPEKE v1 tells none: then it is what players take for
 * granted, cenc. The HLS methods of SPEKE v2.1 are named by what they do to the samples. */
static enum scheme usual_scheme(const char *text)
{
    const enum scheme scheme = scheme_parse(text, SPEKE_V2_1);
    switch (scheme) {
    case SCHEME_NONE:
    case SCHEME_UNKNOWN:
    case SCHEME_HLS_SAMPLE_AES_CTR:
        return SCHEME_CENC;
    case SCHEME_HLS_AES_128:
    case SCHEME_HLS_SAMPLE_AES:
        return SCHEME_CBCS;
    case SCHEME_CENC:
    case SCHEME_CBC1:
    case SCHEME_CENS:
    case SCHEME_CBCS:
        break;
    }
    return scheme;
}

static void put_key(struct buf *out, const struct uuid *kid, enum scheme scheme)
{
    buf_puts(out, "<cpix:ContentKey");
    put_kid(out, kid);
    put_attribute(out, "commonEncryptionScheme", scheme_name(scheme));
    buf_puts(out, "/>\n");
}

/* The signalling of one key, all that each system has. */
static void put_systems(struct buf *out, const struct uuid *kid, enum scheme scheme,
                        const struct tenant_config *config)
{
    for (size_t i = 0; i < config->fetch_system_count; i++) {
        const struct uuid *id = &config->fetch_systems[i];
        const struct drm_settings *settings;
        const struct drm_system *system = tenant_system(config, id, SPEKE_V2_0, &settings);
        char text[UUID_TEXT_SIZE];
        if (system == NULL || !tenant_scheme_fits(system, settings, scheme))
            continue;
        uuid_format(id, text);
        buf_puts(out, "<cpix:DRMSystem");
        put_kid(out, kid);
        put_attribute(out, "systemId", text);
        buf_puts(out, "><cpix:PSSH/><cpix:ContentProtectionData/>"
                      "<cpix:HLSSignalingData playlist=\"media\"/>"
                      "<cpix:HLSSignalingData playlist=\"master\"/>"
                      "<cpix:SmoothStreamingProtectionHeaderData/></cpix:DRMSystem>\n");
    }
}

/* --- What there is -------------------------------------------------------------------------- */

static void put_periods(struct buf *out, const struct keystore_content *content)
{
    bool open = false;
    for (size_t i = 0; i < content->period_count; i++) {
        const struct keystore_period *p = &content->periods[i];
        if (p->id == NULL)
            continue;
        buf_puts(out, open ? "" : "<cpix:ContentKeyPeriodList>\n");
        open = true;
        buf_puts(out, "<cpix:ContentKeyPeriod");
        put_attribute(out, "id", p->id);
        put_attribute(out, "index", p->index);
        put_attribute(out, "start", p->start);
        put_attribute(out, "end", p->end);
        put_attribute(out, "startOffset", p->start_offset);
        put_attribute(out, "endOffset", p->end_offset);
        buf_puts(out, "/>\n");
    }
    buf_puts(out, open ? "</cpix:ContentKeyPeriodList>\n" : "");
}

static void put_rule(struct buf *out, const struct keystore_content *content,
                     const struct keystore_rule *rule)
{
    buf_puts(out, "<cpix:ContentKeyUsageRule");
    put_kid(out, &rule->kid);
    put_attribute(out, "intendedTrackType", rule->track_type);
    buf_puts(out, ">\n");
    for (size_t i = 0; i < content->link_count; i++) {
        const struct keystore_content_link *link = &content->links[i];
        const char *id = content->periods[link->period].id;
        if (id == NULL || !uuid_equal(&link->kid, &rule->kid))
            continue;
        buf_puts(out, "<cpix:KeyPeriodFilter");
        put_attribute(out, "periodId", id);
        buf_puts(out, "/>\n");
    }
    buf_puts(out, rule->filters); /* written by cpix_write_filters(), or by track_put_filters() */
    buf_puts(out, "</cpix:ContentKeyUsageRule>\n");
}

static void put_rules(struct buf *out, const struct keystore_content *content)
{
    bool open = false;
    for (size_t i = 0; i < content->key_count; i++) {
        for (size_t j = 0; j < content->keys[i].rule_count; j++) {
            buf_puts(out, open ? "" : "<cpix:ContentKeyUsageRuleList>\n");
            open = true;
            put_rule(out, content, &content->keys[i].rules[j]);
        }
    }
    buf_puts(out, open ? "</cpix:ContentKeyUsageRuleList>\n" : "");
}

void fetch_document_put(const char *content_id, const struct keystore_content *content,
                        const struct tenant_config *config, struct buf *out)
{
    put_head(out, content_id);
    buf_puts(out, "<cpix:ContentKeyList>\n");
    for (size_t i = 0; i < content->key_count; i++)
        put_key(out, &content->keys[i].kid, usual_scheme(content->keys[i].scheme));
    buf_puts(out, "</cpix:ContentKeyList>\n<cpix:DRMSystemList>\n");
    for (size_t i = 0; i < content->key_count; i++)
        put_systems(out, &content->keys[i].kid, usual_scheme(content->keys[i].scheme), config);
    buf_puts(out, "</cpix:DRMSystemList>\n");
    put_periods(out, content);
    put_rules(out, content);
    buf_puts(out, "</cpix:CPIX>\n");
}

/* --- What is to be made --------------------------------------------------------------------- */

/* A KID that stands for the n-th track until it gets its own. */
static struct uuid stand_in(size_t n)
{
    struct uuid kid = {{0}};
    kid.bytes[UUID_BYTES - 1] = (uint8_t)(n + 1);
    return kid;
}

void fetch_document_put_new(const char *content_id, const struct tenant_config *config,
                            struct buf *out)
{
    const enum scheme scheme = config->fetch_scheme == TENANT_FETCH_CBCS ? SCHEME_CBCS
                                                                         : SCHEME_CENC;
    const char *p = config->fetch_tracks, *word;
    size_t count = 0, n;
    while (tenant_next_word(&p, &word) > 0)
        count++;
    put_head(out, content_id);
    buf_puts(out, "<cpix:ContentKeyList>\n");
    for (size_t i = 0; i < count; i++) {
        const struct uuid kid = stand_in(i);
        put_key(out, &kid, scheme);
    }
    buf_puts(out, "</cpix:ContentKeyList>\n<cpix:DRMSystemList>\n");
    for (size_t i = 0; i < count; i++) {
        const struct uuid kid = stand_in(i);
        put_systems(out, &kid, scheme, config);
    }
    buf_puts(out, "</cpix:DRMSystemList>\n<cpix:ContentKeyUsageRuleList>\n");
    p = config->fetch_tracks;
    for (size_t i = 0; (n = tenant_next_word(&p, &word)) > 0; i++) {
        const struct uuid kid = stand_in(i);
        buf_puts(out, "<cpix:ContentKeyUsageRule");
        put_kid(out, &kid);
        buf_puts(out, " intendedTrackType=\"");
        buf_put(out, word, n);
        buf_puts(out, "\">\n");
        track_put_filters(word, n, config->fetch_tracks, out);
        buf_puts(out, "</cpix:ContentKeyUsageRule>\n");
    }
    buf_puts(out, "</cpix:ContentKeyUsageRuleList>\n</cpix:CPIX>\n");
}
