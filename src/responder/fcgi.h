/* SPDX-License-Identifier: Apache-2.0 */
/* One FastCGI connection: what is dangerous in libfcgi is kept in here.
 *
 * libfcgi reads the records of a request. It does not accept the connection (it would wait there
 * and be deaf to SIGTERM) and it does not send the answer: it would copy it through a buffer of
 * 8 KiB that it frees without wiping, one system call each time. */
#ifndef RESPONDER_FCGI_H
#define RESPONDER_FCGI_H

#include <fcgiapp.h>

#include "responder/channel.h"

struct fcgi_channel {
    struct channel channel;
    FCGX_Request request;
    long timeout; /* seconds */
};

/* Once in a process. Replaces the handlers of SIGPIPE, SIGTERM and SIGUSR1. Returns 0 or -1. */
int fcgi_setup(void);
/* Reads the parameters of a request from a connected socket, each wait taking at most timeout
 * seconds. Returns them as "NAME=value" texts that end with NULL and live until fcgi_close(); or
 * NULL when the peer broke off, sent no request or asked for another role than responder. The
 * descriptor is closed in that case and belongs to *c otherwise. */
char **fcgi_open(struct fcgi_channel *c, int fd, long timeout);
/* Wipes and frees the request and closes the connection, even one that the peer asked to keep: a
 * kept connection holds the worker, so that a web server that keeps more of them than there are
 * workers (Apache's enablereuse=on, one pool a child process) would wait for itself. */
void fcgi_close(struct fcgi_channel *c);

#endif
