/* SPDX-License-Identifier: Apache-2.0 */
#include "responder/fcgi.h"

#include <errno.h>
#include <fastcgi.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "responder/io.h"

enum {
    RECORD_MAX = 65528,   /* content of a record: a multiple of 8 needs no padding */
    RECORDS_AT_ONCE = 16, /* gathered into one write */
    DRAIN_SECONDS = 2,    /* what may be spent on a body that nobody wants */
    /* What spills() tells of: an answer up to AT_ONCE with lighttpd's header is below 60 KiB, and
     * 60 KiB and two pieces more are below 64 KiB. */
    AT_ONCE = 56 * 1024,
    PIECE = 2032
};

/* Records on their way to the peer. */
struct batch {
    int fd;
    int id;
    size_t count;
    FCGI_Header headers[RECORDS_AT_ONCE];
    struct iovec pieces[2 * RECORDS_AT_ONCE + 1]; /* header and content; the end of the request */
};

int fcgi_setup(void)
{
    return FCGX_Init() == 0 ? 0 : -1;
}

static struct fcgi_channel *fcgi_of(struct channel *c)
{
    return (struct fcgi_channel *)c; /* its first member */
}

static FCGI_Header header(int type, int id, size_t length)
{
    return (FCGI_Header){
        .version = FCGI_VERSION_1,
        .type = (unsigned char)type,
        .requestIdB1 = (unsigned char)(id >> 8),
        .requestIdB0 = (unsigned char)id,
        .contentLengthB1 = (unsigned char)(length >> 8),
        .contentLengthB0 = (unsigned char)length,
    };
}

static int flush(struct batch *b, size_t pieces)
{
    const int result = io_write_all(b->fd, b->pieces, (int)pieces);
    b->count = 0;
    return result;
}

static int put_content(struct batch *b, const void *bytes, size_t size)
{
    const unsigned char *p = bytes;
    while (size > 0) {
        const size_t n = size < RECORD_MAX ? size : RECORD_MAX;
        if (b->count == RECORDS_AT_ONCE && flush(b, 2 * b->count) != 0)
            return -1;
        b->headers[b->count] = header(FCGI_STDOUT, b->id, n);
        b->pieces[2 * b->count] = io_piece(&b->headers[b->count], FCGI_HEADER_LEN);
        b->pieces[2 * b->count + 1] = io_piece(p, n);
        b->count++;
        p += n;
        size -= n;
    }
    return 0;
}

/* The end of the output stream and of the request, after whatever is in the batch. */
static int put_end(struct batch *b, int protocol_status)
{
    struct {
        FCGI_Header output_end;
        FCGI_EndRequestRecord request_end;
    } end = {
        .output_end = header(FCGI_STDOUT, b->id, 0),
        .request_end = {.header = header(FCGI_END_REQUEST, b->id, sizeof(FCGI_EndRequestBody)),
                        .body = {.protocolStatus = (unsigned char)protocol_status}},
    };
    b->pieces[2 * b->count] = io_piece(&end, sizeof end);
    return flush(b, 2 * b->count + 1);
}

/* lighttpd 1.4.69 writes an answer to a temporary file as soon as it holds more than 64 KiB of it,
 * which it can even for a fast client: with server.stream-response-body = 2 it stops reading at
 * 60 KiB, but a record that was read in part does not count until it is whole. So what goes beyond
 * AT_ONCE is sent in records so small, the next one only after the last one was read, that this
 * cannot happen. Apache keeps answers in memory. */
static bool spills(const FCGX_Request *request, size_t size)
{
    int domain = AF_UNSPEC;
    socklen_t length = sizeof domain;
    const char *server = FCGX_GetParam("SERVER_SOFTWARE", request->envp);
    return size > AT_ONCE && (server == NULL || strncmp(server, "Apache", 6) != 0) &&
           getsockopt(request->ipcFd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 &&
           domain == AF_UNIX;
}

/* Waits until the socket can be written to. Returns 0, or -1 with errno. */
static int wait_writable(int fd, long timeout)
{
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    int ready;
    do {
        ready = poll(&writable, 1, (int)(timeout * 1000));
    } while (ready < 0 && errno == EINTR);
    if (ready == 0)
        errno = ETIMEDOUT;
    return ready > 0 ? 0 : -1;
}

/* With the smallest send buffer a Unix socket can be written to again when all was read. */
static int send_in_pieces(struct batch *b, const unsigned char *p, size_t size, long timeout)
{
    const int smallest = 1;
    if (flush(b, 2 * b->count) != 0 ||
        setsockopt(b->fd, SOL_SOCKET, SO_SNDBUF, &smallest, sizeof smallest) != 0)
        return -1;
    for (size_t n; size > 0; p += n, size -= n) {
        n = size < PIECE ? size : PIECE;
        if (wait_writable(b->fd, timeout) != 0 || put_content(b, p, n) != 0 ||
            flush(b, 2 * b->count) != 0)
            return -1;
    }
    return 0;
}

static int fcgi_send(struct channel *c, const void *head, size_t head_size, const void *body,
                     size_t body_size)
{
    const FCGX_Request *request = &fcgi_of(c)->request;
    const unsigned char *bytes = body;
    struct batch b = {.fd = request->ipcFd, .id = request->requestId};
    const size_t at_once = spills(request, body_size) ? AT_ONCE : body_size;
    if (put_content(&b, head, head_size) != 0 || put_content(&b, bytes, at_once) != 0)
        return -1;
    if (at_once < body_size &&
        send_in_pieces(&b, bytes + at_once, body_size - at_once, fcgi_of(c)->timeout) != 0)
        return -1;
    return put_end(&b, FCGI_REQUEST_COMPLETE);
}

/* libfcgi would gather n bytes before it returns. This takes what is there, so that the caller can
 * look at the clock: FCGX_GetChar() waits for one read at most. */
static ssize_t fcgi_read(struct channel *c, void *out, size_t n)
{
    FCGX_Stream *in = fcgi_of(c)->request.in;
    unsigned char *bytes = out;
    const int first = FCGX_GetChar(in);
    if (first == EOF) {
        const int error = FCGX_GetError(in);
        if (error == 0)
            return 0;
        errno = error == EAGAIN ? ETIMEDOUT : error > 0 ? error : EPROTO;
        return -1;
    }
    bytes[0] = (unsigned char)first;
    size_t more = (size_t)(in->stop - in->rdNext);
    if (more > n - 1)
        more = n - 1;
    return 1 + FCGX_GetStr((char *)bytes + 1, (int)more, in);
}

static int set_timeouts(int fd, long seconds)
{
    const struct timeval t = {.tv_sec = seconds};
    return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t) == 0 &&
                   setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t) == 0
               ? 0
               : -1;
}

char **fcgi_open(struct fcgi_channel *c, int fd, long timeout)
{
    *c = (struct fcgi_channel){.channel = {.read = fcgi_read, .send = fcgi_send},
                               .timeout = timeout};
    if (set_timeouts(fd, timeout) != 0) {
        (void)close(fd); /* nothing was exchanged that could be lost */
        return NULL;
    }
    (void)FCGX_InitRequest(&c->request, -1, 0); /* always 0 */
    /* A connection that is "kept" and has no request yet is read from without an accept; one that
     * is "detached" is closed after an error without waiting for the peer. The listening socket -1
     * makes libfcgi give up then rather than accept the next one. */
    c->request.ipcFd = fd;
    c->request.keepConnection = 1;
    c->request.detached = 1;
    if (FCGX_Accept_r(&c->request) != 0)
        return NULL;
    /* libfcgi takes the end of the connection amid the parameters for their end. */
    if (FCGX_GetError(c->request.in) != 0) {
        log_notice("a FastCGI connection broke off amid its parameters");
        fcgi_close(c);
        return NULL;
    }
    if (c->request.role != FCGI_RESPONDER) {
        struct batch b = {.fd = fd, .id = c->request.requestId};
        (void)put_end(&b, FCGI_UNKNOWN_ROLE); /* the connection is closed either way */
        fcgi_close(c);
        return NULL;
    }
    return c->request.envp;
}

/* Closing a socket with bytes unread would break the connection under the answer that is on its
 * way, so the rest of a body that was refused is read, as far as it comes soon. */
static void drain(struct fcgi_channel *c)
{
    unsigned char scrap[4096];
    struct timespec start;
    struct timespec now;
    if (FCGX_GetError(c->request.in) != 0 || set_timeouts(c->request.ipcFd, DRAIN_SECONDS) != 0 ||
        clock_gettime(CLOCK_MONOTONIC, &start) != 0)
        return;
    do {
        if (fcgi_read(&c->channel, scrap, sizeof scrap) <= 0)
            return;
    } while (clock_gettime(CLOCK_MONOTONIC, &now) == 0 &&
             now.tv_sec - start.tv_sec < DRAIN_SECONDS);
}

void fcgi_close(struct fcgi_channel *c)
{
    const int fd = c->request.ipcFd;
    if (FCGX_HasSeenEOF(c->request.in) == 0)
        drain(c);
    /* lighttpd passes on the Authorization header, which holds a password with Basic. */
    for (char **p = c->request.envp; p != NULL && *p != NULL; p++)
        secret_wipe(*p, strlen(*p));
    FCGX_Free(&c->request, 0);
    (void)close(fd); /* the answer is sent or lost by now */
}
