/* SPDX-License-Identifier: Apache-2.0 */
/* Players that were turned away. Anybody may send wrong tokens by the hundred thousand, so neither
 * the log nor the database gets a line for each: of a kind, the first is logged, the rest are
 * counted, and the count is logged and added to a row of the hour every REFUSALS_INTERVAL_MS. */
#ifndef PLAYER_REFUSALS_H
#define PLAYER_REFUSALS_H

#include <stddef.h>
#include <stdint.h>

struct keystore;

enum { REFUSALS_KINDS = 64, REFUSALS_INTERVAL_MS = 10000 };

struct refusals {
    struct refusal {
        int tenant_id; /* 0: no such tenant */
        int status;
        const char *reason; /* static */
        char tenant[64];    /* for the log, cut */
        char address[46];   /* of the last one */
        long count;
    } kinds[REFUSALS_KINDS];
    size_t count;
    int64_t since; /* when the first of these came */
};

/* Notes one; tenant and address may be NULL. */
void refusals_note(struct refusals *r, const struct refusal *kind, const char *tenant,
                   const char *address, int64_t now);
/* Writes down what was counted, when it is time or there is no more room. */
void refusals_tend(struct refusals *r, struct keystore *ks, int64_t now);
/* Writes it down now. */
void refusals_flush(struct refusals *r, struct keystore *ks);

#endif
