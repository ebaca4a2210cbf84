/* SPDX-License-Identifier: Apache-2.0 */
/* Digest users in the file that Apache and lighttpd read: lines "user:realm:hash", in which the
 * hash is that of "user:realm:password" (RFC 7616 section 3.4.2) and as good as the password for
 * its realm. */
#ifndef CTL_HTDIGEST_H
#define CTL_HTDIGEST_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct ctl;

/* Lower case hexadecimal with a terminating zero. */
struct htdigest_hashes {
    char md5[33];
    char sha256[65];
};

/* Whether text can be a user or a realm: not empty, no colon, quote, backslash or control
 * character, no '#' (a comment for lighttpd) at its beginning, at most 128 bytes. */
bool htdigest_name_ok(const char *text);
/* Returns 0, or -1 when OpenSSL could not (MD5 is forbidden in FIPS mode). */
int htdigest_hash(const char *user, const char *realm, const char *password,
                  struct htdigest_hashes *out);
/* Appends the file's text to out with the lines of this user and realm replaced; hashes NULL
 * removes them. The MD5 line goes first: Apache takes the first line of a user and knows MD5
 * alone, lighttpd takes the first whose hash has the length of the algorithm at hand. Returns how
 * many lines of the user there were. */
size_t htdigest_edit(const char *text, size_t n, const char *user, const char *realm,
                     const struct htdigest_hashes *hashes, struct buf *out);
/* Does the same to a file, replaced as a whole; one that does not exist is made with mode 0640.
 * Returns an enum ctl_exit. */
int htdigest_update(const char *path, const char *user, const char *realm,
                    const struct htdigest_hashes *hashes);

#endif
