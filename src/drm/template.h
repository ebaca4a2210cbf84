/* SPDX-License-Identifier: Apache-2.0 */
/* Templates: text with names in braces, listed with struct drm_settings. */
#ifndef DRM_TEMPLATE_H
#define DRM_TEMPLATE_H

#include <stddef.h>

struct buf;
struct drm_input;
struct failure;

/* What a template makes. */
enum template_use {
    TEMPLATE_URI = 1, /* text in quotes in a playlist */
    TEMPLATE_XML = 2, /* XML elements; what names stand for is escaped; {{ and }} are braces */
    TEMPLATE_DATA = 4 /* bytes; {hex:0a1b} stands for these two; {{ and }} are braces */
};

/* Appends the template with its names replaced. Returns 0, or -1 with the failure (500) set: an
 * unknown name, a brace without its partner, a name whose value is not there (an IV, key_url), or a
 * URI that could not stand in quotes in a playlist. */
int template_put(struct buf *b, enum template_use use, const char *template,
                 const struct drm_input *in, struct failure *f);

/* Judges a template before it is used. Returns 0, or -1 with place and fault in why. */
int template_check(enum template_use use, const char *template, char *why, size_t size);

/* The place, counted from 1, of the first name of that text (without its braces) in a template that
 * passed the check; 0 when it has none or the template is NULL. */
size_t template_place_of(enum template_use use, const char *template, const char *name);

/* Appends the names that a template of that use may have, with their braces, for a help text. */
void template_names(enum template_use use, struct buf *out);

#endif
