/* SPDX-License-Identifier: Apache-2.0 */
/* base64: whatever decodes is what encodes to the same bytes. */
#include "base/base64.h"

#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { LARGEST = 4096 };
    size_t n, again;
    if (size > LARGEST)
        return 0;
    char *text = malloc(BASE64_SIZE(size));
    unsigned char *bytes = malloc(size + 1);
    MUST(text != NULL && bytes != NULL);

    MUST(base64_encode(data, size, text) + 1 == BASE64_SIZE(size));
    MUST(base64_decode(text, strlen(text), bytes, size, &n) == 0);
    MUST(n == size && (n == 0 || memcmp(bytes, data, n) == 0));

    if (base64_decode((const char *)data, size, bytes, size, &n) == 0) {
        MUST(n <= size / 4 * 3);
        unsigned char *exact = malloc(n + 1);
        MUST(exact != NULL);
        MUST(base64_decode((const char *)data, size, exact, n, &again) == 0 && again == n);
        MUST(memcmp(exact, bytes, n) == 0);
        if (n > 0)
            MUST(base64_decode((const char *)data, size, exact, n - 1, &again) == -1);
        free(exact);
    }
    free(text);
    free(bytes);
    return 0;
}
