/* SPDX-License-Identifier: Apache-2.0 */
#include "player/cors.h"

#include <stddef.h>
#include <string.h>

#include "exchange/tenant_options.h"

struct cors cors_decide(const char *allowed, const char *origin)
{
    const char *word;
    size_t n;
    if (strcmp(allowed, "*") == 0)
        return (struct cors){.allow_origin = allowed};
    if (strcmp(allowed, "none") == 0)
        return (struct cors){0};
    while (origin != NULL && (n = tenant_next_word(&allowed, &word)) > 0) {
        if (strlen(origin) == n && memcmp(origin, word, n) == 0)
            return (struct cors){.allow_origin = origin, .credentials = true, .vary = true};
    }
    return (struct cors){.vary = true};
}
