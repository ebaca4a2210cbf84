/* SPDX-License-Identifier: Apache-2.0 */
#include "responder/cgi.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/failure.h"
#include "base/log.h"
#include "base/settings.h"
#include "responder/answer.h"
#include "responder/channel.h"
#include "responder/io.h"
#include "responder/responder.h"

struct cgi_channel {
    struct channel channel;
    unsigned timeout; /* seconds */
};

static struct cgi_channel *cgi_of(struct channel *c)
{
    return (struct cgi_channel *)c; /* its first member */
}

static ssize_t cgi_read(struct channel *c, void *out, size_t n)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    const int ready = poll(&input, 1, (int)cgi_of(c)->timeout * 1000);
    if (ready == 0)
        errno = ETIMEDOUT;
    return ready <= 0 ? -1 : read(STDIN_FILENO, out, n);
}

/* The process ends with its answer anyway, so a web server that does not take it is left by
 * SIGALRM, whose default is to end the process. */
static int cgi_send(struct channel *c, const void *head, size_t head_size, const void *body,
                    size_t body_size)
{
    struct iovec pieces[] = {io_piece(head, head_size), io_piece(body, body_size)};
    (void)alarm(cgi_of(c)->timeout); /* returns what was left of an alarm before; there was none */
    return io_write_all(STDOUT_FILENO, pieces, 2);
}

/* Apache's mod_cgid talks to the program over one socket for both directions, and to end with a
 * part of the body unread would reset it: Apache would cut the answer short. So no more is taken,
 * and what has come is thrown away, with the alarm of cgi_send() against a client that never ends.
 * On a pipe, which has no such trouble, shutdown() just fails. */
static void discard_input(void)
{
    char rest[4096];
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    (void)shutdown(STDIN_FILENO, SHUT_RD);
    while (poll(&input, 1, 0) > 0 && read(STDIN_FILENO, rest, sizeof rest) > 0)
        ;
}

/* The client learns that it is not its fault; the log, why. */
static int refuse(struct channel *c, const struct failure *f)
{
    const struct answer answer = {.failure = *f};
    struct buf head;
    size_t size;
    const void *body = answer_body(&answer, &size);
    log_error("%s: %s", f->text, f->cause);
    buf_init(&head, ANSWER_HEAD_MAX);
    answer_head(&answer, "", &head);
    const int sent = buf_ok(&head) ? c->send(c, head.data, head.len, body, size) : -1;
    buf_free(&head);
    return sent == 0 ? 0 : 1;
}

static int serve(const struct settings *settings, struct channel *c)
{
    struct responder r;
    struct failure f = {0};
    int result = 0;
    if (responder_open(&r, settings, &f) == 0)
        responder_serve(&r, environ, c);
    else
        result = refuse(c, &f);
    responder_close(&r);
    return result;
}

int cgi_run(const char *settings_path)
{
    struct cgi_channel c = {
        .channel = {.read = cgi_read, .send = cgi_send, .needs_length = true},
    };
    struct settings settings;
    struct failure f = {0};
    char why[512];
    const int got = settings_read(&settings, settings_path, why, sizeof why);
    if (got != 0) {
        settings_defaults(&settings);
        (void)fail_internal(&f, "%s", why);
    }
    c.timeout = (unsigned)settings.body_timeout;
    /* The names were checked when the settings were read. */
    (void)log_open(settings.log, settings.log_level);
    int result = got == 0 ? serve(&settings, &c.channel) : refuse(&c.channel, &f);
    discard_input();
    return result;
}
