/* SPDX-License-Identifier: Apache-2.0 */
#include "drm/pssh.h"

#include <stdint.h>

#include "base/buf.h"
#include "base/uuid.h"
#include "drm/system.h"

static void put_start(struct buf *box, uint32_t size, uint8_t version, const struct uuid *system_id)
{
    buf_put_be32(box, size);
    buf_put(box, "pssh", 4);
    buf_put_be32(box, (uint32_t)version << 24); /* the flags are 0 */
    buf_put(box, system_id->bytes, UUID_BYTES);
}

void pssh_put_v0_header(struct buf *box, const struct uuid *system_id, size_t size)
{
    if (size > UINT32_MAX - PSSH_V0_HEADER) {
        box->failed = true;
        return;
    }
    put_start(box, PSSH_V0_HEADER + (uint32_t)size, 0, system_id);
    buf_put_be32(box, (uint32_t)size);
}

void pssh_put_v1_header(struct buf *box, const struct uuid *system_id, const struct uuid *kid,
                        size_t size)
{
    if (size > UINT32_MAX - PSSH_V1_HEADER) {
        box->failed = true;
        return;
    }
    put_start(box, PSSH_V1_HEADER + (uint32_t)size, 1, system_id);
    buf_put_be32(box, 1);
    buf_put(box, kid->bytes, UUID_BYTES);
    buf_put_be32(box, (uint32_t)size);
}

void pssh_put_element(struct buf *text, const char *box_base64)
{
    buf_puts(text, "<cenc:pssh xmlns:cenc=\"urn:mpeg:cenc:2013\">");
    buf_puts(text, box_base64);
    buf_puts(text, "</cenc:pssh>");
}

int pssh_signal(struct signalling *s, const char **box_base64)
{
    if (signal_base64(s, &s->box, 0, box_base64) != 0)
        return -1;
    if (signal_wants(s, DRM_PSSH))
        s->values.pssh = *box_base64;
    if (!signal_wants(s, DRM_CONTENT_PROTECTION))
        return 0;
    buf_clear(&s->text);
    pssh_put_element(&s->text, *box_base64);
    return signal_base64(s, &s->text, 0, &s->values.content_protection);
}
