/* SPDX-License-Identifier: Apache-2.0 */
/* Widevine: a protobuf message (WidevinePsshData) in a version 0 box. */
#include <stdint.h>
#include <string.h>

#include "drm/hls.h"
#include "drm/pssh.h"
#include "drm/system.h"

/* Tags of the message: field number and wire type. Writers keep to the order of the numbers, so
 * that equal input gives equal boxes. */
enum {
    TAG_KEY_ID = 2 << 3 | 2,
    TAG_PROVIDER = 3 << 3 | 2,
    TAG_CONTENT_ID = 4 << 3 | 2,
    TAG_POLICY = 6 << 3 | 2,
    TAG_PROTECTION_SCHEME = 9 << 3 | 0,
};

static void put_varint(struct buf *b, size_t v)
{
    while (v >= 0x80) {
        buf_put_u8(b, (uint8_t)(v | 0x80));
        v >>= 7;
    }
    buf_put_u8(b, (uint8_t)v);
}

static void put_bytes(struct buf *b, uint8_t tag, const void *bytes, size_t n)
{
    buf_put_u8(b, tag);
    put_varint(b, n);
    buf_put(b, bytes, n);
}

/* The scheme's four characters as a big-endian number; 0 when the scheme is not known, as in v1.
 * Players take a box without it for CTR. */
static uint32_t protection_scheme(enum scheme scheme)
{
    switch (scheme) {
    case SCHEME_CENC:
    case SCHEME_HLS_SAMPLE_AES_CTR:
        return 0x63656e63;
    case SCHEME_CBCS:
    case SCHEME_HLS_SAMPLE_AES:
        return 0x63626373;
    default:
        return 0;
    }
}

static void put_message(struct buf *b, const struct drm_input *in)
{
    const struct drm_settings *set = in->settings;
    const uint32_t scheme = protection_scheme(in->scheme);
    put_bytes(b, TAG_KEY_ID, in->kid->bytes, UUID_BYTES);
    if (signal_given(set->widevine_provider))
        put_bytes(b, TAG_PROVIDER, set->widevine_provider, strlen(set->widevine_provider));
    if (set->widevine_content_id)
        put_bytes(b, TAG_CONTENT_ID, in->content_id, strlen(in->content_id));
    if (signal_given(set->widevine_policy))
        put_bytes(b, TAG_POLICY, set->widevine_policy, strlen(set->widevine_policy));
    if (scheme != 0) {
        buf_put_u8(b, TAG_PROTECTION_SCHEME);
        put_varint(b, scheme);
    }
}

static int put_lines(struct signalling *s, const char *box)
{
    hls_begin(&s->text, hls_sample_method(s->in));
    hls_put_quoted(&s->text, "URI", "data:text/plain;base64,", box);
    if (s->in->settings->hls_keyid)
        hls_put_hex(&s->text, "KEYID", s->in->kid->bytes, UUID_BYTES);
    hls_put_format(&s->text, s->in->settings, "urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed");
    return hls_end(s);
}

int widevine_signal(struct signalling *s)
{
    const char *box;
    put_message(&s->text, s->in);
    if (signal_check(s, &s->text) != 0)
        return -1;
    pssh_put_v0_header(&s->box, &s->system->id, s->text.len);
    buf_put(&s->box, s->text.data, s->text.len);
    if (pssh_signal(s, &box) != 0)
        return -1;
    return signal_wants(s, DRM_HLS_MEDIA | DRM_HLS_MASTER) ? put_lines(s, box) : 0;
}
