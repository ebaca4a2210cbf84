/* SPDX-License-Identifier: Apache-2.0 */
/* Where a request went: its path, and the URL under which the program is reached. */
#ifndef RESPONDER_LOCATION_H
#define RESPONDER_LOCATION_H

#include <stddef.h>

enum { LOCATION_PATH_SIZE = 2048, LOCATION_URL_SIZE = 4 * LOCATION_PATH_SIZE };

struct failure;
struct request;

/* Writes the path of the request: REQUEST_URI without its query and percent-decoded once, or, when
 * that is absent or no path, SCRIPT_NAME and PATH_INFO, which the web server has decoded.
 *
 * Two programs that read one path differently are how a request gets to where it was not
 * authorised. So a path over which they could differ is refused with 400 and never tidied up: one
 * with an empty segment but the last ("//"), a segment "." or "..", an encoded slash, a backslash,
 * a control character, or a percent sign without two digits. Too long is 414. */
int location_path(const struct request *q, char out[static LOCATION_PATH_SIZE], struct failure *f);

/* Reads a parameter of the query, percent-decoded, with "+" for a blank, into out; *value is out,
 * or NULL when the query does not have it. Returns 0, or -1 with 400 when it does not decode, holds
 * a control character or is longer than size - 1 bytes. */
int location_parameter(const struct request *q, const char *name, char *out, size_t size,
                       const char **value, struct failure *f);

/* Writes "scheme://host" and the first mount bytes of the path, without a slash at the end. The
 * host is the client's Host header when it looks like one, else the server's own name. */
void location_base(const struct request *q, const char *path, size_t mount,
                   char out[static LOCATION_URL_SIZE]);

#endif
