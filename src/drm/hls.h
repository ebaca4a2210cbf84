/* SPDX-License-Identifier: Apache-2.0 */
/* The lines #EXT-X-KEY and #EXT-X-SESSION-KEY (RFC 8216 sections 4.3.2.4 and 4.3.4.5). They have
 * the same attributes, so one text is written for both. */
#ifndef DRM_HLS_H
#define DRM_HLS_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct drm_input;
struct drm_settings;
struct signalling;

/* METHOD for what encrypts samples, not whole segments: SAMPLE-AES, or SAMPLE-AES-CTR where the
 * document says so or, for cenc, the settings. */
const char *hls_sample_method(const struct drm_input *in);

/* Clears the buffer and starts the line: the tag and METHOD. */
void hls_begin(struct buf *line, const char *method);
/* Appends NAME="…"; the value is made of two texts that hold no quote and no control character. */
void hls_put_quoted(struct buf *line, const char *name, const char *start, const char *end);
/* Appends NAME=0x… with two lower-case digits a byte. */
void hls_put_hex(struct buf *line, const char *name, const unsigned char *bytes, size_t n);
/* Appends KEYFORMAT and KEYFORMATVERSIONS: those of the settings, else the usual format and "1". */
void hls_put_format(struct buf *line, const struct drm_settings *set, const char *usual);
/* Takes the line that was begun in s->text and sets the wanted ones of the values hls_media and
 * hls_master. Returns 0, or -1 with the failure set. */
int hls_end(struct signalling *s);

/* What systems have to say whose whole signalling is a URI. */
struct hls_key {
    const char *method;
    const char *uri; /* template */
    const char *format;
    bool iv; /* write the IV attribute, when there is an IV */
};

/* Sets the wanted ones of both HLS lines and of the v1 values key_uri, key_format and
 * key_format_versions. Returns 0, or -1 with the failure set. */
int hls_signal_uri(struct signalling *s, const struct hls_key *key);

#endif
