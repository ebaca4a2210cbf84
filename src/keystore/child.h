/* SPDX-License-Identifier: Apache-2.0 */
/* A child process whose standard output is taken, so that what it runs, a command or the module of
 * a token's maker, neither shares this process's memory nor can keep it waiting. */
#ifndef KEYSTORE_CHILD_H
#define KEYSTORE_CHILD_H

#include <stddef.h>
#include <stdint.h>

enum { CHILD_TIMEOUT_MS = 10000 };

/* Runs work(context) in a child that has nothing open but the ends of these pipes and /dev/null,
 * default signals and a process group of its own, which is killed after CHILD_TIMEOUT_MS. work
 * gives back the exit code, or does not return but becomes another program. What it writes to
 * standard output goes to out, at most size bytes; the beginning of what it writes to standard
 * error ends up in why when it fails. Returns the length, or -1 with why when it could not be
 * started, timed out, was killed or did not exit with 0. More output than size is cut off. */
int64_t child_read(int (*work)(void *context), void *context, char *out, size_t size, char *why,
                   size_t why_size);

#endif
