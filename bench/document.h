/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_DOCUMENT_H
#define BENCH_DOCUMENT_H

#include <stddef.h>
#include <stdint.h>

struct buf;

/* Appends the SPEKE v2.0 request for keys (at most BENCH_KEYS_MAX) content keys of that content,
 * each for Widevine, PlayReady and FairPlay with "cbcs", with PSSH and ContentProtectionData where
 * the system has them and both HLS lines. With a recipient (the text of its X509Certificate, or
 * NULL) the keys are to come encrypted for it. Returns 0, or -1 when memory ran out. */
int bench_request(uint64_t run, uint64_t content, size_t keys, const char *recipient,
                  struct buf *out);

#endif
