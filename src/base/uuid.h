/* SPDX-License-Identifier: Apache-2.0 */
/* UUID text of KIDs and system IDs. Version and variant bits are not looked at: KIDs that fail
 * such a test are in use. */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include <stdbool.h>
#include <stdint.h>

enum { UUID_BYTES = 16, UUID_TEXT_SIZE = 37 };

struct uuid {
    uint8_t bytes[UUID_BYTES]; /* the hexadecimal digits from left to right (RFC 4122) */
};

/* Reads 8-4-4-4-12 hexadecimal digits of either case and nothing else, not even blanks. Returns
 * 0, or -1 and leaves *out alone. */
int uuid_parse(const char *text, struct uuid *out);
/* Writes lower case with hyphens and a terminating zero. */
void uuid_format(const struct uuid *u, char out[static UUID_TEXT_SIZE]);
/* Writes the 16 bytes in GUID order, the first three groups little-endian, as PlayReady alone
 * wants them. */
void uuid_guid_order(const struct uuid *u, uint8_t out[static UUID_BYTES]);
bool uuid_equal(const struct uuid *a, const struct uuid *b);
/* Order as memcmp() and as PostgreSQL's type uuid. */
int uuid_compare(const struct uuid *a, const struct uuid *b);

#endif
