/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of content ids: "*" stands for any characters or none, "?" for exactly one, "\\" takes
 * the meaning from the one of "*", "?" and "\\" that follows; every other character is itself, of
 * its case. The pattern is for the whole text. Matching takes at most as many steps as pattern and
 * text have bytes, multiplied. */
#ifndef EXCHANGE_PATTERN_H
#define EXCHANGE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

/* Whether n bytes are a pattern: every "\\" stands before a character that has a meaning. */
bool pattern_ok(const char *pattern, size_t n);
/* Whether a text fits a pattern, both UTF-8 that was checked. */
bool pattern_fits(const char *pattern, size_t n, const char *text);
/* Whether it fits one of the patterns of a list with blanks, commas and line ends between them. */
bool pattern_list_fits(const char *list, const char *text);

#endif
