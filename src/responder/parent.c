/* SPDX-License-Identifier: Apache-2.0 */
#include "responder/parent.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/settings.h"
#include "responder/sealer.h"
#include "responder/signals.h"
#include "responder/worker.h"

enum {
    SOUND_MS = 5000, /* a worker that lived as long as this did not die of its start */
    FIRST_DELAY_MS = 100,
    LONGEST_DELAY_MS = 10000
};

/* The place of one worker, or of the sealer. */
struct slot {
    pid_t pid;       /* 0 while there is none */
    int64_t started; /* milliseconds of the monotonic clock, as the next */
    int64_t due;     /* when to start the next one */
    int delay;       /* milliseconds that the next one waits */
};

struct parent {
    struct slot *slots; /* the workers', and behind them the sealer's */
    int workers;
    int listener;
    struct signals signals;
    struct settings settings; /* what a new worker starts with */
    const char *settings_path;
    bool stopping;
};

static int64_t milliseconds_now(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_MONOTONIC, &t) == 0 ? t.tv_sec * 1000 + t.tv_nsec / 1000000 : 0;
}

/* What a worker does. It ends with its parent, even when that is killed: a new parent could not
 * have the socket otherwise. */
static int be_worker(const struct parent *p, pid_t parent)
{
    (void)close(p->signals.fd); /* it makes its own */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
        return 1;
    return worker_run(p->listener, &p->settings, p->settings_path);
}

/* The sealer has no business with requests. */
static int be_sealer(const struct parent *p, pid_t parent)
{
    (void)close(p->signals.fd);
    (void)close(p->listener);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
        return 1;
    return sealer_run(&p->settings, p->settings_path);
}

static bool is_sealer(const struct parent *p, const struct slot *s)
{
    return s == &p->slots[p->workers];
}

static bool is_wanted(const struct parent *p, const struct slot *s)
{
    return !is_sealer(p, s) || p->settings.audit_seal_interval > 0;
}

static void put_off(struct slot *s, int64_t now)
{
    s->delay = s->delay == 0 ? FIRST_DELAY_MS : s->delay * 2;
    if (s->delay > LONGEST_DELAY_MS)
        s->delay = LONGEST_DELAY_MS;
    s->due = now + s->delay;
}

static void start_child(struct parent *p, struct slot *s, int64_t now)
{
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
        const int code = is_sealer(p, s) ? be_sealer(p, parent) : be_worker(p, parent);
        exit(code);
    }
    if (pid < 0) {
        log_error("fork: %s", strerror(errno));
        put_off(s, now);
        return;
    }
    s->pid = pid;
    s->started = now;
}

/* Starts what is due. Returns the milliseconds until the next one is, -1 when none is waited for.
 */
static int start_children(struct parent *p)
{
    const int64_t now = milliseconds_now();
    int64_t wait = -1;
    for (int i = 0; i <= p->workers; i++) {
        struct slot *s = &p->slots[i];
        if (!is_wanted(p, s))
            continue;
        if (s->pid == 0 && s->due <= now)
            start_child(p, s, now);
        if (s->pid == 0 && (wait < 0 || s->due - now < wait))
            wait = s->due - now;
    }
    return (int)wait;
}

static void note_end(struct parent *p, struct slot *s, int status)
{
    const int64_t now = milliseconds_now();
    const pid_t pid = s->pid;
    const char *what = is_sealer(p, s) ? "sealer" : "worker";
    s->pid = 0;
    s->due = now;
    if (p->stopping || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
        s->delay = 0;
        return;
    }
    if (now - s->started < SOUND_MS)
        put_off(s, now);
    else
        s->delay = 0;
    if (WIFSIGNALED(status))
        log_error("%s %ld was killed by signal %d; the next one starts in %d ms", what, (long)pid,
                  WTERMSIG(status), s->delay);
    else
        log_error("%s %ld ended with %d; the next one starts in %d ms", what, (long)pid,
                  WEXITSTATUS(status), s->delay);
}

static void reap(struct parent *p)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (int i = 0; i <= p->workers; i++) {
            if (p->slots[i].pid == pid)
                note_end(p, &p->slots[i], status);
        }
    }
}

static void pass_on(const struct parent *p, int number)
{
    for (int i = 0; i <= p->workers; i++) {
        if (p->slots[i].pid > 0)
            (void)kill(p->slots[i].pid, number); /* one that has just ended needs no signal */
    }
}

static void reload(struct parent *p)
{
    char why[512];
    struct settings fresh;
    if (settings_read(&fresh, p->settings_path, why, sizeof why) == 0) {
        p->settings = fresh;
        /* The names were checked when the settings were read. */
        (void)log_open(fresh.log, fresh.log_level);
    }
    pass_on(p, SIGHUP); /* each worker reads the file itself and says so when it is broken */
}

static bool any_left(const struct parent *p)
{
    for (int i = 0; i <= p->workers; i++) {
        if (p->slots[i].pid > 0)
            return true;
    }
    return false;
}

static void act(struct parent *p)
{
    signals_take(&p->signals);
    if (p->signals.child) {
        p->signals.child = false;
        reap(p);
    }
    if (p->signals.reload) {
        p->signals.reload = false;
        reload(p);
    }
    if (p->signals.stop) {
        p->signals.stop = false;
        p->stopping = true;
        pass_on(p, SIGTERM);
    }
}

static int supervise(struct parent *p)
{
    struct pollfd signal_fd = {.fd = p->signals.fd, .events = POLLIN};
    while (!p->stopping || any_left(p)) {
        const int wait = p->stopping ? -1 : start_children(p);
        if (poll(&signal_fd, 1, wait) < 0 && errno != EINTR) {
            log_error("poll: %s", strerror(errno));
            pass_on(p, SIGTERM);
            return 1;
        }
        act(p);
    }
    return 0;
}

int parent_run(int listener, int count, const struct settings *settings, const char *settings_path)
{
    struct parent p = {.workers = count,
                       .listener = listener,
                       .settings = *settings,
                       .settings_path = settings_path};
    if (signals_open(&p.signals) != 0) {
        log_error("signals: %s", strerror(errno));
        return 1;
    }
    p.slots = calloc((size_t)count + 1, sizeof *p.slots);
    int result = 1;
    if (p.slots != NULL)
        result = supervise(&p);
    else
        log_error("out of memory");
    free(p.slots);
    (void)close(p.signals.fd); /* holds nothing */
    return result;
}
