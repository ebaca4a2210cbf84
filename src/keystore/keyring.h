/* SPDX-License-Identifier: Apache-2.0 */
/* The key-encryption keys (KEKs), from a place that is not the database (decision D5): lines
 * "<version> <base64 of 32 bytes>", or "<version> pkcs11:<base64>" for one that a PKCS#11 token
 * wraps; "#" begins a comment line. The place is one of two.
 *
 * A regular file of the effective user or root, without any right for group and others. It is read
 * when it is first needed and when it changed, which is looked at once a second and whenever a
 * version is asked for that is not there.
 *
 * The output of a command, which is run when it is first needed and, at most every ten seconds,
 * when a version is asked for that is not there.
 *
 * What cannot be used leaves the KEKs that were loaded. */
#ifndef KEYSTORE_KEYRING_H
#define KEYSTORE_KEYRING_H

#include <stddef.h>
#include <stdint.h>

#include "keystore/seal.h"

enum {
    KEYRING_FILE_MAX = 8191, /* bytes of a file */
    KEYRING_MAX = 32         /* KEKs in it */
};

struct kek {
    int32_t version; /* from 1 on */
    unsigned char check[KEK_CHECK_BYTES];
    unsigned char key[KEK_BYTES];
};

struct keyring;
struct settings;

/* Of the settings kek_command, kek_file and pkcs11_uri; path goes before the first two. NULL when
 * memory ran out; nothing is read yet. */
struct keyring *keyring_of(const struct settings *settings, const char *path);
/* Of a file alone. path is copied. A file "kek" in the directory that the environment variable
 * CREDENTIALS_DIRECTORY names (systemd.exec, LoadCredential) goes before it. NULL when memory ran
 * out; the file is not looked at yet. */
struct keyring *keyring_new(const char *path);
/* Wipes the KEKs. NULL is allowed. */
void keyring_free(struct keyring *k);
/* The KEK of a version, NULL when there is none. Valid until the next call. */
const struct kek *keyring_find(struct keyring *k, int32_t version);
/* The KEK in place n, from 0 on, of those that are loaded; NULL behind the last one. */
const struct kek *keyring_nth(struct keyring *k, size_t n);
/* Why the file could not be used the last time it was read, "" when it could. */
const char *keyring_fault(const struct keyring *k);

#endif
