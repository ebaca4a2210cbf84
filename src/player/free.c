/* SPDX-License-Identifier: Apache-2.0 */
#include "player/free.h"

#include <stddef.h>
#include <string.h>

#include "base/segment.h"
#include "exchange/pattern.h"
#include "exchange/tenant_options.h"

enum { WORD_MAX = 4096 };

/* A digest tells nothing of the content id but whether it is this one. */
static bool is_digest_of(const char *word, size_t n, const char *segment)
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

bool free_content(const char *setting, const char *segment)
{
    const char *word;
    size_t n;
    if (setting == NULL || segment[0] != '~')
        return setting != NULL && pattern_list_fits(setting, segment);
    while ((n = tenant_next_word(&setting, &word)) > 0) {
        if ((n == 1 && word[0] == '*') || is_digest_of(word, n, segment))
            return true;
    }
    return false;
}
