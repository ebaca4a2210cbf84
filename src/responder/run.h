/* SPDX-License-Identifier: Apache-2.0 */
/* Finds out how the program was started, and runs it that way. */
#ifndef RESPONDER_RUN_H
#define RESPONDER_RUN_H

#include <stdbool.h>

/* What the command line says. */
struct options {
    const char *config;       /* settings file; NULL for the usual one */
    const char *listen;       /* where to listen, standing alone; NULL when it does not */
    const char *socket_group; /* of the Unix socket; NULL for the process's own */
    const char *pid_file;     /* NULL for none */
    int workers;              /* 0 when it was not given */
};

/* Whether a web server runs this process for one request as a CGI program. */
bool run_is_cgi(void);
/* Answers that request. Returns the exit code. */
int run_cgi(void);
/* Runs until it is told to end: standing alone when there is an address to listen on, else with the
 * socket that systemd or whoever started it left open. Returns the exit code: 0; 1 when something
 * is wrong, which is in the log; 2 when the process was started in none of these ways. */
int run(const struct options *options);

#endif
