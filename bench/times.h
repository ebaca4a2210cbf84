/* SPDX-License-Identifier: Apache-2.0 */
/* Microseconds of requests. */
#ifndef BENCH_TIMES_H
#define BENCH_TIMES_H

#include <stddef.h>
#include <stdint.h>

/* Microseconds of a clock that runs evenly. */
int64_t times_now(void);
/* Ascending, so that percentiles can be read off. */
void times_sort(uint32_t *microseconds, size_t n);

#endif
