/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/token.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/secret.h"
#include "base/trim.h"
#include "keystore/child.h"
#include "keystore/keyring.h"
#include "keystore/token_session.h"

const char TOKEN_PREFIX[] = "pkcs11:";

/* A KEK is bound to its number: the line of one cannot be put under another. */
enum { AAD_SIZE = 48 };

static size_t put_aad(int32_t version, char out[static AAD_SIZE])
{
    const int n = snprintf(out, AAD_SIZE, "speke-fcgi kek %d", version);
    return n > 0 ? (size_t)n : 0;
}

bool token_supported(void)
{
    return true;
}

/* What failed is told on standard error, whose beginning the parent takes into its log line. */
static int complain(const char *why)
{
    (void)dprintf(STDERR_FILENO, "%s\n", why);
    return 1;
}

static int print_all(const char *text, size_t n)
{
    for (size_t done = 0; done < n;) {
        const ssize_t wrote = write(STDOUT_FILENO, text + done, n - done);
        if (wrote <= 0)
            return complain("standard output");
        done += (size_t)wrote;
    }
    return 0;
}

/* --- wrapping, in the child ----------------------------------------------------------------- */

struct wrapping {
    const char *uri;
    int32_t version;
    const unsigned char *kek;
};

static int wrap(void *context)
{
    const struct wrapping *w = context;
    unsigned char wrapped[TOKEN_WRAPPED_BYTES];
    char aad[AAD_SIZE], text[BASE64_SIZE(TOKEN_WRAPPED_BYTES)], why[256];
    struct token_session *session = token_session_open(w->uri, why, sizeof why);
    if (session == NULL)
        return complain(why);
    int code = 0;
    if (RAND_bytes(wrapped, TOKEN_IV_BYTES) != 1)
        code = complain("no random bytes");
    else if (token_session_encrypt(session, wrapped, aad, put_aad(w->version, aad), w->kek,
                                   KEK_BYTES, wrapped + TOKEN_IV_BYTES, why, sizeof why) != 0)
        code = complain(why);
    token_session_close(session);
    return code != 0 ? code : print_all(text, base64_encode(wrapped, sizeof wrapped, text));
}

int token_wrap(const char *uri, int32_t version, const unsigned char kek[static KEK_BYTES],
               char out[static TOKEN_TEXT_SIZE], char *why, size_t why_size)
{
    struct wrapping w = {.uri = uri, .version = version, .kek = kek};
    char cause[256];
    const size_t prefix = strlen(TOKEN_PREFIX);
    memcpy(out, TOKEN_PREFIX, prefix);
    const int64_t n = child_read(wrap, &w, out + prefix, TOKEN_TEXT_SIZE - 1 - prefix, cause,
                                 sizeof cause);
    if (n != BASE64_SIZE(TOKEN_WRAPPED_BYTES) - 1) {
        (void)snprintf(why, why_size, "PKCS#11: %s", n < 0 ? cause : "unexpected output");
        return -1;
    }
    out[prefix + (size_t)n] = '\0';
    return 0;
}

/* --- unwrapping, in the child --------------------------------------------------------------- */

struct unwrapping {
    const char *uri;
    struct span text;
};

/* Whether a line holds a wrapped KEK; then *version and *wrapped are of it. */
static bool is_wrapped(struct span line, int32_t *version, struct span *wrapped)
{
    const size_t prefix = strlen(TOKEN_PREFIX);
    int64_t number = 0;
    line = trim_span(line);
    while (line.n > 0 && line.text[0] >= '0' && line.text[0] <= '9' && number <= INT32_MAX) {
        number = number * 10 + (line.text[0] - '0');
        line.text++;
        line.n--;
    }
    const struct span rest = trim_span(line);
    if (number == 0 || number > INT32_MAX || rest.n == line.n || rest.n <= prefix ||
        memcmp(rest.text, TOKEN_PREFIX, prefix) != 0)
        return false;
    *version = (int32_t)number;
    *wrapped = (struct span){.text = rest.text + prefix, .n = rest.n - prefix};
    return true;
}

/* The clear line of a wrapped one, into out on the secure heap. */
static int unwrap(struct token_session *session, int32_t version, struct span wrapped,
                  unsigned char *kek, char *out, size_t size, size_t *length)
{
    unsigned char bytes[TOKEN_WRAPPED_BYTES];
    char aad[AAD_SIZE], why[256];
    size_t n;
    if (base64_decode(wrapped.text, wrapped.n, bytes, sizeof bytes, &n) != 0 || n != sizeof bytes)
        return complain("a wrapped KEK is no base64 of 60 bytes");
    if (token_session_decrypt(session, bytes, aad, put_aad(version, aad), bytes + TOKEN_IV_BYTES,
                              sizeof bytes - TOKEN_IV_BYTES, kek, KEK_BYTES, why, sizeof why) != 0)
        return complain(why);
    const int head = snprintf(out, size, "%d ", version);
    if (head < 0 || (size_t)head + BASE64_SIZE(KEK_BYTES) + 1 > size)
        return complain("no room");
    *length = (size_t)head + base64_encode(kek, KEK_BYTES, out + head);
    out[(*length)++] = '\n';
    return 0;
}

static int print_line(struct token_session *session, struct span line)
{
    enum { LINE_SIZE = 96 };
    struct span wrapped;
    int32_t version;
    if (!is_wrapped(line, &version, &wrapped))
        return print_all(line.text, line.n);
    unsigned char *kek = secret_alloc(KEK_BYTES);
    char *out = secret_alloc(LINE_SIZE);
    size_t length = 0;
    int code = kek == NULL || out == NULL
                   ? complain("the secure heap is full")
                   : unwrap(session, version, wrapped, kek, out, LINE_SIZE, &length);
    if (code == 0)
        code = print_all(out, length);
    secret_free(out, LINE_SIZE);
    secret_free(kek, KEK_BYTES);
    return code;
}

static int unwrap_all(void *context)
{
    const struct unwrapping *u = context;
    char why[256];
    int code = 0;
    struct token_session *session = token_session_open(u->uri, why, sizeof why);
    if (session == NULL)
        return complain(why);
    for (size_t at = 0; at < u->text.n && code == 0;) {
        const char *line = u->text.text + at;
        const char *end = memchr(line, '\n', u->text.n - at);
        const size_t n = end != NULL ? (size_t)(end - line) + 1 : u->text.n - at;
        code = print_line(session, (struct span){.text = line, .n = n});
        at += n;
    }
    token_session_close(session);
    return code;
}

int64_t token_unwrap_lines(const char *uri, char *text, size_t length, size_t size, char *why,
                           size_t why_size)
{
    struct unwrapping u = {.uri = uri, .text = {.text = text, .n = length}};
    char cause[256];
    char *clear = secret_alloc(size);
    if (clear == NULL) {
        (void)snprintf(why, why_size, "the secure heap is full");
        return -1;
    }
    const int64_t n = child_read(unwrap_all, &u, clear, size, cause, sizeof cause);
    if (n < 0)
        (void)snprintf(why, why_size, "PKCS#11: %s", cause);
    else
        memcpy(text, clear, (size_t)n);
    secret_free(clear, size);
    return n;
}
