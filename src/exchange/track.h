/* SPDX-License-Identifier: Apache-2.0 */
/* The track types of SPEKE's published encryption contracts, for keys that are made without a
 * request that names any. */
#ifndef EXCHANGE_TRACK_H
#define EXCHANGE_TRACK_H

#include <stddef.h>

struct buf;

/* Whether the word is one of them: ALL, VIDEO, SD, HD, HD1, HD2, UHD, UHD1, UHD2, AUDIO,
 * STEREO_AUDIO, MULTICHANNEL_AUDIO. */
int track_known(const char *word, size_t n);
/* Appends the filters of a track type as CPIX elements. list is the whole list of words that it
 * stands in: HD and HD2 are open above when no UHD stands beside them. */
void track_put_filters(const char *word, size_t n, const char *list, struct buf *out);

#endif
