/* SPDX-License-Identifier: Apache-2.0 */
#include "base/failure.h"
#include "keystore/store.h"

static const Oid TYPES[] = {OID_TEXT,       OID_TEXT, OID_TEXT, OID_TEXT,
                            OID_UUID_ARRAY, OID_INT4, OID_TEXT, OID_TEXT};
enum { PARAMS_VIA = sizeof TYPES / sizeof TYPES[0] };

static const struct statement REFUSE = {
    .name = "refuse",
    .sql = "SELECT speke.refuse($1, $2, $3, $4, $5, $6, $7)",
    .param_count = PARAMS_VIA - 1,
    .types = TYPES,
};
/* The audit row names the door, as in acquire.c. What is selected comes after what it is from. */
static const struct statement REFUSE_VIA = {
    .name = "refuse_via",
    .sql = "SELECT speke.refuse($1, $2, $3, $4, $5, $6, $7) "
           "FROM pg_catalog.set_config('" STORE_VIA "', $8, true)",
    .param_count = PARAMS_VIA,
    .types = TYPES,
};

static int unwelcome(const struct keystore_request *request, struct failure *f)
{
    const char *user = request->remote_user, *address = request->remote_addr;
    (void)fail(f, 403, "Forbidden");
    return fail_because(f,
                        "client \"%s\" is unknown or disabled, or not allowed now or from "
                        "address \"%s\"",
                        user != NULL ? user : "", address != NULL ? address : "");
}

int keystore_refuse(struct keystore *ks, const struct keystore_request *request, int status,
                    const char *text, const struct uuid *kids, size_t count, struct failure *f)
{
    const struct statement *statement = request->via != NULL ? &REFUSE_VIA : &REFUSE;
    PGresult *result;
    bool known;
    if (store_open(ks, f) != 0)
        return -1;
    params_clear(&ks->params);
    store_put_who(&ks->params, request);
    params_readable_text(&ks->params, request->content_id);
    params_uuids(&ks->params, kids, count);
    params_int4(&ks->params, status);
    params_readable_text(&ks->params, text);
    if (request->via != NULL)
        params_text(&ks->params, request->via);
    if (connection_run(ks->connection, statement, &ks->params, &result, f) != 0)
        return -1;
    int outcome = 0;
    if (PQntuples(result) != 1 || result_bool(result, 0, 0, &known) != 0)
        outcome = fail_unavailable(f, "schema", "refuse: unexpected types");
    else if (!known)
        outcome = unwelcome(request, f);
    PQclear(result);
    return outcome;
}
