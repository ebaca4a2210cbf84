/* SPDX-License-Identifier: Apache-2.0 */
/* The encryption presets of the AWS encryptors: names for which keys protect which tracks. Only
 * the keys and rules that follow from them reach a key provider. */
#ifndef CTL_PRESET_H
#define CTL_PRESET_H

#include <stddef.h>

#include "cpix/cpix.h"

enum { PRESET_RULES_MAX = 8, PRESET_FILTERS_MAX = 2 };

/* VideoFilter@minPixels and @maxPixels or AudioFilter@minChannels and @maxChannels; NULL: absent.
 */
struct preset_filter {
    enum cpix_filter_kind kind;
    const char *least, *most;
};

/* One key: the tracks that it protects. */
struct preset_rule {
    const char *track_type; /* intendedTrackType */
    struct preset_filter filters[PRESET_FILTERS_MAX];
    size_t filter_count;
};

/* Reads "PRESET-VIDEO-2,PRESET-AUDIO-1" and the like into the rules of a document: names separated
 * by commas, of which "PRESET" may be left out, in either case and with "-", "_" or "=" between
 * their parts. SHARED and UNENCRYPTED stand for a preset's number, or alone: SHARED for both
 * sides, UNENCRYPTED for the side that is not named. A side that is not named has preset 1.
 * Returns 0, or -1 with what is wrong in why. */
int preset_parse(const char *text, const struct preset_rule *rules[static PRESET_RULES_MAX],
                 size_t *count, char *why, size_t size);

#endif
