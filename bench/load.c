/* SPDX-License-Identifier: Apache-2.0 */
/* Posts SPEKE documents over persistent connections for a bounded time and prints how many
 * exchanges a second that gave and how long they took, as one line of JSON. Every answer is
 * checked: status 200, and on the fetch path byte for byte the first one, on the create path and
 * with a recipient, whose every answer is encrypted anew, its size and number of keys. */
#include <getopt.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "content.h"
#include "document.h"
#include "times.h"

enum {
    CONNECTIONS_MAX = 256,
    REQUESTS_MAX = 100000, /* the create path holds that many documents in memory */
    SECONDS_MAX = 600,
    DOCUMENT_MAX = 1024 * 1024,
    WARM_UP = 20 /* requests of each connection before the clock starts */
};

struct options {
    struct client_target target;
    long connections, keys, requests, seconds, run;
    bool create;
    const char *recipient; /* a file's name, NULL for clear keys */
};

/* What the connections' threads share. */
struct load {
    struct options options;
    struct buf *documents; /* one on the fetch path, one a request on the create path */
    size_t document_count;
    struct buf recipient;   /* the text of its certificate, with a zero byte */
    struct buf warm_up;     /* a document of the same size as the others */
    struct buf first;       /* the first answer */
    uint32_t *microseconds; /* of each request, by its number */
    atomic_long next;       /* number of the next request */
    atomic_bool failed;
    pthread_barrier_t start;
};

static const char USAGE[] =
    "usage: load [options] URL\n"
    "  --create          a new content for every request; default: always the same\n"
    "  --recipient FILE  ask for keys encrypted for the certificate in it (base64 of DER)\n"
    "  --keys N          content keys in a document, each for 3 DRM systems (2)\n"
    "  --connections N   persistent connections (4)\n"
    "  --requests N      most requests to send (10000)\n"
    "  --seconds N       most seconds to send for (10)\n"
    "  --run N           number that content IDs and KIDs come from (1); with --create one that\n"
    "                    was not used before\n"
    "  --user NAME       Digest user; the password stands in the environment, SPEKE_PASSWORD\n"
    "  --ca FILE         certificate authority to trust\n";

static _Noreturn void usage(void)
{
    fputs(USAGE, stderr);
    exit(2);
}

static void set_number(struct options *o, const char *name, const char *text)
{
    const struct {
        const char *name;
        long *value;
        long most;
    } numbers[] = {
        {"keys", &o->keys, BENCH_KEYS_MAX},
        {"connections", &o->connections, CONNECTIONS_MAX},
        {"requests", &o->requests, REQUESTS_MAX},
        {"seconds", &o->seconds, SECONDS_MAX},
        {"run", &o->run, LONG_MAX},
    };
    size_t i = 0;
    while (strcmp(numbers[i].name, name) != 0)
        i++;
    char *end;
    const long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 1 || value > numbers[i].most) {
        fprintf(stderr, "load: --%s: a number from 1 to %ld\n", name, numbers[i].most);
        exit(2);
    }
    *numbers[i].value = value;
}

static void read_options(int argc, char **argv, struct options *o)
{
    static const struct option names[] = {
        {"create", no_argument, NULL, 'c'},
        {"recipient", required_argument, NULL, 'r'},
        {"user", required_argument, NULL, 'u'},
        {"ca", required_argument, NULL, 'a'},
        {"keys", required_argument, NULL, 'n'},
        {"requests", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 'n'},
        {"run", required_argument, NULL, 'n'},
        {"connections", required_argument, NULL, 'n'},
        {NULL, 0, NULL, 0},
    };
    *o = (struct options){.connections = 4, .keys = 2, .requests = 10000, .seconds = 10, .run = 1};
    int c, which = 0;
    while ((c = getopt_long(argc, argv, "", names, &which)) != -1) {
        if (c == 'c')
            o->create = true;
        else if (c == 'r')
            o->recipient = optarg;
        else if (c == 'u')
            o->target.user = optarg;
        else if (c == 'a')
            o->target.ca = optarg;
        else if (c == 'n')
            set_number(o, names[which].name, optarg);
        else
            usage();
    }
    if (optind != argc - 1)
        usage();
    o->target.url = argv[optind];
    o->target.password = getenv("SPEKE_PASSWORD");
}

static int read_recipient(struct load *l)
{
    char piece[4096];
    size_t n;
    buf_init(&l->recipient, DOCUMENT_MAX);
    if (l->options.recipient == NULL)
        return 0;
    FILE *in = fopen(l->options.recipient, "re");
    if (in == NULL)
        return -1;
    while ((n = fread(piece, 1, sizeof piece, in)) > 0)
        buf_put(&l->recipient, piece, n);
    const bool whole = ferror(in) == 0;
    (void)fclose(in); /* read only */
    buf_putc(&l->recipient, '\0');
    return whole && buf_ok(&l->recipient) ? 0 : -1;
}

/* Content 0 warms up and is what the fetch path asks for; the create path goes on from 1. */
static int make_documents(struct load *l)
{
    const struct options *o = &l->options;
    const uint64_t run = (uint64_t)o->run;
    const size_t keys = (size_t)o->keys;
    const char *recipient = o->recipient != NULL ? (const char *)l->recipient.data : NULL;
    l->document_count = o->create ? (size_t)o->requests : 1;
    l->microseconds = calloc((size_t)o->requests, sizeof *l->microseconds);
    l->documents = calloc(l->document_count, sizeof *l->documents);
    if (l->microseconds == NULL || l->documents == NULL)
        return -1;
    buf_init(&l->warm_up, DOCUMENT_MAX);
    if (bench_request(run, 0, keys, recipient, &l->warm_up) != 0)
        return -1;
    for (size_t i = 0; i < l->document_count; i++) {
        buf_init(&l->documents[i], l->warm_up.len);
        if (bench_request(run, o->create ? i + 1 : 0, keys, recipient, &l->documents[i]) != 0)
            return -1;
    }
    return 0;
}

/* At least that many of the elements that hold keys are in the answer. They stand near its
 * beginning, so that the search is short. */
static bool has_keys(const struct buf *answer, const char *tag, long keys)
{
    const size_t size = strlen(tag);
    const unsigned char *at = answer->data;
    size_t left = answer->len;
    for (long i = 0; i < keys; i++) {
        const unsigned char *found = memmem(at, left, tag, size);
        if (found == NULL)
            return false;
        left -= (size_t)(found - at) + size;
        at = found + size;
    }
    return true;
}

static const char *fault(const struct load *l, const struct client *c, bool same_content)
{
    static const char CLEAR[] = "<pskc:PlainValue>", ENCRYPTED[] = "<pskc:EncryptedValue>";
    const bool encrypted = l->options.recipient != NULL;
    if (c->status != 200)
        return "status is not 200";
    if (!has_keys(&c->answer, encrypted ? ENCRYPTED : CLEAR, l->options.keys))
        return "fewer keys than asked for";
    if (encrypted && has_keys(&c->answer, CLEAR, 1))
        return "a clear key for a recipient";
    if (l->first.data == NULL)
        return NULL;
    if (c->answer.len != l->first.len)
        return "size differs from the first answer's";
    if (same_content && !encrypted && memcmp(c->answer.data, l->first.data, l->first.len) != 0)
        return "not the first answer, though the content is the same";
    return NULL;
}

static int post(struct load *l, struct client *c, const struct buf *document, bool same_content,
                uint32_t *microseconds)
{
    if (client_send(c, document, microseconds) != 0) {
        fprintf(stderr, "load: %s\n", c->error);
        return -1;
    }
    const char *what = fault(l, c, same_content);
    if (what == NULL)
        return 0;
    fprintf(stderr, "load: %s (status %ld, %zu bytes)\n", what, c->status, c->answer.len);
    return -1;
}

/* The answer that all others are compared with, by a client of its own, and the content's keys are
 * there for the fetch path. */
static int first_answer(struct load *l)
{
    struct client c;
    uint32_t unused;
    int result = client_open(&c, &l->options.target);
    if (result == 0)
        result = post(l, &c, &l->warm_up, true, &unused);
    if (result == 0) {
        l->first = c.answer;
        buf_init(&c.answer, c.answer.max);
    }
    client_close(&c);
    return result;
}

static int send_all(struct load *l, struct client *c)
{
    const struct options *o = &l->options;
    const int64_t deadline = times_now() + (int64_t)o->seconds * 1000000;
    while (!atomic_load(&l->failed) && times_now() < deadline) {
        const long i = atomic_fetch_add(&l->next, 1);
        if (i >= o->requests)
            break;
        const struct buf *document = &l->documents[o->create ? i : 0];
        if (post(l, c, document, !o->create, &l->microseconds[i]) != 0)
            return -1;
    }
    return 0;
}

static void *connection(void *context)
{
    struct load *l = context;
    struct client c;
    uint32_t unused;
    int result = client_open(&c, &l->options.target);
    for (int i = 0; result == 0 && i < WARM_UP; i++)
        result = post(l, &c, &l->warm_up, true, &unused);
    if (result != 0)
        atomic_store(&l->failed, true);
    (void)pthread_barrier_wait(&l->start); /* no errors but for a bad barrier */
    if (result == 0 && send_all(l, &c) != 0)
        atomic_store(&l->failed, true);
    client_close(&c);
    return NULL;
}

/* Returns the microseconds from the moment when all connections stood to the last answer, or -1. */
static int64_t run_connections(struct load *l)
{
    pthread_t threads[CONNECTIONS_MAX];
    const unsigned count = (unsigned)l->options.connections;
    if (pthread_barrier_init(&l->start, NULL, count + 1) != 0)
        return -1;
    for (unsigned i = 0; i < count; i++) {
        if (pthread_create(&threads[i], NULL, connection, l) != 0) {
            fputs("load: cannot start a thread\n", stderr);
            exit(1); /* those at the barrier would wait for ever */
        }
    }
    (void)pthread_barrier_wait(&l->start);
    const int64_t start = times_now();
    for (unsigned i = 0; i < count; i++)
        (void)pthread_join(threads[i], NULL); /* joinable and joined once */
    const int64_t taken = times_now() - start;
    (void)pthread_barrier_destroy(&l->start); /* nobody waits any more */
    return atomic_load(&l->failed) ? -1 : taken;
}

static void report(struct load *l, int64_t taken)
{
    /* Numbers are handed out up to the deadline, and each was then sent. */
    const long asked = atomic_load(&l->next);
    const size_t n = (size_t)(asked < l->options.requests ? asked : l->options.requests);
    times_sort(l->microseconds, n);
    const double seconds = (double)taken / 1e6;
    printf("{\"path\": \"%s\", \"keys\": %ld, \"connections\": %ld, \"requests\": %zu, "
           "\"seconds\": %.3f, \"requests_per_second\": %.1f, \"p50_us\": %u, \"p90_us\": %u, "
           "\"p99_us\": %u, \"max_us\": %u, \"sent\": %zu, \"request_bytes\": %zu, "
           "\"answer_bytes\": %zu}\n",
           l->options.create              ? "create"
           : l->options.recipient != NULL ? "encrypted"
                                          : "fetch",
           l->options.keys, l->options.connections, n, seconds, (double)n / seconds,
           l->microseconds[n / 2], l->microseconds[n * 90 / 100], l->microseconds[n * 99 / 100],
           l->microseconds[n - 1], n + 1 + (size_t)l->options.connections * WARM_UP, l->warm_up.len,
           l->first.len);
}

static void free_load(struct load *l)
{
    for (size_t i = 0; l->documents != NULL && i < l->document_count; i++)
        buf_free(&l->documents[i]);
    free(l->documents);
    free(l->microseconds);
    buf_free(&l->recipient);
    buf_free(&l->warm_up);
    buf_free(&l->first);
}

int main(int argc, char **argv)
{
    struct load l = {.next = 0};
    read_options(argc, argv, &l.options);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        fputs("load: libcurl does not start\n", stderr);
        return 1;
    }
    int64_t taken = -1;
    if (read_recipient(&l) != 0)
        fputs("load: --recipient: the file cannot be read\n", stderr);
    else if (make_documents(&l) != 0)
        fputs("load: out of memory\n", stderr);
    else if (first_answer(&l) == 0)
        taken = run_connections(&l);
    if (taken > 0 && atomic_load(&l.next) > 0)
        report(&l, taken);
    free_load(&l);
    curl_global_cleanup();
    return taken > 0 && fflush(stdout) == 0 ? 0 : 1;
}
