/* SPDX-License-Identifier: Apache-2.0 */
/* Where the lines of the keyring come from: one struct of functions a kind of source. What they
 * read goes into memory of the caller on the secure heap and nowhere else. */
#ifndef KEYSTORE_KEK_SOURCE_H
#define KEYSTORE_KEK_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct kek_source {
    const char *name; /* for the log: the path, or that it is the command */
    /* Reads the whole text, at most size bytes, into text. Returns its length, or -1 with what is
     * wrong in why (why_size bytes). */
    int64_t (*read)(struct kek_source *s, char *text, size_t size, char *why, size_t why_size);
    /* Whether reading it again would give something else; NULL when only reading would tell. */
    bool (*changed)(struct kek_source *s);
    void (*free)(struct kek_source *s);
};

/* A file; "kek" in $CREDENTIALS_DIRECTORY goes before it. NULL when memory ran out. */
struct kek_source *source_file_new(const char *path);
/* What a command prints: words without quotes, the first one the absolute path of a program, which
 * is run without a shell. NULL when memory ran out. */
struct kek_source *source_command_new(const char *command);

/* Says in why that a file gives rights to somebody else than its owner, who must be the effective
 * user or root, or is no regular file, and returns -1; else 0. acl: a credential of systemd. */
int source_judge(const char *path, const struct stat *st, bool acl, char *why, size_t why_size);

#endif
