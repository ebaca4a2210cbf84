/* SPDX-License-Identifier: Apache-2.0 */
/* A FastCGI connection: the input is what the web server sends, record by record, before it closes
 * its side. libfcgi itself is not instrumented; its memory is watched by ASan all the same. Two
 * known faults of libfcgi 2.4.2 are stepped around: it does not free 48 bytes of a management
 * record that it does not know, and it allocates whatever length a parameter announces, up to an
 * assertion that fails, which ends a worker. Only who may write to the socket can do either. */
#include "responder/fcgi.h"

#include <fastcgi.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answer_check.h"
#include "fuzz.h"
#include "responder/responder.h"

enum { LARGEST = 1 << 16 };

/* Whole records, and nothing behind the end of the request. */
static void check_records(const unsigned char *p, size_t n)
{
    while (n > 0) {
        MUST(n >= FCGI_HEADER_LEN && p[0] == FCGI_VERSION_1);
        const size_t size = FCGI_HEADER_LEN + ((size_t)p[4] << 8 | p[5]) + p[6];
        MUST(size <= n);
        p += size;
        n -= size;
    }
}

/* Of the leak checker, where there is one. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));
const char *__lsan_default_suppressions(void);

/* What is foreseen below is not looked at, as a leak in every run would have libFuzzer stop
 * looking; this is for the rest of libfcgi's leaks. Nothing of ours is allocated below its
 * functions. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfcgi";
}

struct record {
    unsigned type, id;
    const uint8_t *content;
    size_t size;
};

/* The record at *p, which is moved behind it; false when none is whole. request is the id of the
 * request at hand. */
static bool next_record(const uint8_t **p, const uint8_t *end, unsigned request, struct record *r)
{
    const uint8_t *at = *p;
    if (end - at < FCGI_HEADER_LEN)
        return false;
    *r = (struct record){.type = at[1],
                         .id = (unsigned)at[2] << 8 | at[3],
                         .content = at + FCGI_HEADER_LEN,
                         .size = (size_t)at[4] << 8 | at[5]};
    /* libfcgi forgets the padding of the records that begin a request and end its parameters. */
    const bool unpadded = r->type == FCGI_BEGIN_REQUEST ||
                          (r->type == FCGI_PARAMS && r->size == 0 && r->id == request);
    const size_t padding = unpadded ? 0 : at[6];
    const size_t whole = r->size + padding, left = (size_t)(end - r->content);
    if (r->size > left)
        r->size = left;
    *p = r->content + (whole < left ? whole : left);
    return true;
}

/* A length of one byte or four. Moves past it. */
static size_t take_length(const uint8_t **p, const uint8_t *end)
{
    if (*p == end)
        return 0;
    size_t n = *(*p)++;
    if (n < 0x80)
        return n;
    n &= 0x7f;
    for (int i = 0; i < 3 && *p < end; i++)
        n = n << 8 | *(*p)++;
    return n;
}

static bool announces_too_much(const uint8_t *p, size_t n)
{
    const uint8_t *end = p + n;
    while (p < end) {
        const size_t name = take_length(&p, end), value = take_length(&p, end);
        if (name + value > LARGEST)
            return true;
        if (name + value > (size_t)(end - p))
            return false;
        p += name + value;
    }
    return false;
}

/* What libfcgi would stumble over. */
struct trouble {
    bool leak, length;
};

static struct trouble find_trouble(const uint8_t *data, size_t size)
{
    static uint8_t parameters[LARGEST];
    struct trouble t = {0};
    struct record r;
    size_t n = 0;
    unsigned id = FCGI_NULL_REQUEST_ID;
    for (const uint8_t *p = data; next_record(&p, data + size, id, &r);) {
        const bool management = r.id == FCGI_NULL_REQUEST_ID;
        if (management && r.type == FCGI_GET_VALUES) {
            t.length |= announces_too_much(r.content, r.size);
        } else if (management || (r.type == FCGI_PARAMS && r.id == id)) {
            /* An unknown management record is read as parameters. */
            t.leak |= management;
            memcpy(parameters + n, r.content, r.size);
            n += r.size;
        } else if (r.type == FCGI_BEGIN_REQUEST && id == FCGI_NULL_REQUEST_ID) {
            id = r.id;
        }
    }
    t.length |= announces_too_much(parameters, n);
    return t;
}

static void serve(int fd)
{
    struct fcgi_channel c;
    struct responder *r = fuzz_responder();
    char **parameters = fcgi_open(&c, fd, 1);
    if (parameters == NULL)
        return;
    responder_serve(r, parameters, &c.channel);
    fcgi_close(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    static unsigned char answer[1 << 20];
    int ends[2];
    size_t got = 0;
    if (size > LARGEST)
        return 0;
    const struct trouble trouble = find_trouble(data, size);
    if (trouble.length)
        return 0;
    if (!ready)
        MUST(fcgi_setup() == 0);
    ready = true;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    MUST(write(ends[0], data, size) == (ssize_t)size);
    MUST(shutdown(ends[0], SHUT_WR) == 0);
    const bool leaks = __lsan_disable != NULL && trouble.leak;
    (void)fuzz_responder(); /* what stays is made where leaks are looked for */
    if (leaks)
        __lsan_disable();
    serve(ends[1]);
    if (leaks)
        __lsan_enable();
    for (ssize_t n; got < sizeof answer; got += (size_t)n) {
        n = read(ends[0], answer + got, sizeof answer - got);
        if (n <= 0)
            break;
    }
    MUST(close(ends[0]) == 0);
    check_records(answer, got);
    return 0;
}
