/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/secret.h"
#include "keystore/clock.h"

enum { WORDS_SIZE = 200, SCRAP_SIZE = 512 };

struct child {
    pid_t pid;
    int out, err;           /* reading ends; -1 once at their end */
    char words[WORDS_SIZE]; /* the beginning of what it wrote to standard error */
    size_t words_length;
    size_t length; /* of the output */
};

/* In the child: nothing of the parent's stays open, no signal stays blocked or ignored. */
static int become(int out, int err)
{
    sigset_t none;
    const int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(err, STDERR_FILENO) < 0 || close_range(STDERR_FILENO + 1, UINT_MAX, 0) != 0)
        return -1;
    if (sigemptyset(&none) != 0 || signal(SIGPIPE, SIG_DFL) == SIG_ERR ||
        signal(SIGCHLD, SIG_DFL) == SIG_ERR || sigprocmask(SIG_SETMASK, &none, NULL) != 0)
        return -1;
    return setpgid(0, 0) == 0 && chdir("/") == 0 ? 0 : -1;
}

static void close_pipe(const int ends[2])
{
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0)
            (void)close(ends[i]); /* holds nothing */
    }
}

static int start(struct child *c, int (*work)(void *), void *context)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1};
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) {
        close_pipe(out);
        return -1;
    }
    c->pid = fork();
    if (c->pid == 0) {
        /* Both ends lie above the first three, or become() would mix them up. */
        if (out[1] <= STDERR_FILENO || err[1] <= STDERR_FILENO || become(out[1], err[1]) != 0)
            _exit(126);
        _exit(work(context));
    }
    if (c->pid < 0) {
        close_pipe(out);
        close_pipe(err);
        return -1;
    }
    (void)setpgid(c->pid, c->pid); /* the child does it too: whoever comes first */
    (void)close(out[1]);
    (void)close(err[1]);
    c->out = out[0];
    c->err = err[0];
    return 0;
}

/* Takes what a pipe has. What does not fit is read and forgotten. */
static void take(int *fd, char *to, size_t size, size_t *length)
{
    char scrap[SCRAP_SIZE];
    const size_t room = size - *length;
    const ssize_t n = room > 0 ? read(*fd, to + *length, room) : read(*fd, scrap, sizeof scrap);
    if (room == 0)
        secret_wipe(scrap, sizeof scrap);
    if (n < 0 && errno == EINTR)
        return;
    if (n <= 0) {
        (void)close(*fd);
        *fd = -1;
    } else if (room > 0) {
        *length += (size_t)n;
    }
}

/* Returns false when the time is over. */
static bool take_all(struct child *c, int64_t deadline, char *out, size_t size)
{
    while (c->out >= 0 || c->err >= 0) {
        struct pollfd p[] = {{.fd = c->out, .events = POLLIN}, {.fd = c->err, .events = POLLIN}};
        const int64_t left = deadline - clock_ms();
        if (left <= 0)
            return false;
        if (poll(p, 2, (int)left) <= 0)
            continue;
        if (p[0].revents != 0)
            take(&c->out, out, size, &c->length);
        if (p[1].revents != 0)
            take(&c->err, c->words, sizeof c->words - 1, &c->words_length);
    }
    return true;
}

/* Whoever has closed its output may still be running. Returns false when the time is over. */
static bool ends_by(const struct child *c, int64_t deadline)
{
    struct pollfd p = {.fd = pidfd_open(c->pid, 0), .events = POLLIN};
    int ready = 0;
    while (p.fd >= 0 && ready <= 0) {
        const int64_t left = deadline - clock_ms();
        if (left <= 0)
            break;
        ready = poll(&p, 1, (int)left);
    }
    if (p.fd >= 0)
        (void)close(p.fd); /* holds nothing */
    return ready > 0;
}

/* The exit status as waitpid() gives it; -1 when it cannot be had. */
static int end(struct child *c, bool in_time)
{
    int status = -1;
    pid_t got;
    if (!in_time)
        (void)kill(-c->pid, SIGKILL); /* may have ended by itself in this moment */
    if (c->out >= 0)
        (void)close(c->out);
    if (c->err >= 0)
        (void)close(c->err);
    do {
        got = waitpid(c->pid, &status, 0);
    } while (got < 0 && errno == EINTR);
    return got == c->pid ? status : -1;
}

/* Says why the output is not to be used; returns 0 when it is. */
static int judge(const struct child *c, bool in_time, int status, char *why, size_t why_size)
{
    const int words = (int)strcspn(c->words, "\r\n");
    if (!in_time)
        (void)snprintf(why, why_size, "did not end within %d s", CHILD_TIMEOUT_MS / 1000);
    else if (status == -1)
        (void)snprintf(why, why_size, "its exit code is not known");
    else if (WIFSIGNALED(status))
        (void)snprintf(why, why_size, "was ended by signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        (void)snprintf(why, why_size, "exit code %d%s%.*s", WEXITSTATUS(status),
                       words > 0 ? ": " : "", words, c->words);
    return in_time && status == 0 ? 0 : -1;
}

int64_t child_read(int (*work)(void *context), void *context, char *out, size_t size, char *why,
                   size_t why_size)
{
    struct child c = {.out = -1, .err = -1};
    struct sigaction before;
    const struct sigaction initial = {.sa_handler = SIG_DFL};
    /* A program that starts this one may have left SIGCHLD ignored, and then no child could be
     * waited for. */
    if (sigaction(SIGCHLD, &initial, &before) != 0 || start(&c, work, context) != 0) {
        (void)snprintf(why, why_size, "could not be started: %s", strerror(errno));
        return -1;
    }
    const int64_t deadline = clock_ms() + CHILD_TIMEOUT_MS;
    const bool in_time = take_all(&c, deadline, out, size) && ends_by(&c, deadline);
    const int status = end(&c, in_time);
    (void)sigaction(SIGCHLD, &before, NULL); /* what was in force a moment ago */
    if (judge(&c, in_time, status, why, why_size) == 0)
        return (int64_t)c.length;
    secret_wipe(out, c.length);
    return -1;
}
