/* SPDX-License-Identifier: Apache-2.0 */
#include "drm/hls.h"

#include <string.h>

#include "drm/system.h"
#include "drm/template.h"
#include "drm/text.h"

static const char MASTER_TAG[] = "#EXT-X-SESSION-KEY:";
static const char MEDIA_TAG[] = "#EXT-X-KEY:";

static const char *given_or(const char *text, const char *usual)
{
    return signal_given(text) ? text : usual;
}

static const char *key_format(const struct drm_settings *set, const char *usual)
{
    return given_or(set->hls_keyformat, usual);
}

static const char *key_format_versions(const struct drm_settings *set)
{
    return given_or(set->hls_keyformatversions, "1");
}

const char *hls_sample_method(const struct drm_input *in)
{
    const bool ctr = in->scheme == SCHEME_HLS_SAMPLE_AES_CTR ||
                     (in->scheme == SCHEME_CENC && in->settings->hls_ctr_method);
    return ctr ? "SAMPLE-AES-CTR" : "SAMPLE-AES";
}

void hls_begin(struct buf *line, const char *method)
{
    buf_clear(line);
    buf_puts(line, MASTER_TAG);
    buf_puts(line, "METHOD=");
    buf_puts(line, method);
}

static void put_name(struct buf *line, const char *name)
{
    buf_putc(line, ',');
    buf_puts(line, name);
    buf_putc(line, '=');
}

void hls_put_quoted(struct buf *line, const char *name, const char *start, const char *end)
{
    put_name(line, name);
    buf_putc(line, '"');
    buf_puts(line, start);
    buf_puts(line, end);
    buf_putc(line, '"');
}

void hls_put_hex(struct buf *line, const char *name, const unsigned char *bytes, size_t n)
{
    put_name(line, name);
    buf_puts(line, "0x");
    text_put_hex(line, bytes, n);
}

void hls_put_format(struct buf *line, const struct drm_settings *set, const char *usual)
{
    hls_put_quoted(line, "KEYFORMAT", key_format(set, usual), "");
    hls_put_quoted(line, "KEYFORMATVERSIONS", key_format_versions(set), "");
}

int hls_end(struct signalling *s)
{
    if (signal_wants(s, DRM_HLS_MASTER) &&
        signal_base64(s, &s->text, 0, &s->values.hls_master) != 0)
        return -1;
    if (!signal_wants(s, DRM_HLS_MEDIA))
        return 0;
    /* The shorter tag is written over the end of the longer one. */
    const size_t from = strlen(MASTER_TAG) - strlen(MEDIA_TAG);
    if (buf_ok(&s->text))
        memcpy(s->text.data + from, MEDIA_TAG, strlen(MEDIA_TAG));
    return signal_base64(s, &s->text, from, &s->values.hls_media);
}

static int put_lines(struct signalling *s, const struct hls_key *key)
{
    hls_begin(&s->text, key->method);
    put_name(&s->text, "URI");
    buf_putc(&s->text, '"');
    if (template_put(&s->text, TEMPLATE_URI, key->uri, s->in, s->f) != 0)
        return -1;
    buf_putc(&s->text, '"');
    if (key->iv && s->in->iv != NULL)
        hls_put_hex(&s->text, "IV", s->in->iv, 16);
    hls_put_format(&s->text, s->in->settings, key->format);
    return hls_end(s);
}

static int put_text_value(struct signalling *s, const char *text, const char **value)
{
    buf_clear(&s->text);
    buf_puts(&s->text, text);
    return signal_base64(s, &s->text, 0, value);
}

static int put_uri_value(struct signalling *s, const char *uri)
{
    buf_clear(&s->text);
    if (template_put(&s->text, TEMPLATE_URI, uri, s->in, s->f) != 0)
        return -1;
    return signal_base64(s, &s->text, 0, &s->values.key_uri);
}

int hls_signal_uri(struct signalling *s, const struct hls_key *key)
{
    const struct drm_settings *set = s->in->settings;
    if (signal_wants(s, DRM_HLS_MEDIA | DRM_HLS_MASTER) && put_lines(s, key) != 0)
        return -1;
    if (signal_wants(s, DRM_KEY_URI) && put_uri_value(s, key->uri) != 0)
        return -1;
    if (signal_wants(s, DRM_KEY_FORMAT) &&
        put_text_value(s, key_format(set, key->format), &s->values.key_format) != 0)
        return -1;
    if (signal_wants(s, DRM_KEY_FORMAT_VERSIONS) &&
        put_text_value(s, key_format_versions(set), &s->values.key_format_versions) != 0)
        return -1;
    return 0;
}
