/* SPDX-License-Identifier: Apache-2.0 */
/* Fetches one URL over persistent connections for a bounded time, as many players would, and prints
 * how many answers a second that gave and how long they took, as one line of JSON. Every answer is
 * checked: its status, and byte for byte the first one. */
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "times.h"

enum {
    CONNECTIONS_MAX = 256,
    REQUESTS_MAX = 1000000,
    SECONDS_MAX = 600,
    WARM_UP = 20,
    BODY_MAX = 1 << 20
};

struct fetch {
    struct client_target target;
    struct buf body;
    long connections, requests, seconds, status;
    struct buf first;       /* the first answer */
    uint32_t *microseconds; /* of each request, by its number */
    atomic_long next;       /* number of the next request */
    atomic_bool failed;
    pthread_barrier_t start;
};

static const char USAGE[] = "usage: fetch [options] URL\n"
                            "  --header LINE     a header of each request; may be given again\n"
                            "  --body TEXT       POST this; default: GET\n"
                            "  --status N        what every answer has to have (200)\n"
                            "  --connections N   persistent connections (4)\n"
                            "  --requests N      most requests to send (100000)\n"
                            "  --seconds N       most seconds to send for (10)\n"
                            "  --ca FILE         certificate authority to trust\n";

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

static void add_header(struct fetch *l, const char *line)
{
    struct curl_slist *longer = curl_slist_append(l->target.headers, line);
    if (longer == NULL) {
        fputs("fetch: out of memory\n", stderr);
        exit(1);
    }
    l->target.headers = longer;
}

static void take_option(struct fetch *l, int c)
{
    switch (c) {
    case 'h':
        add_header(l, optarg);
        break;
    case 'b':
        buf_puts(&l->body, optarg);
        break;
    case 's':
        l->status = number(optarg, 599);
        break;
    case 'c':
        l->connections = number(optarg, CONNECTIONS_MAX);
        break;
    case 'r':
        l->requests = number(optarg, REQUESTS_MAX);
        break;
    case 't':
        l->seconds = number(optarg, SECONDS_MAX);
        break;
    case 'a':
        l->target.ca = optarg;
        break;
    default:
        usage();
    }
}

static void read_options(int argc, char **argv, struct fetch *l)
{
    static const struct option names[] = {
        {"header", required_argument, NULL, 'h'},      {"body", required_argument, NULL, 'b'},
        {"status", required_argument, NULL, 's'},      {"ca", required_argument, NULL, 'a'},
        {"connections", required_argument, NULL, 'c'}, {"requests", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 't'},     {NULL, 0, NULL, 0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
        take_option(l, c);
    if (optind != argc - 1)
        usage();
    l->target.url = argv[optind];
}

static int ask(struct fetch *l, struct client *c, uint32_t *microseconds)
{
    const struct buf *body = l->body.len > 0 ? &l->body : NULL;
    if (client_send(c, body, microseconds) != 0) {
        fprintf(stderr, "fetch: %s\n", c->error);
        return -1;
    }
    const bool known = l->first.data != NULL;
    if (c->status == l->status &&
        (!known || (c->answer.len == l->first.len &&
                    memcmp(c->answer.data, l->first.data, l->first.len) == 0)))
        return 0;
    fprintf(stderr, "fetch: status %ld, or not the first answer (%zu bytes)\n", c->status,
            c->answer.len);
    return -1;
}

/* The answer that all others are compared with. */
static int first_answer(struct fetch *l)
{
    struct client c;
    uint32_t unused;
    int result = client_open(&c, &l->target);
    if (result == 0)
        result = ask(l, &c, &unused);
    if (result == 0) {
        l->first = c.answer;
        buf_init(&c.answer, c.answer.max);
    }
    client_close(&c);
    return result;
}

static int send_all(struct fetch *l, struct client *c)
{
    const int64_t deadline = times_now() + (int64_t)l->seconds * 1000000;
    while (!atomic_load(&l->failed) && times_now() < deadline) {
        const long i = atomic_fetch_add(&l->next, 1);
        if (i >= l->requests)
            break;
        if (ask(l, c, &l->microseconds[i]) != 0)
            return -1;
    }
    return 0;
}

static void *connection(void *context)
{
    struct fetch *l = context;
    struct client c;
    uint32_t unused;
    int result = client_open(&c, &l->target);
    for (int i = 0; result == 0 && i < WARM_UP; i++)
        result = ask(l, &c, &unused);
    if (result != 0)
        atomic_store(&l->failed, true);
    (void)pthread_barrier_wait(&l->start); /* no errors but for a bad barrier */
    if (result == 0 && send_all(l, &c) != 0)
        atomic_store(&l->failed, true);
    client_close(&c);
    return NULL;
}

/* Returns the microseconds from the moment when all connections stood to the last answer, or -1. */
static int64_t run(struct fetch *l)
{
    pthread_t threads[CONNECTIONS_MAX];
    const unsigned count = (unsigned)l->connections;
    if (pthread_barrier_init(&l->start, NULL, count + 1) != 0)
        return -1;
    for (unsigned i = 0; i < count; i++) {
        if (pthread_create(&threads[i], NULL, connection, l) != 0) {
            fputs("fetch: cannot start a thread\n", stderr);
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

static void report(struct fetch *l, int64_t taken)
{
    /* Numbers are handed out up to the deadline, and each was then sent. */
    const long asked = atomic_load(&l->next);
    const size_t n = (size_t)(asked < l->requests ? asked : l->requests);
    times_sort(l->microseconds, n);
    const double seconds = (double)taken / 1e6;
    printf("{\"connections\": %ld, \"requests\": %zu, \"seconds\": %.3f, "
           "\"requests_per_second\": %.1f, \"p50_us\": %u, \"p90_us\": %u, \"p99_us\": %u, "
           "\"max_us\": %u, \"sent\": %zu, \"answer_bytes\": %zu}\n",
           l->connections, n, seconds, (double)n / seconds, l->microseconds[n / 2],
           l->microseconds[n * 90 / 100], l->microseconds[n * 99 / 100], l->microseconds[n - 1],
           n + 1 + (size_t)l->connections * WARM_UP, l->first.len);
}

int main(int argc, char **argv)
{
    struct fetch l = {.connections = 4, .requests = 100000, .seconds = 10, .status = 200};
    buf_init(&l.body, BODY_MAX);
    read_options(argc, argv, &l);
    l.microseconds = calloc((size_t)l.requests, sizeof *l.microseconds);
    if (l.microseconds == NULL || !buf_ok(&l.body) ||
        curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        fputs("fetch: libcurl does not start, or there is no memory\n", stderr);
        return 1;
    }
    const int64_t taken = first_answer(&l) == 0 ? run(&l) : -1;
    if (taken > 0 && atomic_load(&l.next) > 0)
        report(&l, taken);
    curl_slist_free_all(l.target.headers);
    free(l.microseconds);
    buf_free(&l.body);
    buf_free(&l.first);
    curl_global_cleanup();
    return taken > 0 && fflush(stdout) == 0 ? 0 : 1;
}
