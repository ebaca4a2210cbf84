/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing the audit: the database does it, this side only says when. */
#include "base/failure.h"
#include "keystore/store.h"

static const struct statement SEAL = {
    .name = "audit_seal",
    .sql = "SELECT speke.audit_seal()",
};

int keystore_seal_audit(struct keystore *ks, long *rows, struct failure *f)
{
    PGresult *result;
    int32_t sealed = 0;
    connection_begin(ks->connection);
    if (store_open(ks, f) != 0)
        return -1;
    params_clear(&ks->params);
    if (connection_run(ks->connection, &SEAL, &ks->params, &result, f) != 0)
        return -1;
    int outcome = 0;
    /* NULL: somebody else is sealing. */
    if (PQntuples(result) != 1 ||
        (!PQgetisnull(result, 0, 0) && result_int4(result, 0, 0, &sealed) != 0))
        outcome = fail_unavailable(f, "schema", "audit_seal: unexpected types");
    PQclear(result);
    *rows = sealed;
    return outcome;
}
