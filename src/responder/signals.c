/* SPDX-License-Identifier: Apache-2.0 */
#include "responder/signals.h"

#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

int signals_open(struct signals *s)
{
    sigset_t set;
    *s = (struct signals){.fd = -1};
    /* A program that starts this one may have left SIGCHLD ignored, and then no child could be
     * waited for. */
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || signal(SIGCHLD, SIG_DFL) == SIG_ERR)
        return -1;
    if (sigemptyset(&set) != 0 || sigaddset(&set, SIGTERM) != 0 || sigaddset(&set, SIGINT) != 0 ||
        sigaddset(&set, SIGUSR1) != 0 || sigaddset(&set, SIGHUP) != 0 ||
        sigaddset(&set, SIGCHLD) != 0 || sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return -1;
    s->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return s->fd < 0 ? -1 : 0;
}

void signals_take(struct signals *s)
{
    struct signalfd_siginfo info;
    while (read(s->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP)
            s->reload = true;
        else if (info.ssi_signo == SIGCHLD)
            s->child = true;
        else
            s->stop = true;
    }
}
