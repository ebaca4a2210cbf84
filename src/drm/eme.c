/* SPDX-License-Identifier: Apache-2.0 */
/* W3C Clear Key with a licence server: in DASH the URL of the licence (DASH-IF content protection
 * information, Laurl), in HLS the KID. It has no box of its own: players take the common system's.
 */
#include "drm/hls.h"
#include "drm/system.h"
#include "drm/template.h"

static int put_content_protection(struct signalling *s)
{
    struct buf url;
    int result = -1;
    buf_init(&url, s->text.max);
    if (template_put(&url, TEMPLATE_URI, s->in->settings->eme_la_url, s->in, s->f) == 0) {
        buf_putc(&url, '\0');
        /* dash.js looks for the prefix, shaka-player for the namespace. */
        buf_clear(&s->text);
        buf_puts(&s->text, "<dashif:Laurl xmlns:dashif=\"https://dashif.org/CPS\" "
                           "Lic_type=\"EME-1.0\">");
        if (buf_ok(&url))
            buf_put_xml(&s->text, (const char *)url.data);
        else
            s->text.failed = true;
        buf_puts(&s->text, "</dashif:Laurl>");
        result = signal_base64(s, &s->text, 0, &s->values.content_protection);
    }
    buf_free(&url);
    return result;
}

int eme_signal(struct signalling *s)
{
    const struct hls_key key = {
        .method = hls_sample_method(s->in),
        .uri = "data:text/plain;base64,{kid_base64}",
        .format = "org.w3.clearkey",
    };
    if (signal_wants(s, DRM_PSSH))
        s->values.pssh = "";
    if (signal_wants(s, DRM_CONTENT_PROTECTION) && put_content_protection(s) != 0)
        return -1;
    return hls_signal_uri(s, &key);
}
