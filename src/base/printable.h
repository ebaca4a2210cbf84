/* SPDX-License-Identifier: Apache-2.0 */
/* Text from elsewhere made fit for a log line or a terminal. */
#ifndef BASE_PRINTABLE_H
#define BASE_PRINTABLE_H

#include <stddef.h>

/* Copies text with control characters and bytes that are no UTF-8 written as \xNN, so that nobody
 * forges a line or steers a terminal. Writes at most size bytes with the terminating zero and
 * returns the length; a text that does not fit is cut between characters. size is at least 6. */
size_t printable(char *out, size_t size, const char *text);

#endif
