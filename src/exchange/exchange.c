/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/exchange.h"

#include <stdbool.h>
#include <string.h>

#include "base/settings.h"
#include "cpix/cpix.h"
#include "cpix/delivery.h"
#include "exchange/override.h"
#include "exchange/policy.h"
#include "exchange/run.h"
#include "exchange/tenant.h"
#include "keystore/keystore.h"

/* A request of a few hundred keys and systems needs some megabytes; nothing honest needs more. */
enum { ARENA_MAX = 128 * 1024 * 1024 };

void exchange_init(struct exchange *x, const struct settings *settings, struct keystore *ks)
{
    *x = (struct exchange){.settings = settings, .keystore = ks};
    arena_init(&x->arena, ARENA_MAX);
}

void exchange_free(struct exchange *x)
{
    arena_free(&x->arena);
    tenant_cache_free(&x->tenants);
}

/* The version is in the header alone; a value that is not known is never taken for another version
 * (SPEKE v2.0, "Unsupported SPEKE version"). "1.0" is what some clients send for none at all. */
static int choose_version(const char *header, enum speke_version *version, struct failure *f)
{
    if (header == NULL || strcmp(header, "1.0") == 0)
        *version = SPEKE_V1;
    else if (strcmp(header, "2.0") == 0)
        *version = SPEKE_V2_0;
    else if (strcmp(header, "2.1") == 0)
        *version = SPEKE_V2_1;
    else {
        (void)fail(f, 422, "Unsupported SPEKE version");
        return fail_because(f, "X-Speke-Version: %s", header[0] == '\0' ? "(empty)" : header);
    }
    return 0;
}

static int read_document(struct run *r, struct failure *f)
{
    struct cpix_limits limits = CPIX_DEFAULT_LIMITS;
    limits.keys = (size_t)r->x->settings->max_keys;
    const struct exchange_request *request = r->request;
    return cpix_read(request->body, request->body_size, &limits, &r->x->arena, &r->doc, f);
}

static int check_document(struct run *r, struct failure *f)
{
    const struct cpix_rules rules = tenant_rules(r->config, r->version);
    const int result = cpix_check(&r->doc, &rules, &r->x->arena, run_take_fault, f);
    if (result < 0)
        return fail_memory(f);
    if (result == 0 && policy_check(r->config, &r->doc, r->version, run_take_fault, f) == 0)
        return 0;
    return -1;
}

/* A list of recipients makes the answer one of encrypted keys, or none. */
static int accept_recipients(struct run *r, struct failure *f)
{
    if (r->doc.delivery_list.occurrences == 0)
        return 0;
    return delivery_accept(&r->doc, &r->config->delivery_policy, &r->x->arena, &r->recipients, f);
}

static int run_steps(struct run *r, struct buf *out, struct failure *f)
{
    const struct exchange_request *request = r->request;
    struct exchange_answer *answer = r->answer;
    if (choose_version(request->speke_version, &r->version, f) != 0)
        return -1;
    r->version_text = speke_version_name(r->version);
    answer->agent_header = r->version == SPEKE_V1 ? "Speke-User-Agent" : "X-Speke-User-Agent";
    answer->speke_version = r->version == SPEKE_V1 ? NULL : r->version_text;
    if (run_identify(r, f) != 0 || policy_version(r->config, r->version, f) != 0)
        return -1;
    if (read_document(r, f) != 0)
        return -1;
    if (check_document(r, f) != 0)
        return -1;
    if (accept_recipients(r, f) != 0)
        return -1;
    if (r->config->kid_override && override_kids(&r->doc, &r->x->arena, f) != 0)
        return -1;
    if (run_acquire(r, f) != 0)
        return -1;
    if (run_fill(r, f) != 0)
        return -1;
    return run_write(r, out, f);
}

int exchange_run(struct exchange *x, const struct exchange_request *request,
                 struct exchange_answer *answer, struct failure *f)
{
    struct run r = {.x = x, .caller = request->caller, .request = request, .answer = answer};
    answer->agent_header = "X-Speke-User-Agent";
    answer->speke_version = NULL;
    return run_through(&r, run_steps, &answer->body, f);
}

int exchange_refuse(struct exchange *x, const struct exchange_request *request, struct failure *f)
{
    struct run r = {.x = x, .caller = request->caller};
    struct failure unknown;
    if (r.caller.via == NULL && /* other doors have none */
        choose_version(request->speke_version, &r.version, &unknown) == 0)
        r.version_text = speke_version_name(r.version);
    const int result = run_refuse(&r, f);
    arena_reset(&x->arena);
    return result;
}
