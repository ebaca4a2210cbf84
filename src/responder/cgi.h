/* SPDX-License-Identifier: Apache-2.0 */
/* Plain CGI (RFC 3875): one process a request, the body on standard input. */
#ifndef RESPONDER_CGI_H
#define RESPONDER_CGI_H

/* Answers the request of this process's environment with the settings at path. Returns the exit
 * code: 0 when an answer was given, whatever its status. */
int cgi_run(const char *settings_path);

#endif
