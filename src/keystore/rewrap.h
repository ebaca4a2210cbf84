/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing keys anew under another KEK, as many rows at a time as the caller has read. Knows no
 * database but the rows. */
#ifndef KEYSTORE_REWRAP_H
#define KEYSTORE_REWRAP_H

#include <stdbool.h>
#include <stddef.h>

#include "keystore/seal.h"

struct keyring;

enum { REWRAP_ROWS_MAX = 1000 };

struct rewrap_row {
    struct seal_row row; /* in: as it is stored, with the KEK version it is sealed under */
    unsigned char old[SEALED_BYTES], fresh[SEALED_BYTES]; /* in, out */
    bool done; /* out: fresh is the same key under the new KEK */
};

/* Opens each row with the KEK that it is sealed under and seals its key under version to. A row
 * whose KEK is not loaded, or that does not open, is left with done false. At most REWRAP_ROWS_MAX
 * rows. Returns 0, or -1 with nothing done when KEK "to" is not loaded, the secure heap is full or
 * OpenSSL fails. */
int rewrap(struct sealer *s, struct keyring *ring, int32_t to, struct rewrap_row *rows,
           size_t count);

#endif
