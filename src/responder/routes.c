/* SPDX-License-Identifier: Apache-2.0 */
#include "responder/routes.h"

#include <stdbool.h>
#include <string.h>

#include "base/log.h"
#include "exchange/exchange.h"
#include "keystore/keystore.h"
#include "responder/answer.h"
#include "responder/location.h"
#include "responder/request.h"
#include "responder/responder.h"

/* The exchange itself: POST of a CPIX document. */
static void serve_exchange(struct responder *r, const struct call *call, struct answer *answer);
/* SPEKE v1 alone has it; any text will do. */
static void serve_heartbeat(struct responder *r, const struct call *call, struct answer *answer);
/* For load balancers and people: 200 when an exchange could be done now. */
static void serve_health(struct responder *r, const struct call *call, struct answer *answer);

/* A longer path stands before those that it ends in. The SPEKE version is in a header, never in the
 * path (SPEKE v2.0, "REST API"), so all paths of the exchange are one. */
static const struct route ROUTES[] = {
    {"/v1.0/copyProtection", "POST", serve_exchange},
    {"/v2.0/copyProtection", "POST", serve_exchange},
    {"/v2.1/copyProtection", "POST", serve_exchange},
    {"/copyProtection", "POST", serve_exchange},
    {"/v1.0/heartbeat", "GET, HEAD", serve_heartbeat},
    {"/health", "GET, HEAD", serve_health},
};

static const struct route *find(const char *path, size_t *mount)
{
    const size_t n = strlen(path);
    for (size_t i = 0; i < sizeof ROUTES / sizeof ROUTES[0]; i++) {
        const size_t tail = strlen(ROUTES[i].path);
        if (tail > n || memcmp(path + n - tail, ROUTES[i].path, tail) != 0)
            continue;
        *mount = n - tail;
        return &ROUTES[i];
    }
    return NULL;
}

static bool allows(const char *methods, const char *method)
{
    const size_t n = strlen(method);
    for (const char *p = methods; *p != '\0';) {
        const size_t word = strcspn(p, ", ");
        if (word == n && memcmp(p, method, n) == 0)
            return true;
        p += word;
        p += strspn(p, ", ");
    }
    return false;
}

void route_call(struct responder *r, struct call *call, struct answer *answer)
{
    const struct route *route = find(call->path, &call->mount);
    if (route == NULL) {
        (void)fail(&answer->failure, 404, "Not found");
        return;
    }
    if (!allows(route->methods, call->request->method)) {
        (void)fail(&answer->failure, 405, "Method not allowed");
        answer->allow = route->methods;
        return;
    }
    route->serve(r, call, answer);
}

/* The web server authenticates, and this is where its word is taken: REMOTE_USER and nothing
 * else. That a location was left open is a fault of its configuration, so the log says how to
 * close it. */
static bool is_authenticated(const struct request *q, struct failure *f)
{
    if (q->remote_user != NULL && q->remote_user[0] != '\0')
        return true;
    (void)fail(f, 403, "Forbidden");
    (void)fail_because(f, "no REMOTE_USER: the web server asked for no login here; set \"Require "
                          "valid-user\" (Apache) or \"auth.require\" (lighttpd) for this path");
    return false;
}

static void serve_exchange(struct responder *r, const struct call *call, struct answer *answer)
{
    const struct request *q = call->request;
    char base_url[LOCATION_URL_SIZE];
    answer->agent_header = "X-Speke-User-Agent";
    if (!is_authenticated(q, &answer->failure))
        return;
    location_base(q, call->path, call->mount, base_url);
    struct exchange_request request = {
        .caller = {.remote_user = q->remote_user,
                   .remote_addr = q->remote_addr,
                   .base_url = base_url},
        .speke_version = q->speke_version,
    };
    if (request_read_body(q, call->channel, r->settings, &r->body, &answer->failure) != 0) {
        (void)exchange_refuse(&r->exchange, &request, &answer->failure); /* it is in the failure */
        return;
    }
    request.body = r->body.data;
    request.body_size = r->body.len;
    /* Its outcome is in the failure, which the answer is made from. */
    (void)exchange_run(&r->exchange, &request, &r->result, &answer->failure);
    answer->agent_header = r->result.agent_header;
    answer->speke_version = r->result.speke_version;
    answer->document = &r->result.body;
}

static void serve_heartbeat(struct responder *r, const struct call *call, struct answer *answer)
{
    (void)r;    /* says no more than that somebody listens: */
    (void)call; /* whether keys could be had is what /health says */
    answer->agent_header = "Speke-User-Agent";
    answer->text = "OK";
}

static void serve_health(struct responder *r, const struct call *call, struct answer *answer)
{
    (void)call; /* the same for everybody */
    if (keystore_health(r->keystore, &answer->failure) == 0)
        answer->text = "ready";
}
