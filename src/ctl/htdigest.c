/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/htdigest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/hex.h"
#include "base/secret.h"
#include "ctl/ctl.h"
#include "ctl/file.h"

enum { NAME_BYTES = 128, FILE_MODE = 0640, FILE_BYTES = 16 * 1024 * 1024 };

bool htdigest_name_ok(const char *text)
{
    const size_t n = strlen(text);
    if (n == 0 || n > NAME_BYTES || text[0] == '#')
        return false;
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f || strchr(":\"\\", text[i]) != NULL)
            return false;
    }
    return true;
}

static int hash(const EVP_MD *md, const struct buf *text, char *hex)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n;
    if (EVP_Digest(text->data, text->len, digest, &n, md, NULL) != 1)
        return -1;
    hex_encode(digest, n, hex);
    secret_wipe(digest, sizeof digest);
    return 0;
}

int htdigest_hash(const char *user, const char *realm, const char *password,
                  struct htdigest_hashes *out)
{
    struct buf text;
    buf_init(&text, 4096);
    buf_puts(&text, user);
    buf_putc(&text, ':');
    buf_puts(&text, realm);
    buf_putc(&text, ':');
    buf_puts(&text, password);
    int result = buf_ok(&text) && hash(EVP_md5(), &text, out->md5) == 0 &&
                         hash(EVP_sha256(), &text, out->sha256) == 0
                     ? 0
                     : -1;
    buf_free(&text);
    return result;
}

static bool is_line_of(const char *line, size_t n, const char *user, const char *realm)
{
    const size_t u = strlen(user), r = strlen(realm);
    return n > u + r + 1 && memcmp(line, user, u) == 0 && line[u] == ':' &&
           memcmp(line + u + 1, realm, r) == 0 && line[u + 1 + r] == ':';
}

static void put_line(struct buf *out, const char *user, const char *realm, const char *hex)
{
    buf_puts(out, user);
    buf_putc(out, ':');
    buf_puts(out, realm);
    buf_putc(out, ':');
    buf_puts(out, hex);
    buf_putc(out, '\n');
}

size_t htdigest_edit(const char *text, size_t n, const char *user, const char *realm,
                     const struct htdigest_hashes *hashes, struct buf *out)
{
    size_t found = 0;
    for (size_t at = 0; at < n;) {
        const char *end = memchr(text + at, '\n', n - at);
        const size_t line = end != NULL ? (size_t)(end - (text + at)) : n - at;
        if (is_line_of(text + at, line, user, realm)) {
            found++;
        } else {
            buf_put(out, text + at, line);
            buf_putc(out, '\n');
        }
        at += line + 1;
    }
    if (hashes != NULL) {
        put_line(out, user, realm, hashes->md5);
        put_line(out, user, realm, hashes->sha256);
    }
    return found;
}

static int rewrite(struct file_update *u, const char *user, const char *realm,
                   const struct htdigest_hashes *hashes, struct buf *old, struct buf *new)
{
    char why[512];
    unsigned char *room = buf_room(old, u->old_size + 1);
    if (room == NULL)
        return ctl_fail(CTL_FAILED, "%s: too large", u->path);
    if (u->old_size > 0 && file_update_read(u, room, why, sizeof why) != 0)
        return ctl_fail(CTL_FAILED, "%s", why);
    const size_t found = htdigest_edit((const char *)room, u->old_size, user, realm, hashes, new);
    if (found == 0 && hashes == NULL)
        return ctl_fail(CTL_FAILED, "%s: no user \"%s\" in realm \"%s\"", u->path, user, realm);
    if (!buf_ok(new))
        return ctl_fail(CTL_FAILED, "%s: too large", u->path);
    if (file_update_write(u, new->data, new->len, why, sizeof why) != 0 ||
        file_update_commit(u, why, sizeof why) != 0)
        return ctl_fail(CTL_FAILED, "%s", why);
    return CTL_DONE;
}

int htdigest_update(const char *path, const char *user, const char *realm,
                    const struct htdigest_hashes *hashes)
{
    struct file_update u;
    struct buf old, new;
    char why[512];
    if (file_update_begin(&u, path, FILE_MODE, why, sizeof why) != 0)
        return ctl_fail(CTL_FAILED, "%s", why);
    buf_init(&old, FILE_BYTES);
    buf_init(&new, FILE_BYTES);
    int code = rewrite(&u, user, realm, hashes, &old, &new);
    buf_free(&new);
    buf_free(&old);
    file_update_end(&u);
    return code;
}
