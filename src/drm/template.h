/* SPDX-License-Identifier: Apache-2.0 */
/* Templates of URIs: text with names in braces, listed with struct drm_settings. */
#ifndef DRM_TEMPLATE_H
#define DRM_TEMPLATE_H

struct buf;
struct drm_input;
struct failure;

/* Appends the template with its names replaced. Returns 0, or -1 with the failure (500) set: an
 * unknown name, a brace without its partner, a name whose value is not there (an IV, key_url), or a
 * result that could not stand in quotes in a playlist. */
int template_put(struct buf *b, const char *template, const struct drm_input *in,
                 struct failure *f);

#endif
