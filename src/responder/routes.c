/* SPDX-License-Identifier: Apache-2.0 */
#include "responder/routes.h"

#include <stdbool.h>
#include <string.h>

#include "base/failure.h"
#include "base/settings.h"
#include "exchange/exchange.h"
#include "exchange/fetch.h"
#include "keystore/keystore.h"
#include "responder/answer.h"
#include "responder/location.h"
#include "responder/request.h"
#include "responder/responder.h"

/* The exchange itself: POST of a CPIX document. */
static void serve_exchange(struct responder *r, const struct call *call, struct answer *answer);
/* Packagers that fetch: a CPIX document, or what nginx-vod-module reads. */
static void serve_cpix(struct responder *r, const struct call *call, struct answer *answer);
static void serve_vod_drm(struct responder *r, const struct call *call, struct answer *answer);
/* SPEKE v1 alone has it; any text will do. */
static void serve_heartbeat(struct responder *r, const struct call *call, struct answer *answer);

/* What a fetch reads of the query. */
struct fetch_texts {
    char content_id[LOCATION_PATH_SIZE];
    char kid[64], track[256];
};

/* A longer path stands before those that it ends in. The SPEKE version is in a header, never in the
 * path (SPEKE v2.0, "REST API"), so all paths of the exchange are one. */
static const struct route PACKAGER_ROWS[] = {
    {"/v1.0/copyProtection", "POST", serve_exchange},
    {"/v2.0/copyProtection", "POST", serve_exchange},
    {"/v2.1/copyProtection", "POST", serve_exchange},
    {"/copyProtection", "POST", serve_exchange},
    {"/cpix/*", "GET", serve_cpix},
    {"/vod-drm/*", "GET", serve_vod_drm},
    {"/cpix", "GET", serve_cpix},
    {"/vod-drm", "GET", serve_vod_drm},
    {"/v1.0/heartbeat", "GET, HEAD", serve_heartbeat},
    {"/health", "GET, HEAD", serve_health},
};

static const struct routes PACKAGER_ROUTES = {PACKAGER_ROWS,
                                              sizeof PACKAGER_ROWS / sizeof PACKAGER_ROWS[0]};

/* Matches a route's path with the end of a path and takes what stands for its asterisks. */
static bool matches(const struct route *route, struct call *call)
{
    const char *pattern = route->path + strlen(route->path);
    const char *path = call->path + strlen(call->path);
    const char *parts[ROUTE_PARTS_MAX];
    size_t lengths[ROUTE_PARTS_MAX], count = 0;
    while (pattern > route->path) {
        const char *segment = memrchr(call->path, '/', (size_t)(path - call->path));
        const char *wanted = memrchr(route->path, '/', (size_t)(pattern - route->path));
        if (segment == NULL)
            return false;
        const size_t n = (size_t)(path - segment), m = (size_t)(pattern - wanted);
        if (m == 2 && wanted[1] == '*' && n > 1) {
            parts[count] = segment + 1;
            lengths[count++] = n - 1;
        } else if (n != m || memcmp(segment, wanted, n) != 0) {
            return false;
        }
        pattern = wanted;
        path = segment;
    }
    call->mount = (size_t)(path - call->path);
    char *out = call->segments;
    for (size_t i = 0; i < count; i++) {
        const size_t from = count - 1 - i;
        call->parts[i] = out;
        memcpy(out, parts[from], lengths[from]);
        out += lengths[from];
        *out++ = '\0';
    }
    return true;
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

/* The first route of the path that has the method, else the first of the path. */
static const struct route *find(const struct routes *routes, struct call *call)
{
    const struct route *other = NULL;
    for (size_t i = 0; i < routes->count; i++) {
        const struct route *route = &routes->rows[i];
        if (!matches(route, call))
            continue;
        if (allows(route->methods, call->request->method))
            return route;
        if (other == NULL)
            other = route;
    }
    return other;
}

bool route_is_player(const struct request *q)
{
    return q->door != NULL && strcmp(q->door, "player") == 0;
}

/* The routes that may be reached through the door that the request came by, NULL for none: the web
 * server's word (a parameter that no client can set), which the settings may narrow. */
static const struct routes *routes_of(const struct responder *r, const struct request *q,
                                      struct failure *f)
{
    const char *setting = r->settings->door;
    const char *door = q->door != NULL               ? q->door
                       : strcmp(setting, "any") == 0 ? "packager"
                                                     : setting;
    const bool player = strcmp(door, "player") == 0;
    if (!player && strcmp(door, "packager") != 0)
        (void)fail_because(f, "SPEKE_DOOR: \"%s\" is neither player nor packager", door);
    else if (strcmp(setting, "any") != 0 && strcmp(setting, door) != 0)
        (void)fail_because(f, "SPEKE_DOOR is %s, the setting door %s", door, setting);
    else
        return player ? &PLAYER_ROUTES : &PACKAGER_ROUTES;
    return NULL;
}

void route_call(struct responder *r, struct call *call, struct answer *answer)
{
    struct failure why = {0};
    const struct routes *routes = routes_of(r, call->request, &why);
    const struct route *route = routes != NULL ? find(routes, call) : NULL;
    if (route == NULL) {
        (void)fail(&answer->failure, 404, "Not found");
        (void)fail_because(&answer->failure, "%s", why.cause);
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
    if (request_read_body(q, call->channel, r->settings, (size_t)r->settings->max_body, &r->body,
                          &answer->failure) != 0) {
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

/* The content id is the segment of the path or, for one that cannot stand there, in the query. */
static int read_fetch(const struct call *call, struct fetch_texts *texts,
                      struct fetch_request *request, struct failure *f)
{
    const struct request *q = call->request;
    request->content_id = call->parts[0];
    if (request->content_id == NULL &&
        location_parameter(q, "content_id", texts->content_id, sizeof texts->content_id,
                           &request->content_id, f) != 0)
        return -1;
    if (request->content_id == NULL)
        return fail(f, 400, "No content id");
    if (location_parameter(q, "kid", texts->kid, sizeof texts->kid, &request->kid, f) != 0)
        return -1;
    return location_parameter(q, "track", texts->track, sizeof texts->track, &request->track, f);
}

static void serve_fetch(struct responder *r, const struct call *call, const char *via,
                        struct answer *answer)
{
    const struct request *q = call->request;
    char base_url[LOCATION_URL_SIZE];
    struct fetch_texts texts;
    if (!is_authenticated(q, &answer->failure))
        return;
    location_base(q, call->path, call->mount, base_url);
    struct fetch_request request = {
        .caller = {.remote_user = q->remote_user,
                   .remote_addr = q->remote_addr,
                   .base_url = base_url,
                   .via = via},
    };
    if (read_fetch(call, &texts, &request, &answer->failure) != 0) {
        const struct exchange_request refused = {.caller = request.caller};
        (void)exchange_refuse(&r->exchange, &refused, &answer->failure); /* it is in the failure */
        return;
    }
    /* Its outcome is in the failure, which the answer is made from. */
    (void)exchange_fetch(&r->exchange, &request, &r->result.body, &answer->failure);
    answer->document = &r->result.body;
}

static void serve_cpix(struct responder *r, const struct call *call, struct answer *answer)
{
    serve_fetch(r, call, "cpix", answer);
}

static void serve_vod_drm(struct responder *r, const struct call *call, struct answer *answer)
{
    answer->content_type = "application/json";
    serve_fetch(r, call, "vod-drm", answer);
}

static void serve_heartbeat(struct responder *r, const struct call *call, struct answer *answer)
{
    (void)r;    /* says no more than that somebody listens: */
    (void)call; /* whether keys could be had is what /health says */
    answer->agent_header = "Speke-User-Agent";
    answer->text = "OK";
}

void serve_health(struct responder *r, const struct call *call, struct answer *answer)
{
    (void)call; /* the same for everybody */
    if (keystore_health(r->keystore, &answer->failure) == 0)
        answer->text = "ready";
}
