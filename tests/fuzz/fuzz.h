/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput(), which libFuzzer
 * calls with bytes of its making; replay.c calls it with files, for every compiler. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "cpix/cpix.h"

/* What must hold whatever the input is. A sanitizer's report and an abort are findings alike. */
#define MUST(condition)                                                                          \
    do {                                                                                         \
        if (!(condition)) {                                                                      \
            (void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                             \
        }                                                                                        \
    } while (0)

/* libFuzzer's name for it. Always returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A zero-terminated copy on the heap, exactly as long as it has to be, so that ASan sees a step too
 * far; bytes from a zero on are left out. The caller frees it. */
char *fuzz_text(const uint8_t *data, size_t size);

/* Path of a file in memory, of mode 0600, that holds these bytes until the next call. */
const char *fuzz_file(const void *data, size_t size);

/* Limits for reading what was written: namespaces are declared where they are used there, and not
 * once for all. */
struct cpix_limits fuzz_wide_limits(void);

/* What a program does before it reads documents and keeps keys, once; not the ban on core dumps and
 * tracing, without which the leak checker could not work. */
void fuzz_setup(void);

#endif
