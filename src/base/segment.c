/* SPDX-License-Identifier: Apache-2.0 */
#include "base/segment.h"

#include <openssl/sha.h>
#include <stdbool.h>
#include <string.h>

#include "base/base64.h"
#include "base/buf.h"

int segment_name_digest(const char *name, unsigned char out[static SEGMENT_DIGEST_BYTES])
{
    return SHA256((const unsigned char *)name, strlen(name), out) != NULL ? 0 : -1;
}

static bool is_plain(const char *name)
{
    return name[0] != '\0' && name[0] != '~' && strpbrk(name, "/\\") == NULL &&
           strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static void put_digest(struct buf *b, const char *name)
{
    unsigned char digest[SEGMENT_DIGEST_BYTES];
    char text[BASE64_SIZE(SEGMENT_DIGEST_BYTES)];
    if (segment_name_digest(name, digest) != 0) {
        b->failed = true;
        return;
    }
    (void)base64url_encode(digest, sizeof digest, text); /* the length is known */
    buf_putc(b, '~');
    buf_puts(b, text);
}

void segment_put(struct buf *b, const char *name)
{
    struct buf plain;
    buf_init(&plain, SEGMENT_PLAIN_MAX);
    if (is_plain(name))
        buf_put_percent(&plain, name);
    if (plain.len > 0 && buf_ok(&plain))
        buf_put(b, plain.data, plain.len);
    else
        put_digest(b, name);
    buf_free(&plain);
}

int segment_digest(const char *segment, unsigned char out[static SEGMENT_DIGEST_BYTES])
{
    size_t n;
    if (segment[0] != '~')
        return segment_name_digest(segment, out);
    segment++;
    return base64url_decode(segment, strlen(segment), out, SEGMENT_DIGEST_BYTES, &n) == 0 &&
                   n == SEGMENT_DIGEST_BYTES
               ? 0
               : -1;
}
