/* SPDX-License-Identifier: Apache-2.0 */
#include "player/rate.h"

#include <openssl/rand.h>
#include <string.h>

#include "base/address.h"

/* What came in two seconds may come at once: a player fetches the keys of all tracks when it
 * starts. */
enum { BURST_SECONDS = 2, IPV6_NETWORK_BYTES = 8 };

void rate_init(struct rate *r)
{
    memset(r, 0, sizeof *r);
    if (RAND_bytes((unsigned char *)&r->seed, sizeof r->seed) != 1)
        r->seed = 1; /* it only makes it hard to choose addresses that share a set */
}

/* FNV-1a with a seed, mixed once more. Of IPv6 the network alone; what is no address is all one. */
static uint64_t hash(const struct rate *r, const char *text)
{
    unsigned char bytes[ADDRESS_BYTES];
    size_t n = 0;
    if (address_parse(text, bytes) == 0)
        n = address_is_v4(bytes) ? ADDRESS_BYTES : IPV6_NETWORK_BYTES;
    uint64_t h = 14695981039346656037U ^ r->seed;
    for (size_t i = 0; i < n; i++)
        h = (h ^ bytes[i]) * 1099511628211U;
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdU;
    h ^= h >> 33;
    return h != 0 ? h : 1;
}

/* The address's place in its set; else an empty one, else that which was not used for longest. */
static struct rate_place *find(struct rate *r, uint64_t address, long burst, int64_t now)
{
    struct rate_place *set = r->places[address % RATE_SETS], *oldest = &set[0];
    for (size_t i = 0; i < RATE_WAYS; i++) {
        if (set[i].address == address)
            return &set[i];
        if (set[i].at < oldest->at)
            oldest = &set[i];
    }
    *oldest = (struct rate_place){.address = address, .at = now, .level = (double)burst};
    return oldest;
}

bool rate_allow(struct rate *r, const char *address, long per_second, int64_t now)
{
    if (per_second == 0 || address == NULL)
        return true;
    const long burst = per_second * BURST_SECONDS;
    struct rate_place *p = find(r, hash(r, address), burst, now);
    p->level += (double)(now - p->at) / 1000 * (double)per_second;
    if (p->level > (double)burst)
        p->level = (double)burst;
    p->at = now;
    if (p->level < 1)
        return false;
    p->level -= 1;
    return true;
}
