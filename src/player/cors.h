/* SPDX-License-Identifier: Apache-2.0 */
/* Which web pages may read an answer: Cross-Origin Resource Sharing (Fetch Standard, section 3.2).
 */
#ifndef PLAYER_CORS_H
#define PLAYER_CORS_H

#include <stdbool.h>

struct cors {
    const char *allow_origin; /* "*", the request's own origin, or NULL for none */
    bool credentials;         /* cookies may come along */
    bool vary;                /* the answer depends on the origin */
};

/* allowed is the tenant's setting: "*", "none", or origins separated by blanks; origin may be NULL.
 * The result points into allowed or origin. */
struct cors cors_decide(const char *allowed, const char *origin);

#endif
