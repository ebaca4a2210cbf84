/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/clock.h"

#include <stdlib.h>
#include <time.h>

int64_t clock_ms(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
        abort(); /* Linux always has this clock; without one no wait would ever end */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
