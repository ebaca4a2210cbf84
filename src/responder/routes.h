/* SPDX-License-Identifier: Apache-2.0 */
/* Which function answers which path: one table. */
#ifndef RESPONDER_ROUTES_H
#define RESPONDER_ROUTES_H

#include <stddef.h>

struct answer;
struct channel;
struct request;
struct responder;

/* A request on its way. */
struct call {
    const struct request *request;
    struct channel *channel;
    const char *path; /* as location_path() gives it */
    size_t mount;     /* length of the part of the path before the route's */
};

struct route {
    /* The last segments of the path: where the program is mounted is the web server's business. */
    const char *path;
    /* The methods that it answers, as the header Allow lists them. */
    const char *methods;
    /* Fills the answer; a refusal goes into its failure. */
    void (*serve)(struct responder *r, const struct call *call, struct answer *answer);
};

/* Finds the route of call->path and serves it; 404 and 405 when there is nothing to serve. */
void route_call(struct responder *r, struct call *call, struct answer *answer);

#endif
