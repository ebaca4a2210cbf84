/* SPDX-License-Identifier: Apache-2.0 */
#include "responder/cgi.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
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

int cgi_run(const char *settings_path)
{
    struct cgi_channel c = {
        .channel = {.read = cgi_read, .send = cgi_send, .needs_length = true},
    };
    struct responder r;
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
    if (got != 0)
        return refuse(&c.channel, &f);
    int result = 0;
    if (responder_open(&r, &settings, &f) == 0)
        responder_serve(&r, environ, &c.channel);
    else
        result = refuse(&c.channel, &f);
    responder_close(&r);
    return result;
}
