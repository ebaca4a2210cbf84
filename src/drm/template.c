/* SPDX-License-Identifier: Apache-2.0 */
#include "drm/template.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/failure.h"
#include "base/segment.h"
#include "drm/drm.h"
#include "drm/system.h"
#include "drm/text.h"

enum { IV_BYTES = 16 };

static bool put_content_id(struct buf *b, const struct drm_input *in)
{
    buf_put_percent(b, in->content_id);
    return true;
}

static bool put_content_id_base64(struct buf *b, const struct drm_input *in)
{
    buf_put_base64(b, in->content_id, strlen(in->content_id));
    return true;
}

static bool put_content_segment(struct buf *b, const struct drm_input *in)
{
    segment_put(b, in->content_id);
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

static bool put_clearkey_url(struct buf *b, const struct drm_input *in)
{
    const char *base = in->settings->clearkey_url_base;
    if (signal_given(base))
        buf_puts(b, base);
    return signal_given(base);
}

static bool put_pssh(struct buf *b, const struct drm_input *in)
{
    if (in->pssh != NULL)
        buf_puts(b, in->pssh);
    return in->pssh != NULL;
}

static bool put_system_id(struct buf *b, const struct drm_input *in)
{
    char text[UUID_TEXT_SIZE];
    if (in->system_id == NULL)
        return false;
    uuid_format(in->system_id, text);
    buf_put(b, text, UUID_TEXT_SIZE - 1);
    return true;
}

static bool put_content_id_raw(struct buf *b, const struct drm_input *in)
{
    buf_puts(b, in->content_id);
    return true;
}

static bool put_content_id_json(struct buf *b, const struct drm_input *in)
{
    text_put_json(b, in->content_id);
    return true;
}

static bool put_kid_base64(struct buf *b, const struct drm_input *in)
{
    buf_put_base64(b, in->kid->bytes, UUID_BYTES);
    return true;
}

static bool put_kid_bytes(struct buf *b, const struct drm_input *in)
{
    buf_put(b, in->kid->bytes, UUID_BYTES);
    return true;
}

enum { ANYWHERE = TEMPLATE_URI | TEMPLATE_XML | TEMPLATE_DATA };

/* Each appends its value; false when there is none. */
static const struct name {
    const char *text;
    unsigned uses; /* bits of enum template_use */
    bool (*put)(struct buf *b, const struct drm_input *in);
} NAMES[] = {
    {"content_id", ANYWHERE, put_content_id},
    {"content_id_base64", ANYWHERE, put_content_id_base64},
    {"content_segment", ANYWHERE, put_content_segment},
    {"content_id_raw", TEMPLATE_XML | TEMPLATE_DATA, put_content_id_raw},
    {"content_id_json", TEMPLATE_XML | TEMPLATE_DATA, put_content_id_json},
    {"kid", ANYWHERE, put_kid},
    {"kid_hex", ANYWHERE, put_kid_hex},
    {"kid_base64", ANYWHERE, put_kid_base64},
    {"kid_bytes", TEMPLATE_DATA, put_kid_bytes},
    {"iv_base64", ANYWHERE, put_iv_base64},
    {"iv_hex", ANYWHERE, put_iv_hex},
    {"guide_json", TEMPLATE_URI, put_guide_json},
    {"key_url", TEMPLATE_URI, put_key_url},
    {"clearkey_url", TEMPLATE_URI, put_clearkey_url},
    {"system_id", ANYWHERE, put_system_id},
    {"pssh", TEMPLATE_URI | TEMPLATE_XML, put_pssh},
};

/* The next piece of a template. */
struct piece {
    enum { PLAIN, NAMED, HEX, END, NO_PARTNER, UNKNOWN, NO_HEX } kind;
    const char *text; /* plain text, the name, or the digits */
    size_t n;
    const struct name *name;
};

static const char HEX_WORD[] = "hex:";

static bool is_hex(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strchr("0123456789abcdefABCDEF", text[i]) == NULL)
            return false;
    }
    return n > 0 && n % 2 == 0;
}

/* What stands in braces, n characters from text on. */
static struct piece named_piece(enum template_use use, const char *text, size_t n)
{
    const size_t word = sizeof HEX_WORD - 1;
    struct piece piece = {.kind = UNKNOWN, .text = text, .n = n};
    if (use == TEMPLATE_DATA && n >= word && memcmp(text, HEX_WORD, word) == 0) {
        piece.kind = is_hex(text + word, n - word) ? HEX : NO_HEX;
        piece.text += word;
        piece.n -= word;
        return piece;
    }
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        if (strlen(NAMES[i].text) == n && memcmp(NAMES[i].text, text, n) == 0 &&
            (NAMES[i].uses & use) != 0) {
            piece.kind = NAMED;
            piece.name = &NAMES[i];
        }
    }
    return piece;
}

/* Moves *p behind the piece that begins there. A URI has no use for braces of its own; elsewhere
 * they are doubled. */
static struct piece next_piece(enum template_use use, const char **p)
{
    const size_t plain = strcspn(*p, "{}");
    struct piece piece = {.kind = plain > 0 ? PLAIN : END, .text = *p, .n = plain};
    if (plain > 0 || **p == '\0') {
        *p += plain;
        return piece;
    }
    if (use != TEMPLATE_URI && (*p)[1] == (*p)[0]) {
        piece.kind = PLAIN;
        piece.n = 1;
        *p += 2;
        return piece;
    }
    const size_t n = **p == '{' ? strcspn(*p + 1, "{}") : 0;
    if (n == 0 || (*p)[1 + n] != '}') {
        piece.kind = NO_PARTNER;
        return piece;
    }
    piece = named_piece(use, *p + 1, n);
    *p += n + 2;
    return piece;
}

static void describe(const struct piece *piece, char *why, size_t size)
{
    if (piece->kind == NO_PARTNER)
        (void)snprintf(why, size, "a brace without its partner");
    else if (piece->kind == NO_HEX)
        (void)snprintf(why, size, "{hex:...} holds no pairs of hexadecimal digits");
    else
        (void)snprintf(why, size, "{%.*s} is no known name", (int)(piece->n < 64 ? piece->n : 64),
                       piece->text);
}

static void put_hex_bytes(struct buf *b, const struct piece *piece)
{
    for (size_t i = 0; i < piece->n; i += 2) {
        unsigned value = 0;
        for (size_t j = i; j < i + 2; j++) {
            const char c = piece->text[j];
            const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
            value = value << 4 | (unsigned)digit;
        }
        buf_put_u8(b, (uint8_t)value);
    }
}

/* In XML a value is text, whatever it holds. */
static bool put_value(struct buf *b, enum template_use use, const struct name *name,
                      const struct drm_input *in)
{
    struct buf value;
    if (use != TEMPLATE_XML)
        return name->put(b, in);
    buf_init(&value, b->max);
    const bool there = name->put(&value, in);
    buf_putc(&value, '\0');
    if (buf_ok(&value))
        buf_put_xml(b, (const char *)value.data);
    else
        b->failed = true;
    buf_free(&value);
    return there;
}

int template_put(struct buf *b, enum template_use use, const char *template,
                 const struct drm_input *in, struct failure *f)
{
    const size_t start = b->len;
    const char *p = template;
    char why[128];
    for (struct piece piece = next_piece(use, &p); piece.kind != END; piece = next_piece(use, &p)) {
        switch (piece.kind) {
        case PLAIN:
            buf_put(b, piece.text, piece.n);
            break;
        case HEX:
            put_hex_bytes(b, &piece);
            break;
        case NAMED:
            if (!put_value(b, use, piece.name, in))
                return fail_internal(f, "template \"%s\": {%s} has no value", template,
                                     piece.name->text);
            break;
        default:
            describe(&piece, why, sizeof why);
            return fail_internal(f, "template \"%s\": %s", template, why);
        }
    }
    /* Of an empty template an empty buffer stays without data. */
    if (use == TEMPLATE_URI && buf_ok(b) && b->len > start &&
        !text_quotable(b->data + start, b->len - start))
        return fail_internal(f, "template \"%s\": the result is no text that can stand in quotes",
                             template);
    return 0;
}

int template_check(enum template_use use, const char *template, char *why, size_t size)
{
    const char *p = template;
    for (;;) {
        const char *const start = p;
        const struct piece piece = next_piece(use, &p);
        const size_t place = (size_t)(start - template) + 1;
        char fault[128] = "";
        if (piece.kind == END)
            return 0;
        if (piece.kind == NO_PARTNER || piece.kind == UNKNOWN || piece.kind == NO_HEX)
            describe(&piece, fault, sizeof fault);
        else if (use == TEMPLATE_URI && piece.kind == PLAIN &&
                 !text_quotable((const unsigned char *)piece.text, piece.n))
            (void)snprintf(fault, sizeof fault, "text that cannot stand in quotes in a playlist");
        if (fault[0] != '\0') {
            (void)snprintf(why, size, "byte %zu: %s", place, fault);
            return -1;
        }
    }
}

size_t template_place_of(enum template_use use, const char *template, const char *name)
{
    const char *p = template == NULL ? "" : template, *start = p;
    for (struct piece piece = next_piece(use, &p); piece.kind != END; piece = next_piece(use, &p)) {
        if (piece.kind == NAMED && strcmp(piece.name->text, name) == 0)
            return (size_t)(start - template) + 1;
        if (piece.kind == NO_PARTNER)
            break; /* it was not passed over */
        start = p;
    }
    return 0;
}

void template_names(enum template_use use, struct buf *out)
{
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        if ((NAMES[i].uses & use) != 0)
            buf_printf(out, "%s{%s}", out->len > 0 ? " " : "", NAMES[i].text);
    }
    if (use == TEMPLATE_DATA)
        buf_puts(out, " {hex:0a1b...}");
}
