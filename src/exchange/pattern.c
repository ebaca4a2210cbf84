/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/pattern.h"

#include <string.h>

#include "base/utf8.h"
#include "exchange/tenant_options.h"

static const char SPECIAL[] = "*?\\";

bool pattern_ok(const char *pattern, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (pattern[i] != '\\')
            continue;
        i++;
        if (i == n || memchr(SPECIAL, pattern[i], sizeof SPECIAL - 1) == NULL)
            return false;
    }
    return true;
}

/* Bytes of the character at s, of which n are left; 1 for what is none. */
static size_t character(const char *s, size_t n)
{
    const size_t length = utf8_length(s, n);
    return length == 0 ? 1 : length;
}

/* Fits one element of a pattern that is no "*" to the text. Sets how many bytes of either it took.
 */
static bool element_fits(const char *pattern, size_t n, const char *text, size_t length,
                         size_t *pattern_bytes, size_t *text_bytes)
{
    if (n == 0 || length == 0)
        return false;
    const bool quoted = pattern[0] == '\\' && n > 1;
    *pattern_bytes = quoted ? 2 : 1;
    *text_bytes = 1;
    if (pattern[0] == '?') {
        *text_bytes = character(text, length);
        return true;
    }
    return pattern[quoted ? 1 : 0] == text[0];
}

/* What follows a "*" is tried at each character in turn. Only the last "*" has to be gone back to:
 * an earlier one that took more could reach nothing that the last one cannot. */
bool pattern_fits(const char *pattern, size_t n, const char *text)
{
    const size_t length = strlen(text);
    size_t p = 0, t = 0, after_star = 0, star_text = 0, pattern_bytes, text_bytes;
    bool star = false;
    while (t < length || p < n) {
        if (p < n && pattern[p] == '*') {
            star = true;
            after_star = ++p;
            star_text = t;
        } else if (element_fits(pattern + p, n - p, text + t, length - t, &pattern_bytes,
                                &text_bytes)) {
            p += pattern_bytes;
            t += text_bytes;
        } else if (star && star_text < length) {
            star_text += character(text + star_text, length - star_text);
            p = after_star;
            t = star_text;
        } else {
            return false;
        }
    }
    return true;
}

bool pattern_list_fits(const char *list, const char *text)
{
    const char *word;
    size_t n;
    while ((n = tenant_next_word(&list, &word)) > 0) {
        if (pattern_fits(word, n, text))
            return true;
    }
    return false;
}
