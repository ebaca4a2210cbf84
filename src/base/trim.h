/* SPDX-License-Identifier: Apache-2.0 */
/* Texts without the blanks around them, as attribute values are judged. */
#ifndef BASE_TRIM_H
#define BASE_TRIM_H

#include <stdbool.h>
#include <stddef.h>

/* Part of a text that lives elsewhere; not terminated. */
struct span {
    const char *text;
    size_t n;
};

/* The text without blanks, TAB, LF and CR at both ends; an empty span for NULL. */
struct span trim(const char *text);
/* The same for a part of a text. */
struct span trim_span(struct span s);
bool span_is(struct span s, const char *word);
/* Less than, equal to or greater than zero, by bytes and then by length. */
int span_compare(struct span a, struct span b);

#endif
