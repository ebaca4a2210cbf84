/* SPDX-License-Identifier: Apache-2.0 */
/* The database's part of an exchange and nothing else: the prepared call that gives out the keys of
 * one content and writes the audit row, made with plain libpq. What comes back is not opened, and
 * the candidates for new keys are constant bytes, so the keys that this makes open for nobody. */
#ifndef BENCH_ACQUIRE_H
#define BENCH_ACQUIRE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keystore/wire.h"

struct acquire {
    PGconn *connection;
    const char *remote_user;
    size_t keys;
    int64_t generation;
    int32_t client_id, tenant_id, kek_version;
    struct params params; /* of the call at hand */
};

/* Connects, looks the client up and prepares the call. The texts outlive the struct. Returns 0, or
 * -1 after a line on stderr; acquire_close() either way. */
int acquire_open(struct acquire *a, const char *database, const char *remote_user, size_t keys);
void acquire_close(struct acquire *a);
/* Calls for the content of bench/content.h with these numbers. created tells whether all of its
 * keys are to be new or none: anything else is an error. Returns 0, or -1 after a line on stderr.
 */
int acquire_call(struct acquire *a, uint64_t run, uint64_t content, bool created);

#endif
