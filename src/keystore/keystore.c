/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/keystore.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/failure.h"
#include "base/secret.h"
#include "base/settings.h"
#include "base/utf8.h"
#include "keystore/store.h"

static const struct statement STATE = {
    .name = "service_state",
    .sql = "SELECT schema_version, kek_version, kek_check FROM speke.service_state()",
};

static const Oid IDENTIFY_TYPES[] = {OID_TEXT};
static const struct statement IDENTIFY = {
    .name = "identify",
    .sql = "SELECT client_id, tenant_id, tenant, kek_version, kek_check, generation "
           "FROM speke.identify($1)",
    .param_count = 1,
    .types = IDENTIFY_TYPES,
};

struct keystore *keystore_new(const struct settings *settings)
{
    struct keystore *ks = calloc(1, sizeof *ks);
    if (ks == NULL)
        return NULL;
    params_init(&ks->params);
    ks->connection = connection_new(settings);
    ks->keyring = keyring_new(settings->kek_file);
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

/* --- schema --------------------------------------------------------------------------------- */

static int check_version(int32_t version, struct failure *f)
{
    if (version >= SCHEMA_OLDEST && version <= SCHEMA_NEWEST)
        return 0;
    return fail_unavailable(f, "schema",
                            "the schema has version %d, this program works with %d to %d", version,
                            SCHEMA_OLDEST, SCHEMA_NEWEST);
}

static int read_state(const PGresult *result, struct active_kek *active, struct failure *f)
{
    int32_t version = 0;
    if (PQntuples(result) != 1)
        return fail_unavailable(f, "schema", "service_state: %d rows", PQntuples(result));
    if (!PQgetisnull(result, 0, 0) && result_int4(result, 0, 0, &version) != 0)
        return fail_unavailable(f, "schema", "service_state: unexpected types");
    if (check_version(version, f) != 0)
        return -1;
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
    ks->schema_known = false;
    params_clear(&ks->params);
    if (connection_run(ks->connection, &STATE, &ks->params, &result, f) != 0)
        return -1;
    const int status = read_state(result, active, f);
    PQclear(result);
    ks->schema_known = status == 0;
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
    return ks->schema_known ? 0 : store_state(ks, &ignored, f);
}

/* --- clients -------------------------------------------------------------------------------- */

static void forget_identities(struct keystore *ks)
{
    for (unsigned i = 0; i < ks->identity_count; i++) {
        free(ks->identities[i].user);
        free(ks->identities[i].tenant);
    }
    memset(ks->identities, 0, sizeof ks->identities);
    ks->identity_count = 0;
    ks->identity_next = 0;
}

void store_forget(struct keystore *ks)
{
    forget_identities(ks);
    ks->schema_known = false;
}

int store_unknown_client(const char *user, struct failure *f)
{
    (void)fail(f, 403, "Forbidden");
    return fail_because(f, "client \"%s\" is unknown or disabled", user != NULL ? user : "");
}

static const struct identity *remembered(const struct keystore *ks, const char *user)
{
    for (unsigned i = 0; i < ks->identity_count; i++) {
        if (strcmp(ks->identities[i].user, user) == 0)
            return &ks->identities[i];
    }
    return NULL;
}

/* Puts a client in the place of the oldest one. Returns NULL when memory ran out. */
static const struct identity *remember(struct keystore *ks, const struct identity *who,
                                       const char *user, const char *tenant)
{
    struct identity copy = *who;
    copy.user = strdup(user);
    copy.tenant = strdup(tenant);
    if (copy.user == NULL || copy.tenant == NULL) {
        free(copy.user);
        free(copy.tenant);
        return NULL;
    }
    struct identity *place = &ks->identities[ks->identity_next];
    free(place->user);
    free(place->tenant);
    *place = copy;
    ks->identity_next = (ks->identity_next + 1) % IDENTITIES_MAX;
    if (ks->identity_count < IDENTITIES_MAX)
        ks->identity_count++;
    return place;
}

/* Reads the numbers of a client's row. One without an active KEK is not remembered: nothing would
 * be asked of the database that told when there is one. */
static int read_identity(const PGresult *result, struct identity *who, int64_t *generation,
                         struct failure *f)
{
    if (PQgetisnull(result, 0, 3))
        return fail_unavailable(f, "sealed", "the database names no active KEK");
    if (result_int4(result, 0, 0, &who->client_id) != 0 ||
        result_int4(result, 0, 1, &who->tenant_id) != 0 ||
        result_int4(result, 0, 3, &who->kek_version) != 0 ||
        result_bytes(result, 0, 4, who->kek_check, sizeof who->kek_check) != 0 ||
        result_int8(result, 0, 5, generation) != 0 || result_text(result, 0, 2) == NULL)
        return fail_unavailable(f, "schema", "identify: unexpected types");
    return 0;
}

static int take_identity(struct keystore *ks, const char *user, const PGresult *result,
                         const struct identity **who, struct failure *f)
{
    struct identity found = {0};
    int64_t generation = 0;
    if (PQntuples(result) == 0)
        return store_unknown_client(user, f);
    if (read_identity(result, &found, &generation, f) != 0)
        return -1;
    if (generation != ks->generation)
        forget_identities(ks);
    ks->generation = generation;
    *who = remember(ks, &found, user, result_text(result, 0, 2));
    return *who != NULL ? 0 : fail_memory(f);
}

int store_identify(struct keystore *ks, const char *user, const struct identity **who,
                   struct failure *f)
{
    /* A name that is no UTF-8 cannot be in the database. */
    if (user == NULL || utf8_valid_prefix(user, strlen(user)) != strlen(user))
        return store_unknown_client(user, f);
    *who = remembered(ks, user);
    if (*who != NULL)
        return 0;
    PGresult *result;
    params_clear(&ks->params);
    params_text(&ks->params, user);
    if (connection_run(ks->connection, &IDENTIFY, &ks->params, &result, f) != 0)
        return -1;
    const int status = take_identity(ks, user, result, who, f);
    PQclear(result);
    return status;
}

void store_put_who(struct params *p, const struct keystore_request *request)
{
    struct in6_addr parsed; /* room for either kind */
    const char *address = request->remote_addr;
    if (address != NULL && inet_pton(AF_INET, address, &parsed) != 1 &&
        inet_pton(AF_INET6, address, &parsed) != 1)
        address = NULL;
    params_readable_text(p, request->remote_user);
    params_text(p, address);
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
