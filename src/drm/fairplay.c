/* SPDX-License-Identifier: Apache-2.0 */
/* FairPlay: a URI of the scheme skd, which the player hands to its licence server. The IV goes with
 * the licence, so the line has no IV attribute; there is no box and no DASH descriptor. */
#include "drm/hls.h"
#include "drm/system.h"

int fairplay_signal(struct signalling *s)
{
    const struct hls_key key = {
        .method = "SAMPLE-AES",
        .uri = s->in->settings->fairplay_uri,
        .format = "com.apple.streamingkeydelivery",
    };
    if (signal_wants(s, DRM_PSSH))
        s->values.pssh = "";
    return hls_signal_uri(s, &key);
}
