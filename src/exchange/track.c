/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/track.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "exchange/tenant_options.h"

#define VIDEO(bounds) "<cpix:VideoFilter" bounds "/>\n"
#define AUDIO(bounds) "<cpix:AudioFilter" bounds "/>\n"

/* Pixels and channels as in SPEKE v2.0, "Encryption contract": 1024x576, 1280x720, 1920x1080 and
 * 4096x2160 are the last of their kind. */
static const struct {
    const char *name, *filters;
    const char *open; /* the filters when there is no UHD beside it; NULL: the same */
} TRACKS[] = {
    {"ALL", VIDEO("") AUDIO(""), NULL},
    {"VIDEO", VIDEO(""), NULL},
    {"SD", VIDEO(" maxPixels=\"589824\""), NULL},
    {"HD", VIDEO(" minPixels=\"589825\" maxPixels=\"2073600\""), VIDEO(" minPixels=\"589825\"")},
    {"HD1", VIDEO(" minPixels=\"589825\" maxPixels=\"921600\""), NULL},
    {"HD2", VIDEO(" minPixels=\"921601\" maxPixels=\"2073600\""), VIDEO(" minPixels=\"921601\"")},
    {"UHD", VIDEO(" minPixels=\"2073601\""), NULL},
    {"UHD1", VIDEO(" minPixels=\"2073601\" maxPixels=\"8847360\""), NULL},
    {"UHD2", VIDEO(" minPixels=\"8847361\""), NULL},
    {"AUDIO", AUDIO(""), NULL},
    {"STEREO_AUDIO", AUDIO(" maxChannels=\"2\""), NULL},
    {"MULTICHANNEL_AUDIO", AUDIO(" minChannels=\"3\""), NULL},
};

enum { TRACK_COUNT = sizeof TRACKS / sizeof TRACKS[0] };

static size_t find(const char *word, size_t n)
{
    size_t i = 0;
    while (i < TRACK_COUNT && (strlen(TRACKS[i].name) != n || memcmp(TRACKS[i].name, word, n) != 0))
        i++;
    return i;
}

int track_known(const char *word, size_t n)
{
    return find(word, n) < TRACK_COUNT;
}

static bool has_uhd(const char *list)
{
    const char *word;
    size_t n;
    while ((n = tenant_next_word(&list, &word)) > 0) {
        if (n >= 3 && memcmp(word, "UHD", 3) == 0)
            return true;
    }
    return false;
}

void track_put_filters(const char *word, size_t n, const char *list, struct buf *out)
{
    const size_t i = find(word, n);
    if (i < TRACK_COUNT)
        buf_puts(out,
                 TRACKS[i].open != NULL && !has_uhd(list) ? TRACKS[i].open : TRACKS[i].filters);
}
