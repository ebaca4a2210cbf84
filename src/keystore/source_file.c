/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keystore/kek_source.h"

enum { PATH_SIZE = 1280 };

struct source_file {
    struct kek_source source;
    char *path;       /* the setting */
    char *credential; /* in $CREDENTIALS_DIRECTORY, NULL when there is no such directory */
    struct stat seen; /* of the file when it was read last; all zero when it was not */
};

static struct source_file *file_of(struct kek_source *s)
{
    return (struct source_file *)s; /* its first member */
}

/* The place that systemd has put a credential goes before the setting. */
static bool is_credential(const struct source_file *f)
{
    struct stat st;
    return f->credential != NULL && stat(f->credential, &st) == 0;
}

static const char *choose(struct source_file *f, bool *credential)
{
    *credential = is_credential(f);
    f->source.name = *credential ? f->credential : f->path;
    return f->source.name;
}

static bool is_private(const struct stat *st, bool acl)
{
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return false;
    /* Where systemd lets a service read root's file through an ACL, the mask of the ACL shows as
     * the rights of the group. */
    const mode_t acl_mask = acl && st->st_uid == 0 ? S_IRGRP : 0;
    return (st->st_mode & (S_IRWXG | S_IRWXO) & ~acl_mask) == 0;
}

int source_judge(const char *path, const struct stat *st, bool acl, char *why, size_t why_size)
{
    if (!S_ISREG(st->st_mode)) {
        (void)snprintf(why, why_size, "%s is no regular file", path);
        return -1;
    }
    if (!is_private(st, acl)) {
        (void)snprintf(why, why_size,
                       "%s: owner %lu, mode %04o; it must belong to the service's user or root and "
                       "give no right to others (chmod 0400)",
                       path, (unsigned long)st->st_uid, st->st_mode & 07777U);
        return -1;
    }
    return 0;
}

static int64_t read_all(int fd, char *out, size_t size)
{
    size_t len = 0;
    while (len < size) {
        const ssize_t n = read(fd, out + len, size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (int64_t)len;
}

/* Judges the file that was opened, not its name, so that nobody changes it in between. */
static int64_t file_read(struct kek_source *s, char *text, size_t size, char *why, size_t why_size)
{
    struct source_file *f = file_of(s);
    struct stat st;
    bool credential;
    const char *path = choose(f, &credential);
    memset(&f->seen, 0, sizeof f->seen);
    /* Without waiting, as somebody may have put a FIFO there. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int64_t n = -1;
    if (fd < 0 || fstat(fd, &st) != 0) {
        (void)snprintf(why, why_size, "%s: %s", path, strerror(errno));
    } else if (source_judge(path, &st, credential, why, why_size) == 0) {
        n = read_all(fd, text, size);
        if (n < 0)
            (void)snprintf(why, why_size, "%s: %s", path, strerror(errno));
        else
            f->seen = st;
    }
    if (fd >= 0)
        (void)close(fd); /* read only: nothing can be lost */
    return n;
}

/* Whether the file is another one than was read, or has other contents. */
static bool file_changed(struct kek_source *s)
{
    struct source_file *f = file_of(s);
    struct stat st;
    bool credential;
    if (stat(choose(f, &credential), &st) != 0)
        return f->seen.st_ino != 0; /* gone: reading it says so, once */
    return st.st_dev != f->seen.st_dev || st.st_ino != f->seen.st_ino ||
           st.st_size != f->seen.st_size || st.st_ctim.tv_sec != f->seen.st_ctim.tv_sec ||
           st.st_ctim.tv_nsec != f->seen.st_ctim.tv_nsec;
}

static void file_free(struct kek_source *s)
{
    struct source_file *f = file_of(s);
    free(f->path);
    free(f->credential);
    free(f);
}

static char *credential_path(void)
{
    char path[PATH_SIZE];
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    if (directory == NULL || directory[0] == '\0')
        return NULL;
    const int n = snprintf(path, sizeof path, "%s/kek", directory);
    return n > 0 && (size_t)n < sizeof path ? strdup(path) : NULL;
}

struct kek_source *source_file_new(const char *path)
{
    struct source_file *f = calloc(1, sizeof *f);
    if (f == NULL)
        return NULL;
    f->source = (struct kek_source){.read = file_read, .changed = file_changed, .free = file_free};
    f->path = strdup(path);
    f->credential = credential_path();
    f->source.name = f->path;
    if (f->path == NULL) {
        file_free(&f->source);
        return NULL;
    }
    return &f->source;
}
