/* SPDX-License-Identifier: Apache-2.0 */
/* How often one address may ask: a token bucket for each, in a table of fixed size. Each process
 * keeps its own, so that it costs no more than a look; with several workers an address may ask that
 * many times as often. An IPv6 network of 64 bits counts as one address. */
#ifndef PLAYER_RATE_H
#define PLAYER_RATE_H

#include <stdbool.h>
#include <stdint.h>

enum { RATE_SETS = 1024, RATE_WAYS = 4 };

struct rate {
    struct rate_place {
        uint64_t address; /* a hash of it; 0: empty */
        int64_t at;       /* milliseconds, when level was right */
        double level;     /* requests that may come at once */
    } places[RATE_SETS][RATE_WAYS];
    uint64_t seed;
};

void rate_init(struct rate *r);
/* Counts a request at a time in milliseconds. per_second 0: any number. False: too often. */
bool rate_allow(struct rate *r, const char *address, long per_second, int64_t now);

#endif
