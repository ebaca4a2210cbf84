/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_KEK_H
#define CTL_KEK_H

#include "keystore/seal.h"

struct ctl;
struct ctl_arguments;
struct keyring;
struct settings;

enum { KEK_FILE_MODE = 0400, KEK_CHECK_HEX = 2 * KEK_CHECK_BYTES + 1 };

/* Reads the settings, and the file to work on: --file, else the setting kek_file; NULL when the
 * KEKs come from kek_command instead. Credentials of systemd are not ours to change. Returns an
 * enum ctl_exit. */
int kek_choose_file(const struct ctl *ctl, const struct ctl_arguments *args,
                    struct settings *settings, const char **path);

/* The KEK file of the settings; NULL when they say that a command takes its place. */
const char *kek_path(const struct settings *settings);
/* Says that a file must be named when path is NULL. Returns an enum ctl_exit. */
int kek_need_file(const char *path);
/* The KEKs of a file, or with path NULL what kek_command prints. Root looks at a file of another
 * user as that user, as the service does: only then the keyring takes it. It is read now; NULL when
 * memory ran out. */
struct keyring *kek_open_ring(const struct settings *settings, const char *path);
/* Whether the KEK file holds this version with this check value (hexadecimal): "yes", or in a few
 * words why not. Static text. */
const char *kek_in_file(struct keyring *ring, long version, const char *check_hex);

#endif
