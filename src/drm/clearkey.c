/* SPDX-License-Identifier: Apache-2.0 */
/* HLS AES-128: whole segments, and a URL from which players get the 16 bytes of the key. */
#include "drm/hls.h"
#include "drm/system.h"

int clearkey_signal(struct signalling *s)
{
    const struct hls_key key = {
        .method = "AES-128",
        .uri = s->in->settings->key_url,
        .format = "identity",
        .iv = s->in->settings->hls_iv,
    };
    if (signal_wants(s, DRM_PSSH))
        s->values.pssh = "";
    return hls_signal_uri(s, &key);
}
