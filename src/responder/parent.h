/* SPDX-License-Identifier: Apache-2.0 */
/* The process that keeps a number of workers alive. It opens no database and reads no KEK. */
#ifndef RESPONDER_PARENT_H
#define RESPONDER_PARENT_H

struct settings;

enum { PARENT_WORKERS = 4, PARENT_WORKERS_MAX = 1024 };

/* Runs count workers on a listening socket, and a sealer of the audit when audit_seal_interval
 * wants one. One that ends is replaced: at once when it ended as it
 * should, later and later when it dies soon after its start. SIGTERM is passed on and ends the
 * parent when all workers are gone; SIGHUP reads the settings again, for new workers, and is
 * passed on. Returns the exit code. */
int parent_run(int listener, int count, const struct settings *settings, const char *settings_path);

#endif
