/* SPDX-License-Identifier: Apache-2.0 */
#include "player/refusals.h"

#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/log.h"
#include "keystore/player.h"

static void copy_text(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text != NULL ? text : ""); /* may be cut */
}

void refusals_note(struct refusals *r, const struct refusal *kind, const char *tenant,
                   const char *address, int64_t now)
{
    size_t i = 0;
    while (i < r->count &&
           (r->kinds[i].tenant_id != kind->tenant_id || r->kinds[i].status != kind->status ||
            strcmp(r->kinds[i].reason, kind->reason) != 0))
        i++;
    if (i == REFUSALS_KINDS)
        i--; /* refusals_tend() was not called: counted with the last one */
    if (i == r->count) {
        if (r->count++ == 0)
            r->since = now;
        r->kinds[i] = *kind;
        r->kinds[i].count = 0;
        copy_text(r->kinds[i].tenant, sizeof r->kinds[i].tenant, tenant);
        log_notice("player refused: %d %s, tenant \"%s\", address %s", kind->status, kind->reason,
                   r->kinds[i].tenant, address != NULL ? address : "-");
    }
    r->kinds[i].count++;
    copy_text(r->kinds[i].address, sizeof r->kinds[i].address, address);
}

void refusals_flush(struct refusals *r, struct keystore *ks)
{
    struct failure f = {0};
    for (size_t i = 0; i < r->count; i++) {
        const struct refusal *k = &r->kinds[i];
        if (k->count > 1)
            log_notice("players refused: %ld more of %d %s, tenant \"%s\", the last from %s",
                       k->count - 1, k->status, k->reason, k->tenant, k->address);
        if (!failed(&f) && keystore_count_refusals(ks, k->tenant_id, k->status, k->reason, k->count,
                                                   k->address, &f) != 0)
            log_error("refusals of players were not written down: %s: %s", f.text, f.cause);
    }
    r->count = 0;
}

void refusals_tend(struct refusals *r, struct keystore *ks, int64_t now)
{
    if (r->count > 0 && (now - r->since >= REFUSALS_INTERVAL_MS || r->count == REFUSALS_KINDS))
        refusals_flush(r, ks);
}
