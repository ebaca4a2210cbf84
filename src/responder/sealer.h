/* SPDX-License-Identifier: Apache-2.0 */
/* The process that seals the audit now and then, so that no request has to. */
#ifndef RESPONDER_SEALER_H
#define RESPONDER_SEALER_H

struct settings;

/* Seals what was committed since the last time, every audit_seal_interval seconds, until SIGTERM
 * comes, or SIGHUP with settings that want none. A database that is away is asked again the next
 * time; the log says so once. Holds no KEK and no socket but the database's. Returns the exit
 * code. */
int sealer_run(const struct settings *settings, const char *settings_path);

#endif
