/* SPDX-License-Identifier: Apache-2.0 */
/* Fetches in a large table of keys beside fetches in a small one: the key store's own calls, for
 * contents picked at random, one in either database by turns. With --fill it writes the table
 * instead, as rows for COPY, sealed under a KEK that measures and protects nothing. */
#include <getopt.h>
#include <limits.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/failure.h"
#include "base/secret.h"
#include "base/settings.h"
#include "content.h"
#include "keystore/keystore.h"
#include "keystore/seal.h"

enum {
    RUN = 1,
    SAMPLES_MAX = 1000000,
    KEYS_MAX = 1000000000,
    WARM_UP = 2000, /* calls in each database before the clock counts */
    SIDES = 2,
    HEAP_BYTES = 262144,
    HEX_MAX = 2 * SEALED_BYTES + 1
};

static const char SCHEME[] = "cbcs";
static const char USER[] = "encoder";

struct options {
    bool fill;
    long tenant_id, client_id;
    long keys;         /* of a content */
    long total[SIDES]; /* keys in each database; with fill the first */
    long samples;
    const char *database[SIDES], *kek_file;
    bool audit_wait;
};

static const char USAGE[] =
    "usage: many --fill N --tenant-id N --client-id N [--keys N]\n"
    "       many --small CONNINFO --small-keys N --large CONNINFO --large-keys N\n"
    "            --kek-file FILE [--keys N] [--samples N] [--audit-wait]\n"
    "  --keys N      keys of a content (5)\n"
    "  --samples N   fetches to measure in each database (20000)\n"
    "  --audit-wait  wait for the commit of the audit row\n";

static _Noreturn void usage(void)
{
    fputs(USAGE, stderr);
    exit(2);
}

static long number(const char *text, long most)
{
    char *end;
    const long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 1 || value > most)
        usage();
    return value;
}

static void take_option(struct options *o, int c, const char *text)
{
    if (c == 'f')
        o->fill = true;
    if (c == 'f' || c == 'm')
        o->total[0] = number(text, KEYS_MAX);
    else if (c == 'n')
        o->total[1] = number(text, KEYS_MAX);
    else if (c == 't')
        o->tenant_id = number(text, INT_MAX);
    else if (c == 'c')
        o->client_id = number(text, INT_MAX);
    else if (c == 'k')
        o->keys = number(text, BENCH_KEYS_MAX);
    else if (c == 'i')
        o->samples = number(text, SAMPLES_MAX);
    else if (c == 's' || c == 'l')
        o->database[c == 'l'] = text;
    else if (c == 'e')
        o->kek_file = text;
    else if (c == 'w')
        o->audit_wait = true;
    else
        usage();
}

static void read_options(int argc, char **argv, struct options *o)
{
    static const struct option names[] = {
        {"fill", required_argument, NULL, 'f'},      {"tenant-id", required_argument, NULL, 't'},
        {"client-id", required_argument, NULL, 'c'}, {"keys", required_argument, NULL, 'k'},
        {"small", required_argument, NULL, 's'},     {"small-keys", required_argument, NULL, 'm'},
        {"large", required_argument, NULL, 'l'},     {"large-keys", required_argument, NULL, 'n'},
        {"samples", required_argument, NULL, 'i'},   {"kek-file", required_argument, NULL, 'e'},
        {"audit-wait", no_argument, NULL, 'w'},      {NULL, 0, NULL, 0},
    };
    *o = (struct options){.keys = 5, .samples = 20000};
    int c;
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
        take_option(o, c, optarg);
    const bool whole = o->fill ? o->tenant_id > 0 && o->client_id > 0
                               : o->database[0] != NULL && o->database[1] != NULL &&
                                     o->kek_file != NULL && o->total[0] >= o->keys &&
                                     o->total[1] >= o->keys;
    if (optind != argc || !whole)
        usage();
}

/* The value of a key follows from its KID, so that what is fetched can be checked. */
static void key_of(const struct uuid *kid, unsigned char key[static SEAL_KEY_BYTES])
{
    for (size_t i = 0; i < SEAL_KEY_BYTES; i++)
        key[i] = kid->bytes[i] ^ 0x5a;
}

/* --- Filling -------------------------------------------------------------------------------- */

static const char *hex(const unsigned char *bytes, size_t n, char out[static HEX_MAX])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
    return out;
}

/* tenant_id, created_by, kek_version, kid, content_digest, explicit_iv, sealed, scheme, content_id
 */
static int put_row(struct sealer *sealer, const struct options *o, long number)
{
    char content_id[BENCH_CONTENT_ID_SIZE], kid[HEX_MAX], digest[HEX_MAX], sealed[HEX_MAX];
    unsigned char key[SEAL_KEY_BYTES], out[SEALED_BYTES], hash[SHA256_DIGEST_LENGTH];
    unsigned char nonce[SEAL_NONCE_BYTES] = {0};
    struct seal_row row = {.tenant_id = (uint32_t)o->tenant_id, .kek_version = 1, .scheme = SCHEME};
    bench_content_id(RUN, (uint64_t)(number / o->keys), content_id);
    bench_kid(RUN, (uint64_t)(number / o->keys), (size_t)(number % o->keys), &row.kid);
    row.content_id = content_id;
    memcpy(nonce, &number, sizeof number);
    key_of(&row.kid, key);
    if (seal_key(sealer, &row, nonce, key, out) != 0 ||
        SHA256((const unsigned char *)content_id, strlen(content_id), hash) == NULL)
        return -1;
    return printf("%ld\t%ld\t1\t%s\t\\\\x%s\t\\\\x%s\t\\\\x%s\t%s\t%s\n", o->tenant_id,
                  o->client_id, hex(row.kid.bytes, UUID_BYTES, kid), hex(hash, sizeof hash, digest),
                  kid, hex(out, sizeof out, sealed), SCHEME, content_id) > 0
               ? 0
               : -1;
}

static int fill(const struct options *o)
{
    unsigned char kek[KEK_BYTES];
    struct sealer *sealer = sealer_new();
    memset(kek, 'A', sizeof kek);
    int result = sealer == NULL ? -1 : sealer_use(sealer, kek);
    for (long i = 0; result == 0 && i < o->total[0]; i++)
        result = put_row(sealer, o, i);
    sealer_free(sealer);
    if (result != 0 || fflush(stdout) != 0) {
        fputs("many: the rows could not be written\n", stderr);
        return 1;
    }
    return 0;
}

/* --- Measuring ------------------------------------------------------------------------------ */

struct side {
    struct settings settings; /* which the key store goes on looking at */
    struct keystore *ks;
    uint64_t contents;
    double *microseconds;
};

struct bench {
    const struct options *o;
    struct side sides[SIDES];
    struct keystore_slot slots[BENCH_KEYS_MAX];
    unsigned char *keys; /* on the secure heap */
    uint64_t random;
};

/* xorshift64* */
static uint64_t next_random(struct bench *b)
{
    b->random ^= b->random >> 12;
    b->random ^= b->random << 25;
    b->random ^= b->random >> 27;
    return b->random * 0x2545f4914f6cdd1dU;
}

static double now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int call(struct bench *b, const struct side *side, const char *content_id, struct failure *f)
{
    static const struct keystore_details none;
    const struct keystore_request request = {.remote_user = USER,
                                             .remote_addr = "192.0.2.1",
                                             .speke_version = "2.0",
                                             .content_id = content_id};
    const struct keystore_client *client;
    bool stale = false;
    keystore_begin(side->ks);
    if (keystore_identify(side->ks, &request, &client, f) != 0)
        return -1;
    return keystore_acquire(side->ks, &request, b->slots, (size_t)b->o->keys, &none, &stale, f);
}

/* Fetches the keys of one content and compares them with what they must be. Microseconds, or -1. */
static double fetch(struct bench *b, const struct side *side)
{
    char content_id[BENCH_CONTENT_ID_SIZE];
    struct failure f;
    const uint64_t content = next_random(b) % side->contents;
    bench_content_id(RUN, content, content_id);
    for (size_t i = 0; i < (size_t)b->o->keys; i++) {
        b->slots[i] = (struct keystore_slot){.scheme = SCHEME,
                                             .key = b->keys + i * KEYSTORE_KEY_BYTES};
        bench_kid(RUN, content, i, &b->slots[i].kid);
    }
    failure_clear(&f);
    const double start = now_us();
    const int result = call(b, side, content_id, &f);
    const double spent = now_us() - start;
    if (result != 0) {
        fprintf(stderr, "many: %d %s (%s)\n", f.status, f.text, f.cause);
        return -1;
    }
    for (size_t i = 0; i < (size_t)b->o->keys; i++) {
        unsigned char expected[SEAL_KEY_BYTES];
        key_of(&b->slots[i].kid, expected);
        if (b->slots[i].created || memcmp(b->slots[i].key, expected, sizeof expected) != 0) {
            fputs("many: another key than was filled in\n", stderr);
            return -1;
        }
    }
    return spent;
}

static int measure(struct bench *b)
{
    for (long i = -WARM_UP; i < b->o->samples; i++) {
        for (int turn = 0; turn < SIDES; turn++) {
            const struct side *side = &b->sides[(i & 1) ^ turn]; /* who is first changes, too */
            const double spent = fetch(b, side);
            if (spent < 0)
                return -1;
            if (i >= 0)
                side->microseconds[i] = spent;
        }
    }
    return 0;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const struct bench *b)
{
    static const char *const names[SIDES] = {"small", "large"};
    static const long percents[] = {50, 90, 99};
    enum { PERCENTS = sizeof percents / sizeof percents[0] };
    double values[SIDES][PERCENTS];
    printf("{\"keys_of_a_content\": %ld, \"samples\": %ld, \"audit_wait\": %s", b->o->keys,
           b->o->samples, b->o->audit_wait ? "true" : "false");
    for (int s = 0; s < SIDES; s++) {
        qsort(b->sides[s].microseconds, (size_t)b->o->samples, sizeof(double), ascending);
        printf(", \"%s\": {\"keys\": %ld", names[s], b->o->total[s]);
        for (int p = 0; p < PERCENTS; p++) {
            values[s][p] = b->sides[s].microseconds[(b->o->samples - 1) * percents[p] / 100];
            printf(", \"p%ld_us\": %.0f", percents[p], values[s][p]);
        }
        putchar('}');
    }
    for (int p = 0; p < PERCENTS; p++)
        printf(", \"ratio_p%ld\": %.3f", percents[p], values[1][p] / values[0][p]);
    puts("}");
}

static int open_side(struct side *side, const struct options *o, int which)
{
    struct settings *s = &side->settings;
    settings_defaults(s);
    (void)snprintf(s->database, sizeof s->database, "%s", o->database[which]);
    (void)snprintf(s->kek_file, sizeof s->kek_file, "%s", o->kek_file);
    s->audit_wait = o->audit_wait;
    side->ks = keystore_new(s);
    side->contents = (uint64_t)(o->total[which] / o->keys);
    side->microseconds = calloc((size_t)o->samples, sizeof(double));
    return side->ks != NULL && side->microseconds != NULL ? 0 : -1;
}

static int compare(const struct options *o)
{
    struct bench b = {.o = o, .random = 0x9e3779b97f4a7c15U};
    struct failure f;
    int result = -1;
    failure_clear(&f);
    if (secret_setup(HEAP_BYTES, &f) != 0 ||
        (b.keys = secret_alloc((size_t)o->keys * KEYSTORE_KEY_BYTES)) == NULL) {
        fputs("many: no secure heap\n", stderr);
        return 1;
    }
    if (open_side(&b.sides[0], o, 0) == 0 && open_side(&b.sides[1], o, 1) == 0)
        result = measure(&b);
    if (result == 0)
        report(&b);
    for (int s = 0; s < SIDES; s++) {
        keystore_free(b.sides[s].ks);
        free(b.sides[s].microseconds);
    }
    secret_free(b.keys, (size_t)o->keys * KEYSTORE_KEY_BYTES);
    return result == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options o;
    read_options(argc, argv, &o);
    return o.fill ? fill(&o) : compare(&o);
}
