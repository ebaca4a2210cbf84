/* SPDX-License-Identifier: Apache-2.0 */
/* Systems that the program knows nothing of (Irdeto, Nagra, Marlin and whoever comes next): what
 * they say is what the tenant's templates make of KID and content id. */
#include <stdio.h>

#include "drm/hls.h"
#include "drm/pssh.h"
#include "drm/system.h"
#include "drm/template.h"

/* Sets *box to the base64 text of the box, NULL when there is no template for one. */
static int make_box(struct signalling *s, const char **box)
{
    const struct drm_settings *set = s->in->settings;
    *box = NULL;
    if (!signal_given(set->pssh))
        return 0;
    buf_clear(&s->text);
    if (template_put(&s->text, TEMPLATE_DATA, set->pssh, s->in, s->f) != 0 ||
        signal_check(s, &s->text) != 0)
        return -1;
    if (set->pssh_kid)
        pssh_put_v1_header(&s->box, s->in->system_id, s->in->kid, s->text.len);
    else
        pssh_put_v0_header(&s->box, s->in->system_id, s->text.len);
    buf_put(&s->box, s->text.data, s->text.len);
    return signal_base64(s, &s->box, 0, box);
}

static int put_content_protection(struct signalling *s)
{
    const struct drm_settings *set = s->in->settings;
    buf_clear(&s->text);
    if (signal_given(set->content_protection)) {
        if (template_put(&s->text, TEMPLATE_XML, set->content_protection, s->in, s->f) != 0)
            return -1;
    } else if (s->in->pssh != NULL) {
        pssh_put_element(&s->text, s->in->pssh);
    } else {
        return 0;
    }
    return signal_base64(s, &s->text, 0, &s->values.content_protection);
}

static int put_hls(struct signalling *s)
{
    char id[UUID_TEXT_SIZE], format[sizeof "urn:uuid:" + UUID_TEXT_SIZE];
    uuid_format(s->in->system_id, id);
    (void)snprintf(format, sizeof format, "urn:uuid:%s", id); /* the length is known */
    const struct hls_key key = {
        .method = hls_sample_method(s->in),
        .uri = s->in->settings->hls_uri,
        .format = format,
    };
    return hls_signal_uri(s, &key);
}

int template_signal(struct signalling *s)
{
    const char *box;
    if (make_box(s, &box) != 0)
        return -1;
    /* The other templates may name the box. */
    const struct drm_input *const asked = s->in;
    struct drm_input in = *asked;
    in.pssh = box;
    s->in = &in;
    if (signal_wants(s, DRM_PSSH))
        s->values.pssh = box;
    int result = signal_wants(s, DRM_CONTENT_PROTECTION) ? put_content_protection(s) : 0;
    if (result == 0 && signal_given(in.settings->hls_uri))
        result = put_hls(s);
    s->in = asked;
    return result;
}
