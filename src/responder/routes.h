/* SPDX-License-Identifier: Apache-2.0 */
/* Which function answers which path: one table a door. */
#ifndef RESPONDER_ROUTES_H
#define RESPONDER_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "responder/location.h"

struct answer;
struct channel;
struct request;
struct responder;

enum { ROUTE_PARTS_MAX = 3 };

/* A request on its way. */
struct call {
    const struct request *request;
    struct channel *channel;
    const char *path; /* as location_path() gives it */
    size_t mount;     /* length of the part of the path before the route's */
    /* The segments that stand where the route has an asterisk. */
    const char *parts[ROUTE_PARTS_MAX];
    char segments[LOCATION_PATH_SIZE]; /* their texts */
};

struct route {
    /* The last segments of the path: where the program is mounted is the web server's business. An
     * asterisk is for any segment. */
    const char *path;
    /* The methods that it answers, as the header Allow lists them. */
    const char *methods;
    /* Fills the answer; a refusal goes into its failure. */
    void (*serve)(struct responder *r, const struct call *call, struct answer *answer);
};

struct routes {
    const struct route *rows;
    size_t count;
};

/* What players may reach (player_routes.c), and nothing of it is among what packagers may. */
extern const struct routes PLAYER_ROUTES;

/* Whether the web server let the request in through the player's door. */
bool route_is_player(const struct request *q);
/* Finds the route of call->path and serves it; 404 and 405 when there is nothing to serve. */
void route_call(struct responder *r, struct call *call, struct answer *answer);

/* For load balancers and people, at both doors: 200 when an exchange could be done now. */
void serve_health(struct responder *r, const struct call *call, struct answer *answer);

#endif
