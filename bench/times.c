/* SPDX-License-Identifier: Apache-2.0 */
#include "times.h"

#include <stdlib.h>
#include <time.h>

int64_t times_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int ascending(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void times_sort(uint32_t *microseconds, size_t n)
{
    qsort(microseconds, n, sizeof *microseconds, ascending);
}
