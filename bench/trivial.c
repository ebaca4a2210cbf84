/* SPDX-License-Identifier: Apache-2.0 */
/* The responder to compare with: a libfcgi program that makes the database call of an exchange and
 * then sends a constant answer of a given size. It reads no document, checks, signals and writes
 * none. What the real responder needs more than this is what the project's own code costs. */
#include <fcgiapp.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "acquire.h"
#include "content.h"

enum {
    WORKERS_MAX = 64,
    SIZE_MAX_BYTES = 16 * 1024 * 1024,
    BACKLOG = 128,
    WORKER_SHIFT = 40 /* of a content's number; below it each worker counts for itself */
};

struct options {
    const char *socket, *database, *user;
    long workers, keys, size, run;
    bool create;
};

static const char USAGE[] =
    "usage: trivial --socket PATH --database CONNINFO --user CLIENT [options]\n"
    "  --create     a new content for every request; default: always the first of the run\n"
    "  --keys N     content keys (2)\n"
    "  --size N     bytes of the answer (4096)\n"
    "  --run N      number that content IDs and KIDs come from (1)\n"
    "  --workers N  processes (2)\n";

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

static void read_options(int argc, char **argv, struct options *o)
{
    static const struct option names[] = {
        {"socket", required_argument, NULL, 's'},
        {"database", required_argument, NULL, 'd'},
        {"user", required_argument, NULL, 'u'},
        {"create", no_argument, NULL, 'c'},
        {"keys", required_argument, NULL, 'k'},
        {"size", required_argument, NULL, 'z'},
        {"run", required_argument, NULL, 'r'},
        {"workers", required_argument, NULL, 'w'},
        {NULL, 0, NULL, 0},
    };
    *o = (struct options){.workers = 2, .keys = 2, .size = 4096, .run = 1};
    int c;
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (c == 's')
            o->socket = optarg;
        else if (c == 'd')
            o->database = optarg;
        else if (c == 'u')
            o->user = optarg;
        else if (c == 'c')
            o->create = true;
        else if (c == 'k')
            o->keys = number(optarg, BENCH_KEYS_MAX);
        else if (c == 'z')
            o->size = number(optarg, SIZE_MAX_BYTES);
        else if (c == 'r')
            o->run = number(optarg, LONG_MAX);
        else if (c == 'w')
            o->workers = number(optarg, WORKERS_MAX);
        else
            usage();
    }
    if (optind != argc || o->socket == NULL || o->database == NULL || o->user == NULL)
        usage();
}

/* Status, headers and body in one piece. The body has the elements that the load generator counts
 * and is filled up with blanks. */
static int make_answer(const struct options *o, struct buf *answer)
{
    static const char key[] = "<pskc:PlainValue>AAAAAAAAAAAAAAAAAAAAAA==</pskc:PlainValue>";
    buf_init(answer, (size_t)o->size + 4096);
    buf_printf(answer,
               "Status: 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %ld\r\n"
               "X-Speke-User-Agent: trivial\r\nX-Speke-Version: 2.0\r\n"
               "Cache-Control: no-store\r\n\r\n",
               o->size);
    const size_t end = answer->len + (size_t)o->size;
    for (long i = 0; i < o->keys; i++)
        buf_puts(answer, key);
    if (!buf_ok(answer) || answer->len > end) {
        fputs("trivial: --size is too small for --keys\n", stderr);
        return -1;
    }
    const size_t rest = end - answer->len;
    unsigned char *blanks = buf_room(answer, rest);
    if (blanks == NULL)
        return -1;
    memset(blanks, ' ', rest);
    answer->len += rest;
    return 0;
}

/* The body must leave the socket, or closing it would break the answer. */
static void discard_body(FCGX_Stream *in)
{
    char scrap[16384];
    while (FCGX_GetStr(scrap, (int)sizeof scrap, in) == (int)sizeof scrap)
        continue;
}

static int serve(const struct options *o, int listener, uint64_t first)
{
    struct acquire acquire = {0};
    struct buf answer;
    FCGX_Request request;
    int result = make_answer(o, &answer);
    if (result == 0)
        result = acquire_open(&acquire, o->database, o->user, (size_t)o->keys);
    if (result == 0)
        result = FCGX_InitRequest(&request, listener, 0);
    for (uint64_t content = first; result == 0 && FCGX_Accept_r(&request) == 0; content++) {
        discard_body(request.in);
        result = acquire_call(&acquire, (uint64_t)o->run, o->create ? content : 0, o->create);
        if (result == 0)
            result = FCGX_PutStr((const char *)answer.data, (int)answer.len, request.out) < 0;
        FCGX_Finish_r(&request);
    }
    acquire_close(&acquire);
    buf_free(&answer);
    return result;
}

/* libfcgi's handler for SIGTERM only raises a flag; here the default is wanted, which ends. */
static int start_worker(const struct options *o, int listener, long index)
{
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child != 0)
        return child > 0 ? 0 : -1;
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || signal(SIGTERM, SIG_DFL) == SIG_ERR ||
        getppid() != parent)
        _exit(1);
    _exit(serve(o, listener, ((uint64_t)index + 1) << WORKER_SHIFT) == 0 ? 0 : 1);
}

int main(int argc, char **argv)
{
    struct options o;
    read_options(argc, argv, &o);
    if (FCGX_Init() != 0 || signal(SIGTERM, SIG_DFL) == SIG_ERR)
        return 1;
    const int listener = FCGX_OpenSocket(o.socket, BACKLOG);
    if (listener < 0) {
        fprintf(stderr, "trivial: cannot listen on %s\n", o.socket);
        return 1;
    }
    for (long i = 0; i < o.workers; i++) {
        if (start_worker(&o, listener, i) != 0) {
            perror("trivial: fork");
            return 1;
        }
    }
    /* A worker ends only when something failed, and then the run is worth nothing. */
    int status;
    (void)wait(&status); /* there is a child, and no other reason to return */
    return 1;
}
