/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/keystore.h"

#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/failure.h"
#include "base/secret.h"
#include "base/settings.h"
#include "keystore/store.h"

static const struct statement STATE = {
    .name = "service_state",
    .sql = "SELECT schema_version, kek_version, kek_check, pg_catalog.pg_is_in_recovery() "
           "FROM speke.service_state()",
};

struct keystore *keystore_new(const struct settings *settings)
{
    struct keystore *ks = calloc(1, sizeof *ks);
    if (ks == NULL)
        return NULL;
    params_init(&ks->params);
    ks->connection = connection_new(settings);
    ks->keyring = keyring_of(settings, NULL);
    ks->sealer = sealer_new();
    if (ks->connection == NULL || ks->keyring == NULL || ks->sealer == NULL) {
        keystore_free(ks);
        return NULL;
    }
    return ks;
}

void keystore_free(struct keystore *ks)
{
    if (ks == NULL)
        return;
    store_forget(ks);
    connection_free(ks->connection);
    keyring_free(ks->keyring);
    sealer_free(ks->sealer);
    params_free(&ks->params);
    free(ks);
}

void keystore_begin(struct keystore *ks)
{
    connection_begin(ks->connection);
}

/* --- schema --------------------------------------------------------------------------------- */

static int check_version(int32_t version, struct failure *f)
{
    if (version >= SCHEMA_OLDEST && version <= SCHEMA_NEWEST)
        return 0;
    return fail_unavailable(f, "schema",
                            "the schema has version %d, this program works with %d to %d", version,
                            SCHEMA_OLDEST, SCHEMA_NEWEST);
}

static int read_state(const PGresult *result, struct active_kek *active, int32_t *schema,
                      struct failure *f)
{
    int32_t version = 0;
    bool standby = false;
    if (PQntuples(result) != 1)
        return fail_unavailable(f, "schema", "service_state: %d rows", PQntuples(result));
    if (!PQgetisnull(result, 0, 0) && result_int4(result, 0, 0, &version) != 0)
        return fail_unavailable(f, "schema", "service_state: unexpected types");
    if (check_version(version, f) != 0)
        return -1;
    if (result_bool(result, 0, 3, &standby) != 0)
        return fail_unavailable(f, "schema", "service_state: unexpected types");
    if (standby)
        return fail_unavailable(f, "database",
                                "the server is a standby, which takes no audit row: name the "
                                "primary too, with target_session_attrs=read-write");
    *schema = version;
    active->version = 0;
    if (PQgetisnull(result, 0, 1))
        return 0;
    if (result_int4(result, 0, 1, &active->version) != 0 ||
        result_bytes(result, 0, 2, active->check, sizeof active->check) != 0)
        return fail_unavailable(f, "schema", "service_state: unexpected types");
    return 0;
}

int store_state(struct keystore *ks, struct active_kek *active, struct failure *f)
{
    PGresult *result;
    int32_t schema = 0;
    ks->schema = 0;
    params_clear(&ks->params);
    if (connection_run(ks->connection, &STATE, &ks->params, &result, f) != 0)
        return -1;
    const int status = read_state(result, active, &schema, f);
    PQclear(result);
    if (status == 0)
        ks->schema = schema;
    return status;
}

int store_open(struct keystore *ks, struct failure *f)
{
    struct active_kek ignored;
    bool fresh;
    if (connection_open(ks->connection, &fresh, f) != 0)
        return -1;
    if (fresh)
        store_forget(ks); /* the database may have been restored from a backup meanwhile */
    return ks->schema > 0 ? 0 : store_state(ks, &ignored, f);
}

const char *store_address(const char *text)
{
    unsigned char parsed[ADDRESS_BYTES];
    return address_parse(text, parsed) == 0 ? text : NULL;
}

void store_put_who(struct params *p, const struct keystore_request *request)
{
    params_readable_text(p, request->remote_user);
    params_text(p, store_address(request->remote_addr));
    params_readable_text(p, request->speke_version);
}

/* --- KEKs ----------------------------------------------------------------------------------- */

int store_kek(struct keystore *ks, int32_t version, const unsigned char *check,
              const struct kek **kek, struct failure *f)
{
    *kek = keyring_find(ks->keyring, version);
    if (*kek == NULL) {
        const char *why = keyring_fault(ks->keyring);
        return fail_unavailable(f, "sealed", "KEK version %d is not loaded: %s", version,
                                why[0] != '\0' ? why : "the KEK file does not hold it");
    }
    if (check != NULL && !secret_equal((*kek)->check, check, KEK_CHECK_BYTES))
        return fail_unavailable(f, "sealed",
                                "KEK version %d in the KEK file is another one than was "
                                "registered in the database",
                                version);
    return 0;
}
