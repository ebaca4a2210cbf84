/* SPDX-License-Identifier: Apache-2.0 */
/* What spekectl reads of DRM systems: pssh boxes with the Widevine message and the PlayReady Object
 * in them. */
#include "ctl/pssh.h"

#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST = 3 };
    static struct pssh_box box;
    struct uuid kids[MOST];
    size_t count;
    if (pssh_read(data, size, &box) == 0) {
        MUST(box.size <= size && box.version <= 1 && box.kid_count <= PSSH_KIDS_MAX);
    }
    (void)playready_object_read(data, size, kids, MOST,
                                &count); /* any answer but a crash will do */
    MUST(count <= MOST);
    return 0;
}
