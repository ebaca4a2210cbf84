/* SPDX-License-Identifier: Apache-2.0 */
/* A name (a content id, a tenant) as one segment of a path. Most names stand there percent-encoded.
 * One over which two programs could differ (it holds a slash or a backslash, is "." or "..", begins
 * with "~") or that would be long is given by its digest instead: "~" and the base64url text of
 * SHA-256. So every name has exactly one segment, and every segment is for one name. */
#ifndef BASE_SEGMENT_H
#define BASE_SEGMENT_H

enum {
    SEGMENT_PLAIN_MAX = 255, /* bytes of a percent-encoded name */
    SEGMENT_DIGEST_BYTES = 32
};

struct buf;

/* Appends the segment of a name. */
void segment_put(struct buf *b, const char *name);
/* From a segment, percent-decoded, the SHA-256 of the name that it is for. Returns 0, or -1 when it
 * begins with "~" and is no digest, or when OpenSSL fails. */
int segment_digest(const char *segment, unsigned char out[static SEGMENT_DIGEST_BYTES]);
/* SHA-256 of a name. Returns 0, or -1 when OpenSSL fails. */
int segment_name_digest(const char *name, unsigned char out[static SEGMENT_DIGEST_BYTES]);

#endif
