/* SPDX-License-Identifier: Apache-2.0 */
/* The secrets of token keys as they are kept: sealed under the active KEK. */
#ifndef CTL_TOKEN_SEAL_H
#define CTL_TOKEN_SEAL_H

#include <libpq-fe.h>
#include <stddef.h>

#include "keystore/seal.h"

struct keyring;

enum { TOKEN_SEALED_HEX = 2 * SEALED_TOKEN_MAX_BYTES + 1 };

/* What seals and opens; all the caller's. */
struct token_kek {
    struct keyring *ring;
    struct sealer *sealer;
    long version; /* of the active KEK, which is in the ring */
};

/* Seals a secret, as hexadecimal digits. Returns an enum ctl_exit. */
int token_seal(const struct token_kek *k, long tenant_id, const char *kid,
               const unsigned char *secret, size_t size, char hex[static TOKEN_SEALED_HEX]);
/* Seals the secrets of other KEKs anew and adds their number to *done. One that does not open is
 * named and left as it is, and the rest is done. Returns an enum ctl_exit. */
int token_rewrap(const struct token_kek *k, PGconn *db, long long *done);

#endif
