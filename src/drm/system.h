/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the DRM systems share: a row of the table, and a computation under way. */
#ifndef DRM_SYSTEM_H
#define DRM_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/uuid.h"
#include "drm/drm.h"

/* One call of drm_signal(). */
struct signalling {
    const struct drm_system *system;
    const struct drm_input *in;
    unsigned wanted; /* bits of enum drm_field, only those that the system has in this version */
    struct arena *arena;
    struct failure *f;
    struct buf box;  /* the pssh box at hand */
    struct buf text; /* the header, fragment or line at hand */
    struct drm_values values;
};

struct drm_system {
    const char *name;
    const char *title;
    struct uuid id;
    unsigned schemes;                    /* bits SCHEME_BIT() */
    unsigned v1_fields;                  /* bits of enum drm_field; 0: not known in v1 */
    unsigned v2_fields;                  /* likewise in v2.0 and v2.1 */
    bool switched;                       /* served only where the settings say so */
    int (*signal)(struct signalling *s); /* called when something is wanted; sets s->values;
                                            returns 0, or -1 with the failure set */
};

/* One a system. */
int widevine_signal(struct signalling *s);
int playready_signal(struct signalling *s);
int fairplay_signal(struct signalling *s);
int clearkey_signal(struct signalling *s); /* HLS AES-128 under both of its IDs */
int common_signal(struct signalling *s);
int eme_signal(struct signalling *s); /* Clear Key licences */
int template_signal(struct signalling *s);

/* Whether one of the fields is wanted. */
bool signal_wants(const struct signalling *s, unsigned fields);
/* Returns 0, or -1 with the failure set when an append to b failed. */
int signal_check(struct signalling *s, const struct buf *b);
/* Sets *value to the base64 text, in the arena, of what b holds from an offset on. Returns 0, or
 * -1 with the failure set when an append to b or the allocation failed. */
int signal_base64(struct signalling *s, const struct buf *b, size_t from, const char **value);
/* A settings text that is there and not empty. */
bool signal_given(const char *text);

#endif
