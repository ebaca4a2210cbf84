/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what DRM systems are told: pssh boxes (ISO/IEC 23001-7 section 8.1), the Widevine message
 * and the PlayReady Object in them. */
#ifndef CTL_PSSH_H
#define CTL_PSSH_H

#include <stddef.h>
#include <stdint.h>

#include "base/uuid.h"

struct buf;

enum { PSSH_KIDS_MAX = 64 };

/* Bytes within what was read; NULL for none. */
struct pssh_bytes {
    const unsigned char *bytes;
    size_t size;
};

/* What the Widevine message of a version 0 box says beside the KIDs. */
struct widevine_message {
    struct pssh_bytes provider, content_id, policy;
    uint32_t protection_scheme; /* four characters, the first in the highest byte; 0 for none */
};

struct pssh_box {
    uint8_t version;
    struct uuid system_id;
    size_t size; /* bytes of the whole box */
    struct uuid kids[PSSH_KIDS_MAX];
    size_t kid_count; /* in the box's list, or for version 0 in the data of Widevine, PlayReady */
    struct pssh_bytes data;
    struct widevine_message widevine;
};

/* Reads the box at the beginning of n bytes. Returns 0, or -1 when there is none or it does not
 * hold together. */
int pssh_read(const unsigned char *bytes, size_t n, struct pssh_box *out);
/* Reads the KIDs of a PlayReady Object: kids holds room for most, *count is what was found.
 * Returns 0, or -1 when it does not hold together. */
int playready_object_read(const unsigned char *bytes, size_t n, struct uuid *kids, size_t most,
                          size_t *count);
/* Appends the header of a PlayReady Object, an XML text, to out as UTF-8; what is no UTF-16 becomes
 * U+FFFD. Returns 0, or -1 when there is none or the object does not hold together. */
int playready_object_header(const unsigned char *bytes, size_t n, struct buf *out);

#endif
