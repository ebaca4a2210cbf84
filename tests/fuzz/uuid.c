/* SPDX-License-Identifier: Apache-2.0 */
/* UUID text: 36 characters, and back to them but for the case. */
#include "base/uuid.h"

#include <string.h>
#include <strings.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct uuid u, again;
    char out[UUID_TEXT_SIZE];
    char *text = fuzz_text(data, size);
    if (uuid_parse(text, &u) == 0) {
        uuid_format(&u, out);
        MUST(strcasecmp(text, out) == 0);
        MUST(uuid_parse(out, &again) == 0 && uuid_equal(&u, &again));
        MUST(uuid_compare(&u, &again) == 0);
        struct uuid guid;
        uuid_guid_order(&u, guid.bytes);
        uuid_guid_order(&guid, again.bytes);
        MUST(uuid_equal(&u, &again));
    }
    free(text);
    return 0;
}
