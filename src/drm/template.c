/* SPDX-License-Identifier: Apache-2.0 */
#include "drm/template.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/buf.h"
#include "base/failure.h"
#include "drm/drm.h"
#include "drm/system.h"
#include "drm/text.h"

enum { IV_BYTES = 16 };

static bool put_content_id(struct buf *b, const struct drm_input *in)
{
    text_put_percent(b, in->content_id);
    return true;
}

static bool put_content_id_base64(struct buf *b, const struct drm_input *in)
{
    buf_put_base64(b, in->content_id, strlen(in->content_id));
    return true;
}

static bool put_kid(struct buf *b, const struct drm_input *in)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(in->kid, text);
    buf_put(b, text, UUID_TEXT_SIZE - 1);
    return true;
}

static bool put_kid_hex(struct buf *b, const struct drm_input *in)
{
    text_put_hex(b, in->kid->bytes, UUID_BYTES);
    return true;
}

static bool put_iv_base64(struct buf *b, const struct drm_input *in)
{
    if (in->iv != NULL)
        buf_put_base64(b, in->iv, IV_BYTES);
    return in->iv != NULL;
}

static bool put_iv_hex(struct buf *b, const struct drm_input *in)
{
    if (in->iv != NULL)
        text_put_hex(b, in->iv, IV_BYTES);
    return in->iv != NULL;
}

/* {"ContentId":…,"KeyId":…,"IV":…}, without IV when there is none. The IV is the text of the
 * document's explicitIV, since a licence server compares the two. */
static bool put_guide_json(struct buf *b, const struct drm_input *in)
{
    struct buf json;
    buf_init(&json, b->max);
    buf_puts(&json, "{\"ContentId\":");
    text_put_json(&json, in->content_id);
    buf_puts(&json, ",\"KeyId\":\"");
    (void)put_kid(&json, in); /* there is always one */
    buf_putc(&json, '"');
    if (in->iv_text != NULL) {
        buf_puts(&json, ",\"IV\":");
        text_put_json(&json, in->iv_text);
    } else if (in->iv != NULL) {
        buf_puts(&json, ",\"IV\":\"");
        buf_put_base64(&json, in->iv, IV_BYTES);
        buf_putc(&json, '"');
    }
    buf_putc(&json, '}');
    if (buf_ok(&json))
        buf_put_base64(b, json.data, json.len);
    else
        b->failed = true;
    buf_free(&json);
    return true;
}

static bool put_key_url(struct buf *b, const struct drm_input *in)
{
    const char *base = in->settings->key_url_base;
    if (signal_given(base))
        buf_puts(b, base);
    return signal_given(base);
}

/* Each appends its value; false when there is none. */
static const struct name {
    const char *text;
    bool (*put)(struct buf *b, const struct drm_input *in);
} NAMES[] = {
    {"content_id", put_content_id},
    {"content_id_base64", put_content_id_base64},
    {"kid", put_kid},
    {"kid_hex", put_kid_hex},
    {"iv_base64", put_iv_base64},
    {"iv_hex", put_iv_hex},
    {"guide_json", put_guide_json},
    {"key_url", put_key_url},
};

static const struct name *find_name(const char *text, size_t n)
{
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        if (strlen(NAMES[i].text) == n && memcmp(NAMES[i].text, text, n) == 0)
            return &NAMES[i];
    }
    return NULL;
}

int template_put(struct buf *b, const char *template, const struct drm_input *in, struct failure *f)
{
    const size_t start = b->len;
    const char *p = template;
    for (;;) {
        const size_t plain = strcspn(p, "{}");
        buf_put(b, p, plain);
        p += plain;
        if (*p == '\0')
            break;
        const size_t n = *p == '{' ? strcspn(p + 1, "{}") : 0;
        if (n == 0 || p[1 + n] != '}')
            return fail_internal(f, "template \"%s\": a brace without its partner", template);
        const struct name *name = find_name(p + 1, n);
        if (name == NULL)
            return fail_internal(f, "template \"%s\": {%.*s} is no known name", template, (int)n,
                                 p + 1);
        if (!name->put(b, in))
            return fail_internal(f, "template \"%s\": {%s} has no value", template, name->text);
        p += n + 2;
    }
    if (buf_ok(b) && !text_quotable(b->data + start, b->len - start))
        return fail_internal(f, "template \"%s\": the result is no text that can stand in quotes",
                             template);
    return 0;
}
