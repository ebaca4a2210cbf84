/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/trim.h"
#include "keystore/clock.h"

enum { INTERVAL_MS = 1000, FAULT_SIZE = 512, PATH_SIZE = 1280 };

struct keyring {
    char *path;
    struct kek *keks; /* KEYRING_MAX of them on the secure heap; NULL before the first load */
    size_t count;
    int64_t checked_at, loaded_at; /* clock_ms(); 0: never */
    struct stat seen;              /* of the file when it was read last; all zero when it was not */
    char fault[FAULT_SIZE];
};

static const size_t KEKS_SIZE = KEYRING_MAX * sizeof(struct kek);

struct keyring *keyring_new(const char *path)
{
    struct keyring *k = calloc(1, sizeof *k);
    if (k == NULL)
        return NULL;
    k->path = strdup(path);
    if (k->path == NULL) {
        free(k);
        return NULL;
    }
    return k;
}

void keyring_free(struct keyring *k)
{
    if (k == NULL)
        return;
    secret_free(k->keks, KEKS_SIZE);
    free(k->path);
    free(k);
}

const char *keyring_fault(const struct keyring *k)
{
    return k->fault;
}

__attribute__((format(printf, 2, 3))) static int fault(struct keyring *k, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (vsnprintf(k->fault, sizeof k->fault, format, args) < 0)
        k->fault[0] = '\0';
    va_end(args);
    return -1;
}

/* --- the file ------------------------------------------------------------------------------- */

/* The place that systemd has put a credential goes before the setting. */
static bool credential_path(char *out, size_t size)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    struct stat st;
    if (directory == NULL || directory[0] == '\0')
        return false;
    int n = snprintf(out, size, "%s/kek", directory);
    return n > 0 && (size_t)n < size && stat(out, &st) == 0;
}

static bool is_private(const struct stat *st, bool credential)
{
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return false;
    /* Where systemd lets a service read root's file through an ACL, the mask of the ACL shows as
     * the rights of the group. */
    const mode_t acl_mask = credential && st->st_uid == 0 ? S_IRGRP : 0;
    return (st->st_mode & (S_IRWXG | S_IRWXO) & ~acl_mask) == 0;
}

/* Judges the file that was opened, not its name, so that nobody changes it in between. */
static int judge(struct keyring *k, const char *path, const struct stat *st, bool credential)
{
    if (!S_ISREG(st->st_mode))
        return fault(k, "%s is no regular file", path);
    if (!is_private(st, credential))
        return fault(k,
                     "%s: owner %lu, mode %04o; it must belong to the service's user or root and "
                     "give no right to others (chmod 0400)",
                     path, (unsigned long)st->st_uid, st->st_mode & 07777U);
    if (st->st_size > KEYRING_FILE_MAX)
        return fault(k, "%s is larger than %d bytes", path, KEYRING_FILE_MAX);
    return 0;
}

/* Reads at most size bytes. Returns their number or -1. */
static ssize_t read_all(int fd, char *out, size_t size)
{
    size_t len = 0;
    while (len < size) {
        ssize_t n = read(fd, out + len, size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

/* --- its lines ------------------------------------------------------------------------------ */

/* Reads a decimal number from 1 on and moves past it. Returns 0 when there is none. */
static int32_t take_version(struct span *line)
{
    int64_t n = 0;
    while (line->n > 0 && line->text[0] >= '0' && line->text[0] <= '9' && n <= INT32_MAX) {
        n = n * 10 + (line->text[0] - '0');
        line->text++;
        line->n--;
    }
    return n <= INT32_MAX ? (int32_t)n : 0;
}

static const struct kek *find(const struct kek *keks, size_t count, int32_t version)
{
    for (size_t i = 0; i < count; i++) {
        if (keks[i].version == version)
            return &keks[i];
    }
    return NULL;
}

/* Parses one line straight from the secure heap into it. Returns NULL, or what is wrong. */
static const char *take_line(struct span line, struct kek *keks, size_t *count)
{
    size_t n;
    line = trim_span(line);
    if (line.n == 0 || line.text[0] == '#')
        return NULL;
    if (*count == KEYRING_MAX)
        return "too many KEKs";
    struct kek *kek = &keks[*count];
    kek->version = take_version(&line);
    if (kek->version == 0 || line.n == 0 || (line.text[0] != ' ' && line.text[0] != '\t'))
        return "no version number";
    if (find(keks, *count, kek->version) != NULL)
        return "a version for the second time";
    line = trim_span(line);
    if (base64_decode(line.text, line.n, kek->key, KEK_BYTES, &n) != 0 || n != KEK_BYTES)
        return "no base64 of 32 bytes";
    if (kek_check(kek->key, kek->check) != 0)
        return "no check value";
    ++*count;
    return NULL;
}

static int parse(struct keyring *k, const char *path, struct span text, struct kek *keks,
                 size_t *count)
{
    *count = 0;
    for (unsigned number = 1; text.n > 0; number++) {
        const char *end = memchr(text.text, '\n', text.n);
        const size_t n = end != NULL ? (size_t)(end - text.text) : text.n;
        const char *why = take_line((struct span){.text = text.text, .n = n}, keks, count);
        if (why != NULL)
            return fault(k, "%s, line %u: %s", path, number, why);
        const size_t taken = end != NULL ? n + 1 : n;
        text.text += taken;
        text.n -= taken;
    }
    return *count > 0 ? 0 : fault(k, "%s holds no KEK", path);
}

/* --- loading -------------------------------------------------------------------------------- */

static int read_keks(struct keyring *k, const char *path, int fd, struct kek *keks, size_t *count)
{
    /* One byte more than allowed tells a file that grew since it was judged. */
    const size_t size = KEYRING_FILE_MAX + 1;
    char *text = secret_alloc(size);
    if (text == NULL)
        return fault(k, "%s: the secure heap is full", path);
    int result = -1;
    ssize_t n = read_all(fd, text, size);
    if (n < 0)
        (void)fault(k, "%s: %s", path, strerror(errno));
    else if (n > KEYRING_FILE_MAX)
        (void)fault(k, "%s is larger than %d bytes", path, KEYRING_FILE_MAX);
    else
        result = parse(k, path, (struct span){.text = text, .n = (size_t)n}, keks, count);
    secret_free(text, size);
    return result;
}

/* Opens without waiting, as somebody may have put a FIFO there. */
static int open_and_read(struct keyring *k, const char *path, bool credential, struct kek *keks,
                         size_t *count)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fault(k, "%s: %s", path, strerror(errno));
    int result = -1;
    if (fstat(fd, &st) != 0)
        (void)fault(k, "%s: %s", path, strerror(errno));
    else if (judge(k, path, &st, credential) == 0)
        result = read_keks(k, path, fd, keks, count);
    if (result == 0)
        k->seen = st;
    (void)close(fd); /* read only: nothing can be lost */
    return result;
}

static void load(struct keyring *k, const char *path, bool credential)
{
    size_t count = 0;
    struct kek *keks = secret_alloc(KEKS_SIZE);
    memset(&k->seen, 0, sizeof k->seen);
    if (keks == NULL)
        (void)fault(k, "%s: the secure heap is full", path);
    else if (open_and_read(k, path, credential, keks, &count) == 0) {
        secret_free(k->keks, KEKS_SIZE);
        k->keks = keks;
        k->count = count;
        k->fault[0] = '\0';
        log_info("loaded %zu KEKs from %s", count, path);
        return;
    }
    secret_free(keks, KEKS_SIZE);
    log_error("KEKs not loaded%s: %s", k->count > 0 ? ", those from before stay" : "", k->fault);
}

/* Whether the file is another one than was read, or has other contents. */
static bool has_changed(const struct keyring *k, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return k->seen.st_ino != 0; /* gone: reading it says so, once */
    return st.st_dev != k->seen.st_dev || st.st_ino != k->seen.st_ino ||
           st.st_size != k->seen.st_size || st.st_ctim.tv_sec != k->seen.st_ctim.tv_sec ||
           st.st_ctim.tv_nsec != k->seen.st_ctim.tv_nsec;
}

/* A version that is not there may have been added a moment ago, so then the file is looked at
 * whenever it is asked for; one that cannot be used is read at most once a second. */
const struct kek *keyring_find(struct keyring *k, int32_t version)
{
    char credential[PATH_SIZE];
    const int64_t now = clock_ms();
    const struct kek *kek = find(k->keks, k->count, version);
    if (kek != NULL && now - k->checked_at < INTERVAL_MS)
        return kek;
    const bool is_credential = credential_path(credential, sizeof credential);
    const char *path = is_credential ? credential : k->path;
    const bool rests = k->fault[0] != '\0' && now - k->loaded_at < INTERVAL_MS;
    k->checked_at = now;
    if (k->loaded_at == 0 || (!rests && has_changed(k, path))) {
        k->loaded_at = now;
        load(k, path, is_credential);
    }
    return find(k->keks, k->count, version);
}
