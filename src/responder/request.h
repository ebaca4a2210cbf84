/* SPDX-License-Identifier: Apache-2.0 */
/* What the responder reads of a request's meta-variables (RFC 3875 section 4.1), and the body. */
#ifndef RESPONDER_REQUEST_H
#define RESPONDER_REQUEST_H

#include <stddef.h>

struct buf;
struct channel;
struct failure;
struct settings;

/* Values point into the parameters that were given; NULL means that one was absent. Authorization
 * is for the player's door alone: of packagers the web server says who they are. */
struct request {
    const char *method;        /* REQUEST_METHOD; "" when absent */
    const char *uri;           /* REQUEST_URI */
    const char *script_name;   /* SCRIPT_NAME */
    const char *path_info;     /* PATH_INFO */
    const char *length;        /* CONTENT_LENGTH */
    const char *remote_user;   /* REMOTE_USER */
    const char *remote_addr;   /* REMOTE_ADDR */
    const char *speke_version; /* HTTP_X_SPEKE_VERSION; "" when the header was there and empty */
    const char *https;         /* HTTPS */
    const char *scheme;        /* REQUEST_SCHEME */
    const char *host;          /* HTTP_HOST */
    const char *server_name;   /* SERVER_NAME */
    const char *server_port;   /* SERVER_PORT */
    const char *door;          /* SPEKE_DOOR, which no client can set: its headers are HTTP_... */
    const char *query;         /* QUERY_STRING */
    const char *authorization; /* HTTP_AUTHORIZATION */
    const char *cookie;        /* HTTP_COOKIE */
    const char *origin;        /* HTTP_ORIGIN */
    const char *device;        /* HTTP_X_SPEKE_DEVICE */
};

/* Picks the members out of "NAME=value" texts that end with NULL; the first of a name counts. */
void request_read(struct request *q, char *const *parameters);

/* Reads the whole body of at most max bytes into an empty buffer, whose own maximum must be larger.
 * Returns 0, or -1 with the failure set: 400 for a CONTENT_LENGTH that is no number and for a body
 * that is shorter or longer than it, 408 for one that stands still or trickles, 411 when a length
 * is needed and absent, 413 above max, in which case as little as possible was read. */
int request_read_body(const struct request *q, struct channel *c, const struct settings *settings,
                      size_t max, struct buf *body, struct failure *f);

#endif
