/* SPDX-License-Identifier: Apache-2.0 */
/* KID override: the provider's KIDs instead of the packager's, by a published rule, so that whoever
 * makes licences can know them. */
#ifndef EXCHANGE_OVERRIDE_H
#define EXCHANGE_OVERRIDE_H

#include <stddef.h>

#include "base/uuid.h"

struct arena;
struct cpix_document;
struct failure;

/* Gives every ContentKey of a checked document its new KID: the UUID of version 5 (RFC 4122 section
 * 4.3) in the namespace 2f8a9c1e-6b7d-5e43-9a10-5d3c7e8f4b21 of the name
 *   content identifier LF intendedTrackType LF period
 * in UTF-8. The content identifier is contentId, in SPEKE v1 id; the track type is that of the
 * key's usage rule, empty in v1; the period is the index of the period that the rule's first
 * KeyPeriodFilter names, without one its start, without that its startOffset, else empty. All as
 * received but for blanks at both ends. DRMSystem and usage rules follow; nothing changes its
 * place. Returns 0, or -1 with 422 when two keys would get the same KID. */
int override_kids(struct cpix_document *doc, struct arena *arena, struct failure *f);

/* The UUID of version 5 of n bytes in a namespace. Returns 0, or -1 when SHA-1 failed. */
int override_uuid5(const struct uuid *name_space, const void *name, size_t n, struct uuid *out);

#endif
