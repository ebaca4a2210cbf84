/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/keyring.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/settings.h"
#include "base/trim.h"
#include "keystore/clock.h"
#include "keystore/kek_source.h"
#include "keystore/token.h"

enum { INTERVAL_MS = 1000, COMMAND_INTERVAL_MS = 10000, FAULT_SIZE = 512 };

struct keyring {
    struct kek_source *source;
    char *token_uri;  /* of the token that wraps KEKs; "" for none */
    struct kek *keks; /* KEYRING_MAX of them on the secure heap; NULL before the first load */
    size_t count;
    int64_t checked_at, loaded_at; /* clock_ms(); 0: never */
    char fault[FAULT_SIZE];
};

static const size_t KEKS_SIZE = KEYRING_MAX * sizeof(struct kek);

/* Takes the source over, which may be NULL for want of memory. */
static struct keyring *new_ring(struct kek_source *source, const char *token_uri)
{
    struct keyring *k = calloc(1, sizeof *k);
    char *uri = strdup(token_uri);
    if (k == NULL || uri == NULL || source == NULL) {
        if (source != NULL)
            source->free(source);
        free(uri);
        free(k);
        return NULL;
    }
    k->source = source;
    k->token_uri = uri;
    return k;
}

struct keyring *keyring_new(const char *path)
{
    return new_ring(source_file_new(path), "");
}

struct keyring *keyring_of(const struct settings *settings, const char *path)
{
    if (path == NULL && settings->kek_command[0] != '\0')
        return new_ring(source_command_new(settings->kek_command), settings->pkcs11_uri);
    return new_ring(source_file_new(path != NULL ? path : settings->kek_file),
                    settings->pkcs11_uri);
}

void keyring_free(struct keyring *k)
{
    if (k == NULL)
        return;
    secret_free(k->keks, KEKS_SIZE);
    k->source->free(k->source);
    free(k->token_uri);
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

static int parse(struct keyring *k, struct span text, struct kek *keks, size_t *count)
{
    const char *name = k->source->name;
    *count = 0;
    for (unsigned number = 1; text.n > 0; number++) {
        const char *end = memchr(text.text, '\n', text.n);
        const size_t n = end != NULL ? (size_t)(end - text.text) : text.n;
        const char *why = take_line((struct span){.text = text.text, .n = n}, keks, count);
        if (why != NULL)
            return fault(k, "%s, line %u: %s", name, number, why);
        const size_t taken = end != NULL ? n + 1 : n;
        text.text += taken;
        text.n -= taken;
    }
    return *count > 0 ? 0 : fault(k, "%s holds no KEK", name);
}

/* --- loading -------------------------------------------------------------------------------- */

static bool has_wrapped(const char *text, size_t n)
{
    return memmem(text, n, TOKEN_PREFIX, strlen(TOKEN_PREFIX)) != NULL;
}

/* Has the token unwrap what it wrapped. Returns the length of the clear text, or -1. */
static int64_t unwrap(struct keyring *k, char *text, int64_t n, size_t size)
{
    char why[FAULT_SIZE / 2];
    if (!has_wrapped(text, (size_t)n))
        return n;
    if (k->token_uri[0] == '\0')
        return fault(k, "%s holds a KEK that a token wraps: the setting pkcs11_uri is missing",
                     k->source->name);
    n = token_unwrap_lines(k->token_uri, text, (size_t)n, size, why, sizeof why);
    return n >= 0 ? n : fault(k, "%s: %s", k->source->name, why);
}

static int read_keks(struct keyring *k, struct kek *keks, size_t *count)
{
    /* One byte more than allowed tells a text that is too long. */
    const size_t size = KEYRING_FILE_MAX + 1;
    char *text = secret_alloc(size);
    if (text == NULL)
        return fault(k, "%s: the secure heap is full", k->source->name);
    int result = -1;
    int64_t n = k->source->read(k->source, text, size, k->fault, sizeof k->fault);
    if (n > KEYRING_FILE_MAX)
        n = fault(k, "%s is larger than %d bytes", k->source->name, KEYRING_FILE_MAX);
    if (n >= 0)
        n = unwrap(k, text, n, size);
    if (n >= 0)
        result = parse(k, (struct span){.text = text, .n = (size_t)n}, keks, count);
    secret_free(text, size);
    return result;
}

static void load(struct keyring *k)
{
    size_t count = 0;
    struct kek *keks = secret_alloc(KEKS_SIZE);
    if (keks == NULL)
        (void)fault(k, "%s: the secure heap is full", k->source->name);
    else if (read_keks(k, keks, &count) == 0) {
        secret_free(k->keks, KEKS_SIZE);
        k->keks = keks;
        k->count = count;
        k->fault[0] = '\0';
        log_info("loaded %zu KEKs from %s", count, k->source->name);
        return;
    }
    secret_free(keks, KEKS_SIZE);
    log_error("KEKs not loaded%s: %s", k->count > 0 ? ", those from before stay" : "", k->fault);
}

/* Whether to read the source again. A version that is not there may have been added a moment ago,
 * so then a file is looked at whenever it is asked for; one that could not be used rests a second.
 * A command is run again for a version alone that is not there. */
static bool is_due(struct keyring *k, bool miss, int64_t now)
{
    if (k->loaded_at == 0)
        return true;
    if (k->source->changed == NULL)
        return miss && now - k->loaded_at >= COMMAND_INTERVAL_MS;
    if (k->fault[0] != '\0' && now - k->loaded_at < INTERVAL_MS)
        return false;
    return k->source->changed(k->source);
}

const struct kek *keyring_find(struct keyring *k, int32_t version)
{
    const int64_t now = clock_ms();
    const struct kek *kek = find(k->keks, k->count, version);
    if (kek != NULL && now - k->checked_at < INTERVAL_MS)
        return kek;
    k->checked_at = now;
    if (is_due(k, kek == NULL, now)) {
        k->loaded_at = now;
        load(k);
    }
    return find(k->keks, k->count, version);
}

const struct kek *keyring_nth(struct keyring *k, size_t n)
{
    (void)keyring_find(k, 1); /* reads the source when it is due, whatever it holds */
    return n < k->count ? &k->keks[n] : NULL;
}
