/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as web servers give them in REMOTE_ADDR. */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <stdbool.h>

enum { ADDRESS_BYTES = 16 };

/* Reads an IPv4 or IPv6 address into the 16 bytes of IPv6, an IPv4 address as the mapped one
 * (RFC 4291 section 2.5.5.2), as which a socket for both families tells it. Returns 0, or -1 for
 * NULL and what is no address. */
int address_parse(const char *text, unsigned char out[static ADDRESS_BYTES]);
/* Whether the 16 bytes are those of an IPv4 address. */
bool address_is_v4(const unsigned char address[static ADDRESS_BYTES]);

#endif
