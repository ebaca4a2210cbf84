/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RESPONDER_CHECK_H
#define RESPONDER_CHECK_H

/* What --check-config does: reads the settings and the KEK file and asks the database, and says on
 * standard output what is wrong, a line each. Returns the exit code: 0 when an exchange could be
 * done, else 1. */
int check_config(const char *settings_path);

#endif
