/* SPDX-License-Identifier: Apache-2.0 */
/* What the functions of the schema refuse a client, each kind by an SQLSTATE. Their message is the
 * text for the client, so that it is written where the reason is known. */
#include <string.h>

#include "base/failure.h"
#include "keystore/store.h"

static const struct {
    const char *sqlstate;
    int status;
} KINDS[] = {
    {"SK005", 403}, /* a key is revoked or destroyed */
};

int store_denied(const struct keystore *ks, struct failure *f)
{
    const char *sqlstate = connection_sqlstate(ks->connection);
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        if (strcmp(sqlstate, KINDS[i].sqlstate) == 0)
            return fail(f, KINDS[i].status, "%s", connection_message(ks->connection));
    }
    return -1;
}
