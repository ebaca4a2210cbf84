/* SPDX-License-Identifier: Apache-2.0 */
/* The pssh box (ISO/IEC 23001-7 section 8.1) and the element that carries it in a DASH manifest. */
#ifndef DRM_PSSH_H
#define DRM_PSSH_H

#include <stddef.h>

struct buf;
struct signalling;
struct uuid;

/* Bytes before the data: of a version 0 box, of a version 1 box with one KID. */
enum { PSSH_V0_HEADER = 32, PSSH_V1_HEADER = 52 };

/* Appends what stands before the data of a version 0 box. The caller appends the data, size bytes
 * of them; more than a box can hold fails the buffer. */
void pssh_put_v0_header(struct buf *box, const struct uuid *system_id, size_t size);
/* The same for a version 1 box with one KID. */
void pssh_put_v1_header(struct buf *box, const struct uuid *system_id, const struct uuid *kid,
                        size_t size);
/* Appends <cenc:pssh> around the base64 text of a box. */
void pssh_put_element(struct buf *text, const char *box_base64);
/* For systems that need no more than the box: from s->box sets the values PSSH and
 * ContentProtectionData as far as they are wanted, and *box_base64, in the arena. Returns 0, or -1
 * with the failure set. */
int pssh_signal(struct signalling *s, const char **box_base64);

#endif
