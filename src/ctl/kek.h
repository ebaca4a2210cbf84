/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_KEK_H
#define CTL_KEK_H

struct keyring;

/* The KEKs of a file. Root looks at a file of another user as that user, as the service does: only
 * then the keyring takes it. The file is read now; NULL when memory ran out. */
struct keyring *kek_open_ring(const char *path);
/* Whether the KEK file holds this version with this check value (hexadecimal): "yes", or in a few
 * words why not. Static text. */
const char *kek_in_file(struct keyring *ring, long version, const char *check_hex);

#endif
