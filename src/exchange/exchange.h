/* SPDX-License-Identifier: Apache-2.0 */
/* One SPEKE exchange, told in the order in which it happens: version, client, read, check,
 * recipients, KIDs, acquire, signal, encrypt, write. Knows no FastCGI. */
#ifndef EXCHANGE_EXCHANGE_H
#define EXCHANGE_EXCHANGE_H

#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/failure.h"
#include "exchange/tenant.h"

struct keystore;
struct settings;

/* What outlives a request. */
struct exchange {
    const struct settings *settings;
    struct keystore *keystore;
    struct tenant_cache tenants;
    struct arena arena; /* of the request at hand */
};

/* Who asks, and through which door. */
struct exchange_caller {
    const char *remote_user; /* never NULL or "": who has no name is not let in here */
    const char *remote_addr;
    const char *base_url; /* scheme, host and mount point, without a slash at the end */
    const char *via;      /* for the audit: NULL for SPEKE, else "cpix" or "vod-drm" */
};

struct exchange_request {
    struct exchange_caller caller;
    const char *speke_version; /* value of X-Speke-Version, NULL when absent */
    const void *body;
    size_t body_size;
};

struct exchange_answer {
    const char *speke_version; /* to echo as X-Speke-Version; NULL for none */
    const char *agent_header;  /* "X-Speke-User-Agent", or in v1 "Speke-User-Agent" */
    struct buf body;           /* the document when nothing failed; wiped with buf_free() */
};

void exchange_init(struct exchange *x, const struct settings *settings, struct keystore *ks);
void exchange_free(struct exchange *x);

/* Runs one exchange. Returns 0 with the document in answer->body, or -1 with status, text and
 * cause in *f; the headers' members of *answer are set either way and point into the request or
 * to static text. Refusals are in the audit when it returns. answer->body must have been
 * initialised; key bytes other than in it are wiped on return. */
int exchange_run(struct exchange *x, const struct exchange_request *request,
                 struct exchange_answer *answer, struct failure *f);

/* Refuses a request of any door that could not be read (413, 400 …) in the same way, so that the
 * refusal is in the audit: returns -1 with *f as given or, when the audit could not be written,
 * 503. */
int exchange_refuse(struct exchange *x, const struct exchange_request *request, struct failure *f);

#endif
