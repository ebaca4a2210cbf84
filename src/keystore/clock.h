/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTORE_CLOCK_H
#define KEYSTORE_CLOCK_H

#include <stdint.h>

/* Milliseconds since some time in the past; never goes back. */
int64_t clock_ms(void);

#endif
