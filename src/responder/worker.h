/* SPDX-License-Identifier: Apache-2.0 */
/* A process that answers FastCGI requests, one after the other. */
#ifndef RESPONDER_WORKER_H
#define RESPONDER_WORKER_H

struct settings;

/* Accepts on a non-blocking listening socket and answers until SIGTERM comes (at once when idle,
 * after the request at hand when busy) or max_requests were answered. SIGHUP reads the settings
 * again from settings_path between two requests. Returns the exit code: 0, or 1 when the process
 * could not be made ready or the socket is of no use. */
int worker_run(int listener, const struct settings *settings, const char *settings_path);

#endif
