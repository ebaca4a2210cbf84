/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire.h"

#include <stdio.h>
#include <string.h>

#include "content.h"

enum { SEALED_BYTES = 44, IV_BYTES = 16, SYSTEMS = 3, BINARY = 1 };

static const Oid TYPES[] = {OID_INT8,       OID_INT4,        OID_INT4,        OID_TEXT,
                            OID_TEXT,       OID_TEXT,        OID_TEXT,        OID_UUID_ARRAY,
                            OID_TEXT_ARRAY, OID_BYTEA_ARRAY, OID_BYTEA_ARRAY, OID_INT4,
                            OID_UUID_ARRAY, OID_TEXT_ARRAY,  OID_TEXT_ARRAY,  OID_TEXT_ARRAY,
                            OID_TEXT_ARRAY, OID_TEXT_ARRAY,  OID_TEXT_ARRAY,  OID_INT4_ARRAY,
                            OID_UUID_ARRAY, OID_BYTEA_ARRAY, OID_TEXT_ARRAY};
enum { TYPE_COUNT = sizeof TYPES / sizeof TYPES[0] };

static const char CALL[] =
    "SELECT sealed, kek_version, explicit_iv, scheme, created "
    "FROM speke.acquire($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, "
    "$14, $15, $16, $17, $18, $19, $20, $21, $22, $23)";

static int complain(const struct acquire *a, const char *what)
{
    const char *why = a->connection == NULL ? "out of memory" : PQerrorMessage(a->connection);
    fprintf(stderr, "trivial: %s: %s\n", what, why);
    return -1;
}

static int identify(struct acquire *a)
{
    const char *values[] = {a->remote_user};
    PGresult *r = PQexecParams(a->connection,
                               "SELECT generation, client_id, tenant_id, kek_version "
                               "FROM speke.identify($1)",
                               1, NULL, values, NULL, NULL, BINARY);
    const bool found = PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1 &&
                       result_int8(r, 0, 0, &a->generation) == 0 &&
                       result_int4(r, 0, 1, &a->client_id) == 0 &&
                       result_int4(r, 0, 2, &a->tenant_id) == 0 &&
                       result_int4(r, 0, 3, &a->kek_version) == 0;
    PQclear(r);
    return found ? 0 : complain(a, "the client is not known");
}

int acquire_open(struct acquire *a, const char *database, const char *remote_user, size_t keys)
{
    *a = (struct acquire){.keys = keys, .remote_user = remote_user};
    params_init(&a->params);
    a->connection = PQconnectdb(database);
    if (PQstatus(a->connection) != CONNECTION_OK)
        return complain(a, "no connection");
    if (identify(a) != 0)
        return -1;
    PGresult *r = PQprepare(a->connection, "acquire", CALL, TYPE_COUNT, TYPES);
    const bool prepared = PQresultStatus(r) == PGRES_COMMAND_OK;
    PQclear(r);
    return prepared ? 0 : complain(a, "prepare");
}

void acquire_close(struct acquire *a)
{
    PQfinish(a->connection);
    params_free(&a->params);
}

/* No periods and no recipients, the usual case: empty arrays of whatever type. */
static void put_none(struct params *p)
{
    static const uint32_t ELEMENTS[] = {OID_TEXT, OID_TEXT, OID_TEXT, OID_TEXT,  OID_TEXT,
                                        OID_TEXT, OID_INT4, OID_UUID, OID_BYTEA, OID_TEXT};
    for (size_t i = 0; i < sizeof ELEMENTS / sizeof ELEMENTS[0]; i++) {
        params_array(p, ELEMENTS[i], 0);
        params_array_end(p);
    }
}

/* An array of keys elements, all the same. */
static void put_same(struct acquire *a, uint32_t type, const void *bytes, size_t n)
{
    params_array(&a->params, type, a->keys);
    for (size_t i = 0; i < a->keys; i++)
        params_item(&a->params, bytes, n);
    params_array_end(&a->params);
}

static void put_params(struct acquire *a, uint64_t run, uint64_t content)
{
    static const unsigned char filler[SEALED_BYTES] = {0};
    static const struct uuid systems[SYSTEMS] = {{{0}}};
    char content_id[BENCH_CONTENT_ID_SIZE];
    struct uuid kids[BENCH_KEYS_MAX];
    bench_content_id(run, content, content_id);
    for (size_t i = 0; i < a->keys; i++)
        bench_kid(run, content, i, &kids[i]);
    struct params *p = &a->params;
    params_clear(p);
    params_int8(p, a->generation);
    params_int4(p, a->client_id);
    params_int4(p, a->tenant_id);
    params_text(p, a->remote_user);
    params_text(p, "127.0.0.1");
    params_text(p, "2.0");
    params_text(p, content_id);
    params_uuids(p, kids, a->keys);
    put_same(a, OID_TEXT, "cbcs", strlen("cbcs"));
    put_same(a, OID_BYTEA, filler, SEALED_BYTES);
    put_same(a, OID_BYTEA, filler, IV_BYTES);
    params_int4(p, a->kek_version);
    params_uuids(p, systems, SYSTEMS);
    put_none(p);
}

static PGresult *execute(struct acquire *a)
{
    const char *values[PARAMS_MAX];
    int formats[PARAMS_MAX];
    for (int i = 0; i < a->params.count; i++) {
        values[i] = (const char *)a->params.data.data + a->params.offsets[i];
        formats[i] = BINARY;
    }
    return PQexecPrepared(a->connection, "acquire", a->params.count, values, a->params.lengths,
                          formats, BINARY);
}

/* As many rows as keys, each with its last column, "created", as it must be. */
static bool as_expected(const PGresult *r, size_t keys, bool created)
{
    if (PQresultStatus(r) != PGRES_TUPLES_OK || (size_t)PQntuples(r) != keys)
        return false;
    for (int i = 0; i < PQntuples(r); i++) {
        bool is_new;
        if (result_bool(r, i, 4, &is_new) != 0 || is_new != created)
            return false;
    }
    return true;
}

int acquire_call(struct acquire *a, uint64_t run, uint64_t content, bool created)
{
    put_params(a, run, content);
    if (!params_ok(&a->params))
        return complain(a, "parameters");
    PGresult *r = execute(a);
    const bool good = as_expected(r, a->keys, created);
    PQclear(r);
    return good ? 0 : complain(a, created ? "keys were not made" : "keys were not there");
}
