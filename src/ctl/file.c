/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

static int fault(const char *path, char *why, size_t size)
{
    (void)snprintf(why, size, "%s: %s", path, strerror(errno));
    return -1;
}

/* The directory of a path, "." when it names none. */
static int open_directory(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (slash == NULL)
        return open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    memcpy(directory, path, n);
    directory[n] = '\0';
    return open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int look_at_old(struct file_update *u, mode_t mode, char *why, size_t size)
{
    struct stat st;
    u->old = open(u->path, O_RDONLY | O_CLOEXEC);
    if (u->old < 0 && errno == ENOENT) {
        u->mode = mode;
        u->owner = geteuid();
        u->group = getegid();
        return 0;
    }
    if (u->old < 0 || fstat(u->old, &st) != 0)
        return fault(u->path, why, size);
    if (!S_ISREG(st.st_mode)) {
        (void)snprintf(why, size, "%s: not a regular file", u->path);
        return -1;
    }
    u->old_size = (size_t)st.st_size;
    u->mode = st.st_mode & 07777;
    u->owner = st.st_uid;
    u->group = st.st_gid;
    return 0;
}

int file_update_begin(struct file_update *u, const char *path, mode_t mode, char *why, size_t size)
{
    *u = (struct file_update){.directory = -1, .old = -1};
    if (realpath(path, u->path) == NULL) {
        if (errno != ENOENT)
            return fault(path, why, size);
        if (strlen(path) >= sizeof u->path) {
            errno = ENAMETOOLONG;
            return fault(path, why, size);
        }
        memcpy(u->path, path, strlen(path) + 1);
    }
    u->directory = open_directory(u->path);
    if (u->directory < 0 || flock(u->directory, LOCK_EX) != 0) {
        (void)fault(u->path, why, size);
    } else if (look_at_old(u, mode, why, size) == 0) {
        return 0;
    }
    file_update_end(u);
    return -1;
}

int file_update_read(struct file_update *u, void *out, char *why, size_t size)
{
    size_t have = 0;
    while (have < u->old_size) {
        ssize_t got = read(u->old, (char *)out + have, u->old_size - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fault(u->path, why, size);
        if (got == 0) {
            (void)snprintf(why, size, "%s: became shorter while it was read", u->path);
            return -1;
        }
        have += (size_t)got;
    }
    return 0;
}

int file_write_all(int fd, const void *bytes, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t wrote = write(fd, (const char *)bytes + done, n - done);
        if (wrote < 0 && errno != EINTR)
            return -1;
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return 0;
}

/* Owner before mode: chown() may take mode bits away. */
static int fill(const struct file_update *u, int fd, const void *bytes, size_t n)
{
    if ((u->owner != geteuid() || u->group != getegid()) && fchown(fd, u->owner, u->group) != 0)
        return -1;
    if (fchmod(fd, u->mode) != 0 || file_write_all(fd, bytes, n) != 0)
        return -1;
    return fsync(fd);
}

int file_update_write(struct file_update *u, const void *bytes, size_t n, char *why, size_t size)
{
    int wanted = snprintf(u->temporary, sizeof u->temporary, "%s.XXXXXX", u->path);
    if (wanted < 0 || (size_t)wanted >= sizeof u->temporary) {
        errno = ENAMETOOLONG;
        return fault(u->path, why, size);
    }
    int fd = mkostemp(u->temporary, O_CLOEXEC); /* mode 0600 from its first moment */
    if (fd < 0)
        return fault(u->temporary, why, size);
    u->written = true;
    int result = fill(u, fd, bytes, n) == 0 ? 0 : fault(u->temporary, why, size);
    if (close(fd) != 0 && result == 0)
        result = fault(u->temporary, why, size);
    return result;
}

int file_update_commit(struct file_update *u, char *why, size_t size)
{
    if (rename(u->temporary, u->path) != 0)
        return fault(u->path, why, size);
    u->written = false;
    return fsync(u->directory) == 0 ? 0 : fault(u->path, why, size);
}

void file_update_end(struct file_update *u)
{
    /* What is left behind when these fail is a lock that ends with the process, or a file that
     * nobody reads and whose name says what it is. */
    if (u->written)
        (void)unlink(u->temporary);
    if (u->old >= 0)
        (void)close(u->old);
    if (u->directory >= 0)
        (void)close(u->directory);
    u->written = false;
    u->old = u->directory = -1;
}

int file_replace(const char *path, const void *bytes, size_t n, mode_t mode, char *why, size_t size)
{
    struct file_update u;
    if (file_update_begin(&u, path, mode, why, size) != 0)
        return -1;
    int result = file_update_write(&u, bytes, n, why, size);
    if (result == 0)
        result = file_update_commit(&u, why, size);
    file_update_end(&u);
    return result;
}

/* Reads fd to its end; name is for what is said of it. */
static int slurp(int fd, const char *name, struct buf *out, char *why, size_t size)
{
    enum { PIECE = 16384 };
    ssize_t got = 1;
    while (got != 0) {
        unsigned char *room = buf_room(out, PIECE);
        if (room == NULL) {
            (void)snprintf(why, size, "%s: larger than %zu bytes", name, out->max - PIECE);
            break;
        }
        got = read(fd, room, PIECE);
        if (got < 0 && errno != EINTR) {
            (void)fault(name, why, size);
            break;
        }
        out->len += got > 0 ? (size_t)got : 0;
    }
    return got == 0 ? 0 : -1;
}

int file_slurp(const char *path, struct buf *out, char *why, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fault(path, why, size);
    const int result = slurp(fd, path, out, why, size);
    (void)close(fd); /* read only: nothing can be lost */
    return result;
}

int file_slurp_named(const char *name, struct buf *out, char *why, size_t size)
{
    if (strcmp(name, "-") == 0)
        return slurp(STDIN_FILENO, "standard input", out, why, size);
    return file_slurp(name, out, why, size);
}
