/* SPDX-License-Identifier: Apache-2.0 */
/* What the functions of the schema refuse a client, each kind by an SQLSTATE. Their message is the
 * text for the client, so that it is written where the reason is known. */
#include <stdlib.h>
#include <string.h>

#include "base/failure.h"
#include "keystore/store.h"

static const struct {
    const char *sqlstate;
    int status;
} KINDS[] = {
    {"SK005", 403}, /* a key is revoked or destroyed */
    {"SK006", 403}, /* a key is missing, and none may be made */
    {"SK007", 429}, /* a quota is used up (RFC 6585 4) */
    {"SK008", 403}, /* not from this address, or not at this time */
};

enum { RETRY_MOST = 24 * 60 * 60 };

/* The seconds to wait that came as the detail, 0 for none. */
static int seconds(const char *detail)
{
    char *end;
    const long value = strtol(detail, &end, 10);
    return end != detail && *end == '\0' && value > 0 && value <= RETRY_MOST ? (int)value : 0;
}

int store_denied(const struct keystore *ks, struct failure *f)
{
    const char *sqlstate = connection_sqlstate(ks->connection);
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        if (strcmp(sqlstate, KINDS[i].sqlstate) != 0)
            continue;
        (void)fail(f, KINDS[i].status, "%s", connection_message(ks->connection));
        f->retry_after = seconds(connection_detail(ks->connection));
    }
    return -1;
}
