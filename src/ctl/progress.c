/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/ctl.h"

enum { BAR = 30, TERMINAL_MS = 100, PLAIN_MS = 5000, MS = 1000, PERCENT = 100 };

static int64_t now_ms(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_MONOTONIC, &t) == 0 ? t.tv_sec * MS + t.tv_nsec / 1000000 : 0;
}

void progress_begin(struct progress *p, const struct ctl *ctl, const char *what, long long total)
{
    *p = (struct progress){.what = what,
                           .total = total,
                           .started = now_ms(),
                           .quiet = ctl->quiet,
                           .terminal = isatty(STDERR_FILENO) == 1};
    p->shown = p->started;
}

/* A total that was counted at the beginning may be passed: keys are made meanwhile. */
static long long share(const struct progress *p, long long done, long long of)
{
    if (p->total <= 0)
        return 0;
    return done < p->total ? done * of / p->total : of;
}

static void draw(struct progress *p, int64_t now, long long done)
{
    char bar[BAR + 1];
    const int64_t elapsed = now > p->started ? now - p->started : 1;
    const long long rate = done * MS / elapsed;
    const size_t filled = (size_t)share(p, done, BAR);
    memset(bar, '-', BAR);
    memset(bar, '#', filled);
    bar[BAR] = '\0';
    if (p->terminal && p->total > 0)
        (void)fprintf(stderr, "\r\033[K[%s] %3lld%% ", bar, share(p, done, PERCENT));
    else if (p->terminal)
        (void)fprintf(stderr, "\r\033[K");
    if (p->total > 0)
        (void)fprintf(stderr, "%lld of %lld %s, %lld/s", done, p->total, p->what, rate);
    else
        (void)fprintf(stderr, "%lld %s, %lld/s", done, p->what, rate);
    if (!p->terminal)
        (void)fputc('\n', stderr);
    (void)fflush(stderr); /* nobody to complain to about stderr */
    p->shown = now;
    p->drawn = true;
}

void progress_show(struct progress *p, long long done)
{
    const int64_t now = now_ms();
    if (!p->quiet && now - p->shown >= (p->terminal ? TERMINAL_MS : PLAIN_MS))
        draw(p, now, done);
}

/* What is over at once needs no line of its own where none was drawn before. */
void progress_end(struct progress *p, long long done)
{
    if (p->quiet || !p->drawn)
        return;
    draw(p, now_ms(), done);
    if (p->terminal)
        (void)fputc('\n', stderr);
}
