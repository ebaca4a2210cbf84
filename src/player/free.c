/* SPDX-License-Identifier: Apache-2.0 */
#include "player/free.h"

#include <stddef.h>
#include <string.h>

#include "base/segment.h"
#include "exchange/tenant_options.h"

enum { WORD_MAX = 4096 };

static bool same_content(const char *word, size_t n, const char *segment)
{
    char copy[WORD_MAX + 1];
    unsigned char named[SEGMENT_DIGEST_BYTES], asked[SEGMENT_DIGEST_BYTES];
    if (n > WORD_MAX)
        return false;
    memcpy(copy, word, n);
    copy[n] = '\0';
    return segment_digest(copy, named) == 0 && segment_digest(segment, asked) == 0 &&
           memcmp(named, asked, sizeof named) == 0;
}

/* A digest tells nothing of how the content id begins. */
static bool matches(const char *word, size_t n, const char *segment)
{
    if (word[n - 1] != '*')
        return same_content(word, n, segment);
    return n == 1 || (segment[0] != '~' && strncmp(segment, word, n - 1) == 0);
}

bool free_content(const char *setting, const char *segment)
{
    const char *word;
    size_t n;
    while (setting != NULL && (n = tenant_next_word(&setting, &word)) > 0) {
        if (matches(word, n, segment))
            return true;
    }
    return false;
}
