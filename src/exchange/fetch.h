/* SPDX-License-Identifier: Apache-2.0 */
/* What packagers that fetch are given: the keys of a content by its name, without a document of
 * theirs. GET …/cpix/<content id> answers a CPIX 2.3 document (Unified Streaming, Shaka Packager),
 * GET …/vod-drm/<content id> the JSON of nginx-vod-module, which is for one key. */
#ifndef EXCHANGE_FETCH_H
#define EXCHANGE_FETCH_H

#include "exchange/exchange.h"

struct fetch_request {
    struct exchange_caller caller; /* its via says which of the two */
    const char *content_id;        /* UTF-8, or whatever the client sent */
    const char *kid;               /* only this key; NULL: all */
    const char *track;             /* only keys for this track type; NULL: all */
};

/* Gives out the keys that the content has. When it has none and the tenant's setting fetch_tracks
 * names tracks, a key is made for each, under the KID that KID override's rule gives. Returns 0
 * with the document in *out, or -1 with the failure set: 400 for a content id or KID that is none,
 * 404 when there is nothing to give, 422 when the choice is not one key for vod-drm or the tenant's
 * policy forbids it, else as exchange_run(). *out is wiped with buf_free(). */
int exchange_fetch(struct exchange *x, const struct fetch_request *request, struct buf *out,
                   struct failure *f);

#endif
