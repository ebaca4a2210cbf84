/* SPDX-License-Identifier: Apache-2.0 */
/* The player's door. */
#include <string.h>

#include "player/clearkey.h"
#include "player/player.h"
#include "responder/answer.h"
#include "responder/request.h"
#include "responder/responder.h"
#include "responder/routes.h"

static const char KEY_METHODS[] = "GET, HEAD, OPTIONS";
static const char LICENCE_METHODS[] = "POST, OPTIONS";

static struct player_request describe(const struct request *q, const char *tenant,
                                      const char *content)
{
    return (struct player_request){
        .tenant = tenant,
        .content = content,
        .authorization = q->authorization,
        .query = q->query,
        .cookie = q->cookie,
        .device = q->device,
        .origin = q->origin,
        .remote_addr = q->remote_addr,
    };
}

/* A browser's question before the request itself (Fetch Standard, CORS-preflight fetch). Returns
 * false for any other request. */
static bool answered_options(struct responder *r, const struct call *call,
                             const struct player_request *q, const char *methods,
                             struct answer *answer)
{
    if (strcmp(call->request->method, "OPTIONS") != 0)
        return false;
    answer->allow = methods;
    answer->preflight = true;
    /* Its outcome is in the failure, which the answer is made from. */
    (void)player_options(&r->player, q, &answer->player, &answer->failure);
    return true;
}

/* RFC 8216 section 4.3.2.4: the key's 16 bytes. A header Range changes nothing: the whole is sent.
 */
static void serve_key(struct responder *r, const struct call *call, struct answer *answer)
{
    struct player_request q = describe(call->request, call->parts[0], call->parts[1]);
    q.kid = call->parts[2];
    if (answered_options(r, call, &q, KEY_METHODS, answer))
        return;
    /* Its outcome is in the failure, which the answer is made from. */
    (void)player_key(&r->player, &q, &answer->player, &r->result.body, &answer->failure);
    answer->content_type = "application/octet-stream";
    answer->document = &r->result.body;
}

static void serve_licence(struct responder *r, const struct call *call, struct answer *answer)
{
    struct player_request q = describe(call->request, call->parts[0], call->parts[1]);
    if (answered_options(r, call, &q, LICENCE_METHODS, answer))
        return;
    if (request_read_body(call->request, call->channel, r->settings, CLEARKEY_REQUEST_MAX, &r->body,
                          &answer->failure) != 0) {
        struct failure other = {0};
        /* For the headers that let a page read the answer. */
        (void)player_options(&r->player, &q, &answer->player, &other);
        return;
    }
    q.body = r->body.data;
    q.body_size = r->body.len;
    /* Its outcome is in the failure, which the answer is made from. */
    (void)player_licence(&r->player, &q, &answer->player, &r->result.body, &answer->failure);
    answer->content_type = "application/json";
    answer->document = &r->result.body;
}

/* A tenant may be called "client": so the methods tell its licences from keys. */
static const struct route ROWS[] = {
    {"/*/client/*/*", KEY_METHODS, serve_key},
    {"/*/clearkey/*", LICENCE_METHODS, serve_licence},
    {"/*/clearkey", LICENCE_METHODS, serve_licence},
    {"/health", "GET, HEAD", serve_health},
};

const struct routes PLAYER_ROUTES = {ROWS, sizeof ROWS / sizeof ROWS[0]};
