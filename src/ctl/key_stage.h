/* SPDX-License-Identifier: Apache-2.0 */
/* Keys on their way into the database: each is sealed as it is read, and goes to the stage of the
 * import (migration 8) in batches, all in one transaction. */
#ifndef CTL_KEY_STAGE_H
#define CTL_KEY_STAGE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/uuid.h"
#include "ctl/key_vault.h"
#include "keystore/wire.h"

struct ctl;
struct keystore_period;

/* A key as it was read. */
struct stage_key {
    int64_t line; /* a number that tells where it was read; grows */
    const char *content_id;
    struct uuid kid;
    const char *scheme;         /* text to keep with the key; "" for none */
    const unsigned char *value; /* 16 bytes in the secure heap */
    const unsigned char *iv;    /* 16 bytes, NULL to have one made */
};

struct staged_key;
struct staged_period;

struct key_stage {
    PGconn *db;
    struct key_vault vault;
    int32_t tenant_id, kek_version;
    struct params params;
    struct arena texts; /* of the batch */
    struct staged_key *keys;
    struct staged_period *periods;
    size_t key_count, period_count;
};

/* Each returns an enum ctl_exit. */

/* Opens the KEK file, begins the transaction and the import into a tenant. Ended with
 * key_stage_end() either way. */
int key_stage_begin(struct key_stage *s, const struct ctl *ctl, PGconn *db, const char *tenant);
/* Seals a key and adds it to the batch, which is sent when it is full. */
int key_stage_key(struct key_stage *s, const struct stage_key *key);
/* Adds that a period names a key; only its texts are looked at. */
int key_stage_period(struct key_stage *s, int64_t line, const char *content_id,
                     const struct uuid *kid, const struct keystore_period *period);
/* Sends what is left of the batch. */
int key_stage_flush(struct key_stage *s);
/* Frees; the transaction is the connection's. */
void key_stage_end(struct key_stage *s);

#endif
