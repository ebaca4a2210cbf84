/* SPDX-License-Identifier: Apache-2.0 */
#include "base/trim.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span trim_span(struct span s)
{
    while (s.n > 0 && is_blank(s.text[0])) {
        s.text++;
        s.n--;
    }
    while (s.n > 0 && is_blank(s.text[s.n - 1]))
        s.n--;
    return s;
}

struct span trim(const char *text)
{
    if (text == NULL)
        return (struct span){.text = "", .n = 0};
    return trim_span((struct span){.text = text, .n = strlen(text)});
}

bool span_is(struct span s, const char *word)
{
    return strlen(word) == s.n && memcmp(s.text, word, s.n) == 0;
}

int span_compare(struct span a, struct span b)
{
    const int order = memcmp(a.text, b.text, a.n < b.n ? a.n : b.n);
    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}
