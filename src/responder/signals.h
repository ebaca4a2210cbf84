/* SPDX-License-Identifier: Apache-2.0 */
/* Signals as something to wait for next to sockets. They are blocked for good and read from a
 * descriptor: a handler would be a race, and a mask that ppoll() lifts while it waits does not let
 * a signal in as long as there is always a connection to accept. */
#ifndef RESPONDER_SIGNALS_H
#define RESPONDER_SIGNALS_H

#include <stdbool.h>

/* What was asked for; each stays true until its reader takes it back. */
struct signals {
    int fd;      /* readable when there is something to take */
    bool stop;   /* SIGTERM, SIGINT, SIGUSR1 (a graceful end in FastCGI): end when it can be done */
    bool reload; /* SIGHUP: read the settings again */
    bool child;  /* SIGCHLD: a child ended */
};

/* Blocks the signals and opens the descriptor; ignores SIGPIPE. Once in a process, so again after
 * fork(). Returns 0, or -1 with errno. */
int signals_open(struct signals *s);
/* Adds what has arrived since. */
void signals_take(struct signals *s);

#endif
