/* SPDX-License-Identifier: Apache-2.0 */
/* Files that other programs read while they change: replaced as a whole, never half written. */
#ifndef CTL_FILE_H
#define CTL_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct buf;

/* The replacement of a file under way. Whoever else uses this waits until it has ended. */
struct file_update {
    char path[PATH_MAX]; /* links resolved */
    char temporary[PATH_MAX];
    int directory; /* locked; -1 when no update is under way */
    int old;       /* the file as it is, -1 when there is none yet */
    size_t old_size;
    mode_t mode;
    uid_t owner;
    gid_t group;
    bool written; /* temporary exists */
};

/* Each returns 0, or -1 with what is wrong in why. */

/* Locks the file's directory and looks at the file. A file that does not exist yet will get mode
 * and belong to whoever runs the program; one that exists keeps what it has. */
int file_update_begin(struct file_update *u, const char *path, mode_t mode, char *why, size_t size);
/* Reads the whole old file, old_size bytes, into out. */
int file_update_read(struct file_update *u, void *out, char *why, size_t size);
/* Writes the new contents beside the old file, on disk when this returns. */
int file_update_write(struct file_update *u, const void *bytes, size_t n, char *why, size_t size);
/* Puts the new contents into the old file's place. */
int file_update_commit(struct file_update *u, char *why, size_t size);
/* Ends the update: unlocks, and removes what was written but not committed. */
void file_update_end(struct file_update *u);

/* All of the above for a file whose old contents do not matter. */
int file_replace(const char *path, const void *bytes, size_t n, mode_t mode, char *why,
                 size_t size);
/* Writes all n bytes. Returns 0, or -1 with errno set. */
int file_write_all(int fd, const void *bytes, size_t n);
/* Appends everything that can be read from path, which may be a pipe, to out. */
int file_slurp(const char *path, struct buf *out, char *why, size_t size);
/* The same, in which "-" stands for standard input. */
int file_slurp_named(const char *name, struct buf *out, char *why, size_t size);

#endif
