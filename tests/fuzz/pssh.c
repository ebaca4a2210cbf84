/* SPDX-License-Identifier: Apache-2.0 */
/* What spekectl reads of DRM systems: pssh boxes with the Widevine message and the PlayReady Object
 * in them. */
#include "ctl/pssh.h"

#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "fuzz.h"

static void check_within(const uint8_t *data, size_t size, const struct pssh_bytes *part)
{
    if (part->bytes == NULL)
        return;
    MUST(part->bytes >= data && part->bytes <= data + size);
    MUST(part->size <= (size_t)(data + size - part->bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST = 3 };
    static struct pssh_box box;
    struct uuid kids[MOST];
    size_t count;
    if (pssh_read(data, size, &box) == 0) {
        MUST(box.size <= size && box.version <= 1 && box.kid_count <= PSSH_KIDS_MAX);
        MUST(box.data.bytes + box.data.size == data + box.size);
        check_within(data, size, &box.data);
        check_within(data, size, &box.widevine.provider);
        check_within(data, size, &box.widevine.content_id);
        check_within(data, size, &box.widevine.policy);
    }
    (void)playready_object_read(data, size, kids, MOST, &count); /* any answer will do */
    MUST(count <= MOST);
    struct buf header;
    buf_init(&header, 2 * size + 1);
    if (playready_object_header(data, size, &header) == 0 && header.len > 0) {
        const size_t valid = utf8_valid_prefix(header.data, header.len);
        MUST(buf_ok(&header));
        MUST(valid == header.len || header.data[valid] == '\0');
    }
    buf_free(&header);
    return 0;
}
