/* SPDX-License-Identifier: Apache-2.0 */
#include "responder/worker.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/failure.h"
#include "base/log.h"
#include "base/settings.h"
#include "responder/fcgi.h"
#include "responder/responder.h"
#include "responder/signals.h"

enum {
    /* A web server connects when it has something to say; who says nothing is a port scanner or a
     * web server that gave up. */
    FIRST_BYTE_MS = 2000,
    FIRST_BYTE_STOPPING_MS = 200,
    /* After an accept() that failed for want of descriptors or memory. */
    PAUSE_MS = 100
};

struct worker {
    struct responder responder;
    struct signals signals;
    const char *settings_path;
    int listener;
    int events; /* epoll: the listener and the signals */
    long answered;
};

static int watch(int events, int fd, uint32_t flags)
{
    struct epoll_event event = {.events = EPOLLIN | flags, .data = {.fd = fd}};
    return epoll_ctl(events, EPOLL_CTL_ADD, fd, &event);
}

/* EPOLLEXCLUSIVE wakes one idle worker for a connection, not all of them. */
static int worker_open(struct worker *w, const struct settings *settings)
{
    struct failure f = {0};
    if (fcgi_setup() != 0 || signals_open(&w->signals) != 0) {
        log_error("signals: %s", strerror(errno));
        return -1;
    }
    w->events = epoll_create1(EPOLL_CLOEXEC);
    if (w->events < 0 || watch(w->events, w->signals.fd, 0) != 0 ||
        watch(w->events, w->listener, EPOLLEXCLUSIVE) != 0) {
        log_error("epoll: %s", strerror(errno));
        return -1;
    }
    if (responder_open(&w->responder, settings, &f) != 0) {
        log_error("not started: %s", f.cause);
        return -1;
    }
    return 0;
}

static void worker_close(struct worker *w)
{
    responder_close(&w->responder);
    if (w->events >= 0)
        (void)close(w->events); /* holds nothing */
    if (w->signals.fd >= 0)
        (void)close(w->signals.fd);
}

/* Acts on the signals that have arrived. Returns false when the worker is to end. */
static bool heed_signals(struct worker *w)
{
    if (w->signals.reload && !w->signals.stop) {
        w->signals.reload = false;
        responder_reload(&w->responder, w->settings_path);
    }
    return !w->signals.stop;
}

/* Waits for a connection or a signal. Returns true when there may be a connection and no signal
 * that goes before it; the connection waits meanwhile. */
static bool wait_for_work(struct worker *w)
{
    struct epoll_event ready[2];
    bool connection = false;
    const int n = epoll_wait(w->events, ready, 2, -1);
    for (int i = 0; i < n; i++) {
        if (ready[i].data.fd == w->signals.fd)
            signals_take(&w->signals);
        else
            connection = true;
    }
    return connection && !w->signals.stop && !w->signals.reload;
}

/* Another worker may have been faster, or the peer gone again: none of it is a fault. Returns a
 * descriptor, -1 when there is none now, -2 when there never will be. */
static int accept_connection(const struct worker *w)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    const int fd = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        return fd;
    switch (errno) {
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
    case EOPNOTSUPP:
        log_error("accept: %s", strerror(errno));
        return -2;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        log_error("accept: %s", strerror(errno));
        (void)nanosleep(&pause, NULL); /* signals are blocked; a shorter pause would do too */
        return -1;
    default:
        return -1;
    }
}

/* Waits for a connection's first bytes, for a shorter time once the worker is to end. */
static bool has_request(struct worker *w, int fd)
{
    struct pollfd either[] = {
        {.fd = fd, .events = POLLIN},
        {.fd = w->signals.fd, .events = POLLIN},
    };
    for (;;) {
        const bool stopping = w->signals.stop;
        /* Once it is to end there is no more to learn from signals. */
        const int n = poll(either, stopping ? 1 : 2,
                           stopping ? FIRST_BYTE_STOPPING_MS : FIRST_BYTE_MS);
        if (n <= 0)
            return false;
        if (either[0].revents != 0)
            return true;
        signals_take(&w->signals);
    }
}

static void serve_connection(struct worker *w, int fd)
{
    struct fcgi_channel channel;
    if (!has_request(w, fd)) {
        (void)close(fd); /* nobody waits for anything on it */
        return;
    }
    char **parameters = fcgi_open(&channel, fd, w->responder.settings->body_timeout);
    if (parameters == NULL)
        return;
    responder_serve(&w->responder, parameters, &channel.channel);
    fcgi_close(&channel);
    w->answered++;
}

static bool is_worn(const struct worker *w)
{
    const long most = w->responder.settings->max_requests;
    return most > 0 && w->answered >= most;
}

int worker_run(int listener, const struct settings *settings, const char *settings_path)
{
    struct worker w = {
        .settings_path = settings_path, .listener = listener, .events = -1, .signals = {.fd = -1}};
    int result = worker_open(&w, settings) == 0 ? 0 : 1;
    while (result == 0 && !is_worn(&w) && heed_signals(&w)) {
        if (!wait_for_work(&w))
            continue;
        const int fd = accept_connection(&w);
        if (fd >= 0)
            serve_connection(&w, fd);
        else if (fd == -2)
            result = 1;
    }
    worker_close(&w);
    return result;
}
