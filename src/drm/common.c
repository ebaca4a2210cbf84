/* SPDX-License-Identifier: Apache-2.0 */
/* The W3C common system: a version 1 box that holds the KID and nothing else ("cenc" Initialization
 * Data Format, section 4). */
#include "drm/pssh.h"
#include "drm/system.h"

int common_signal(struct signalling *s)
{
    const char *box;
    pssh_put_v1_header(&s->box, &s->system->id, s->in->kid, 0);
    return pssh_signal(s, &box);
}
