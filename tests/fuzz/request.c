/* SPDX-License-Identifier: Apache-2.0 */
/* A request as the responder gets it from libfcgi or as a CGI program: lines "NAME=value" up to an
 * empty line, then the body. The path that is made of it is one over which nobody can argue, and
 * the answer is an answer; a document in it can be read. */
#include <errno.h>
#include <string.h>

#include "answer_check.h"
#include "base/failure.h"
#include "cpix/cpix.h"
#include "fuzz.h"
#include "responder/channel.h"
#include "responder/location.h"
#include "responder/request.h"
#include "responder/responder.h"

enum { PARAMETERS_MAX = 64, LARGEST = 1 << 17, ARENA_MAX = 64 << 20 };

struct memory_channel {
    struct channel channel;
    const uint8_t *at;
    size_t left;
    bool is_head, breaks_off;
    int answers;
};

static struct memory_channel *memory_of(struct channel *c)
{
    return (struct memory_channel *)c; /* its first member */
}

/* In pieces of uneven size, as a network gives them. */
static ssize_t read_memory(struct channel *c, void *out, size_t n)
{
    struct memory_channel *m = memory_of(c);
    if (m->left == 0 && m->breaks_off) {
        errno = EPROTO;
        return -1;
    }
    if (n > m->left)
        n = m->left;
    if (n > 1)
        n = n / 2 + (n & 1);
    memcpy(out, m->at, n);
    m->at += n;
    m->left -= n;
    return (ssize_t)n;
}

static void read_document(const void *body, size_t size)
{
    static struct arena arena;
    struct cpix_document doc = {0};
    struct failure f = {0};
    if (arena.max == 0)
        arena_init(&arena, ARENA_MAX);
    MUST(cpix_read(body, size, &CPIX_DEFAULT_LIMITS, &arena, &doc, &f) == 0);
    for (size_t i = 0; i < doc.key_count; i++)
        MUST(doc.keys[i].plain_value != NULL || doc.keys[i].encrypted.cipher != NULL);
    arena_reset(&arena);
}

static int send_memory(struct channel *c, const void *head, size_t head_size, const void *body,
                       size_t body_size)
{
    static const char OK[] = "Status: 200";
    struct memory_channel *m = memory_of(c);
    m->answers++;
    fuzz_check_answer(head, head_size, body_size, m->is_head);
    if (memcmp(head, OK, sizeof OK - 1) == 0 && body_size > 0 && *(const char *)body == '<')
        read_document(body, body_size);
    return 0;
}

static void check_path(const struct request *q)
{
    char path[LOCATION_PATH_SIZE], url[LOCATION_URL_SIZE];
    struct failure f = {0};
    if (location_path(q, path, &f) != 0) {
        MUST(f.status == 400 || f.status == 414);
        return;
    }
    const size_t n = strlen(path);
    MUST(strstr(path, "/../") == NULL && strstr(path, "//") == NULL && strchr(path, '\\') == NULL);
    MUST(n < 3 || strcmp(path + n - 3, "/..") != 0);
    location_base(q, path, n, url);
    MUST(strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0);
    for (const char *p = url; *p != '\0'; p++)
        MUST(strchr("\"<> ", *p) == NULL && *p > 0x20 && *p < 0x7f);
}

/* Cuts the head into parameters. Returns how many bytes it takes with the empty line. */
static size_t cut_parameters(char *text, size_t size, char **parameters)
{
    size_t count = 0, at = 0;
    while (at < size) {
        char *end = memchr(text + at, '\n', size - at);
        const size_t n = end != NULL ? (size_t)(end - (text + at)) : size - at;
        text[at + n] = '\0';
        if (n > 0 && count < PARAMETERS_MAX)
            parameters[count++] = text + at;
        at += n + 1;
        if (n == 0)
            break;
    }
    parameters[count] = NULL;
    return at < size ? at : size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *parameters[PARAMETERS_MAX + 1];
    struct memory_channel c = {.channel = {.read = read_memory, .send = send_memory}};
    struct request q;
    if (size > LARGEST)
        return 0;
    struct responder *r = fuzz_responder();
    char *text = malloc(size + 1);
    MUST(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    const size_t head = cut_parameters(text, size, parameters);
    request_read(&q, parameters);
    check_path(&q);
    c.at = data + head;
    c.left = size - head;
    c.is_head = strcmp(q.method, "HEAD") == 0;
    c.channel.needs_length = q.server_port != NULL;
    c.breaks_off = q.https != NULL && q.scheme != NULL;
    responder_serve(r, parameters, &c.channel);
    MUST(c.answers == 1);
    free(text);
    return 0;
}
