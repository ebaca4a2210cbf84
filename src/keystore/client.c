/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks: clients and the settings of their tenants, remembered as long as the configuration has
 * the generation under which they were read. */
#include <stdlib.h>
#include <string.h>

#include "base/failure.h"
#include "base/utf8.h"
#include "keystore/store.h"

static const Oid TYPES[] = {OID_TEXT};
static const struct statement IDENTIFY = {
    .name = "client_configuration",
    .sql = "SELECT client_id, tenant_id, tenant, kek_version, kek_check, generation, "
           "setting_system, setting_name, setting_value FROM speke.client_configuration($1)",
    .param_count = sizeof TYPES / sizeof TYPES[0],
    .types = TYPES,
};

enum { CLIENT_ID, TENANT_ID, TENANT, KEK_VERSION, KEK_CHECK, GENERATION, SYSTEM, NAME, VALUE };

/* --- tenants -------------------------------------------------------------------------------- */

/* What the clients of a tenant have in common. The texts are those of the result. */
struct tenant {
    unsigned users; /* identities that refer to it */
    PGresult *result;
    struct keystore_setting *settings;
    size_t setting_count;
};

static void tenant_release(struct tenant *t)
{
    if (t == NULL || --t->users > 0)
        return;
    PQclear(t->result);
    free(t->settings);
    free(t);
}

/* One row for each setting, or a single one whose name is NULL. Returns 0 or -1. */
static int read_settings(struct tenant *t)
{
    const int rows = PQntuples(t->result);
    if (rows == 1 && PQgetisnull(t->result, 0, NAME))
        return 0;
    t->settings = calloc((size_t)rows, sizeof *t->settings);
    if (t->settings == NULL)
        return -1;
    for (int i = 0; i < rows; i++) {
        t->settings[i] = (struct keystore_setting){
            .system = result_text(t->result, i, SYSTEM),
            .name = result_text(t->result, i, NAME),
            .value = result_text(t->result, i, VALUE),
        };
    }
    t->setting_count = (size_t)rows;
    return 0;
}

/* Takes the result over, also when memory ran out, which NULL tells. */
static struct tenant *tenant_new(PGresult *result)
{
    struct tenant *t = calloc(1, sizeof *t);
    if (t == NULL) {
        PQclear(result);
        return NULL;
    }
    t->users = 1;
    t->result = result;
    if (read_settings(t) == 0)
        return t;
    tenant_release(t);
    return NULL;
}

/* --- remembering ---------------------------------------------------------------------------- */

static void clear(struct identity *who)
{
    free(who->user);
    tenant_release(who->tenant);
    memset(who, 0, sizeof *who);
}

void keystore_forget_clients(struct keystore *ks)
{
    for (unsigned i = 0; i < ks->identity_count; i++)
        clear(&ks->identities[i]);
    ks->identity_count = 0;
    ks->identity_next = 0;
    ks->who = NULL;
    store_forget_audiences(ks);
}

void store_forget(struct keystore *ks)
{
    keystore_forget_clients(ks);
    ks->schema = 0;
}

static const struct identity *remembered(const struct keystore *ks, const char *user)
{
    for (unsigned i = 0; i < ks->identity_count; i++) {
        if (strcmp(ks->identities[i].user, user) == 0)
            return &ks->identities[i];
    }
    return NULL;
}

/* The tenant that another client was read with, of whom there is one more user now. */
static struct tenant *shared_tenant(const struct keystore *ks, int32_t tenant_id)
{
    for (unsigned i = 0; i < ks->identity_count; i++) {
        if (ks->identities[i].tenant_id == tenant_id) {
            ks->identities[i].tenant->users++;
            return ks->identities[i].tenant;
        }
    }
    return NULL;
}

/* Puts a client in the place of the oldest one and takes the result over. Returns NULL when memory
 * ran out. */
static const struct identity *remember(struct keystore *ks, const struct identity *found,
                                       const char *user, PGresult *result)
{
    struct identity copy = *found;
    copy.tenant = shared_tenant(ks, found->tenant_id);
    if (copy.tenant != NULL)
        PQclear(result);
    else
        copy.tenant = tenant_new(result);
    copy.user = strdup(user);
    if (copy.user == NULL || copy.tenant == NULL) {
        clear(&copy);
        return NULL;
    }
    copy.client = (struct keystore_client){
        .tenant = result_text(copy.tenant->result, 0, TENANT),
        .settings = copy.tenant->settings,
        .setting_count = copy.tenant->setting_count,
        .generation = ks->generation,
    };
    struct identity *place = &ks->identities[ks->identity_next];
    clear(place);
    *place = copy;
    ks->identity_next = (ks->identity_next + 1) % IDENTITIES_MAX;
    if (ks->identity_count < IDENTITIES_MAX)
        ks->identity_count++;
    return place;
}

/* --- asking --------------------------------------------------------------------------------- */

int store_unknown_client(const char *user, struct failure *f)
{
    (void)fail(f, 403, "Forbidden");
    return fail_because(f, "client \"%s\" is unknown or disabled", user != NULL ? user : "");
}

/* Reads the numbers of a client's first row. One without an active KEK is not remembered: nothing
 * would be asked of the database that told when there is one. */
static int read_identity(const PGresult *result, struct identity *who, int64_t *generation,
                         struct failure *f)
{
    if (PQgetisnull(result, 0, KEK_VERSION))
        return fail_unavailable(f, "sealed", "the database names no active KEK");
    if (result_int4(result, 0, CLIENT_ID, &who->client_id) != 0 ||
        result_int4(result, 0, TENANT_ID, &who->tenant_id) != 0 ||
        result_int4(result, 0, KEK_VERSION, &who->kek_version) != 0 ||
        result_bytes(result, 0, KEK_CHECK, who->kek_check, sizeof who->kek_check) != 0 ||
        result_int8(result, 0, GENERATION, generation) != 0 ||
        result_text(result, 0, TENANT) == NULL)
        return fail_unavailable(f, "schema", "client_configuration: unexpected types");
    return 0;
}

/* Takes the result over. */
static int take_identity(struct keystore *ks, const char *user, PGresult *result, struct failure *f)
{
    struct identity found = {0};
    int64_t generation = 0;
    const int status = PQntuples(result) == 0 ? store_unknown_client(user, f)
                                              : read_identity(result, &found, &generation, f);
    if (status != 0) {
        PQclear(result);
        return -1;
    }
    if (generation != ks->generation)
        keystore_forget_clients(ks);
    ks->generation = generation;
    ks->who = remember(ks, &found, user, result);
    return ks->who != NULL ? 0 : fail_memory(f);
}

static int identify(struct keystore *ks, const char *user, struct failure *f)
{
    PGresult *result;
    if (store_open(ks, f) != 0)
        return -1;
    /* A name that is no UTF-8 cannot be in the database. */
    if (user == NULL || utf8_valid_prefix(user, strlen(user)) != strlen(user))
        return store_unknown_client(user, f);
    ks->who = remembered(ks, user);
    if (ks->who != NULL)
        return 0;
    params_clear(&ks->params);
    params_text(&ks->params, user);
    if (connection_run(ks->connection, &IDENTIFY, &ks->params, &result, f) != 0)
        return store_denied(ks, f);
    return take_identity(ks, user, result, f);
}

int store_who(const struct keystore *ks, const struct keystore_request *request,
              const struct identity **who, bool *stale, struct failure *f)
{
    *who = ks->who;
    if (*who == NULL) {
        *stale = true;
        return fail_unavailable(f, "database",
                                "a new connection: the client is not known any more");
    }
    if (strcmp((*who)->user, request->remote_user) != 0)
        return fail_internal(f, "keys asked for by another client than was identified");
    return 0;
}

bool store_is_stale(const struct keystore *ks)
{
    return strcmp(connection_sqlstate(ks->connection), "SK001") == 0;
}

int keystore_identify(struct keystore *ks, const struct keystore_request *request,
                      const struct keystore_client **client, struct failure *f)
{
    *client = NULL;
    ks->who = NULL;
    if (identify(ks, request->remote_user, f) != 0)
        return -1;
    *client = &ks->who->client;
    return 0;
}
