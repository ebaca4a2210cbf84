/* SPDX-License-Identifier: Apache-2.0 */
#include "content.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void bench_content_id(uint64_t run, uint64_t content, char out[static BENCH_CONTENT_ID_SIZE])
{
    (void)snprintf(out, BENCH_CONTENT_ID_SIZE, "bench-%016" PRIx64 "-%016" PRIx64, run, content);
}

/* The finaliser of SplitMix64: a bijection that looks random, as the KIDs of packagers do. */
static uint64_t mix(uint64_t v)
{
    v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9U;
    v = (v ^ (v >> 27)) * 0x94d049bb133111ebU;
    return v ^ (v >> 31);
}

void bench_kid(uint64_t run, uint64_t content, size_t index, struct uuid *out)
{
    const uint64_t seed = mix(run ^ mix(content)) + 2 * index;
    const uint64_t halves[] = {mix(seed), mix(seed + 1)};
    memcpy(out->bytes, halves, sizeof halves);
}
