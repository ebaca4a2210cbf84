/* SPDX-License-Identifier: Apache-2.0 */
/* The KEKs at hand, and content keys sealed and opened with them, for import and export. */
#ifndef CTL_KEY_VAULT_H
#define CTL_KEY_VAULT_H

#include <stdint.h>

#include "keystore/seal.h"

struct ctl;
struct keyring;

struct key_vault {
    struct keyring *ring;
    struct sealer *sealer;
    int32_t in_use; /* version of the KEK in the sealer, 0 for none */
};

/* Reads the KEK file of the settings. Returns an enum ctl_exit; ended with key_vault_end() either
 * way. */
int key_vault_begin(struct key_vault *v, const struct ctl *ctl);
void key_vault_end(struct key_vault *v);
/* Takes the KEK of a version into use; check, when it is not NULL, is what the database knows of
 * it. Returns an enum ctl_exit. */
int key_vault_use(struct key_vault *v, int32_t version, const unsigned char *check);
/* Opens the sealed key of a row, whose KEK is taken into use, into 16 bytes of the secure heap.
 * Returns an enum ctl_exit. */
int key_vault_open(struct key_vault *v, const struct seal_row *row, const unsigned char *sealed,
                   unsigned char *key);

#endif
