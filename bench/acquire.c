/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire.h"

#include <stdio.h>
#include <string.h>

#include "content.h"

enum { ARRAY_MAX = 64 * 1024, SEALED_BYTES = 44, IV_BYTES = 16, SYSTEMS = 3 };

/* Object identifiers of PostgreSQL's built-in types (catalog/pg_type.dat), which never change. */
enum { OID_BYTEA = 17, OID_TEXT = 25, OID_UUID = 2950 };

static const char CALL[] =
    "SELECT sealed, kek_version, explicit_iv, scheme, created"
    "  FROM speke.acquire($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

static int complain(const struct acquire *a, const char *what)
{
    const char *why = a->connection == NULL ? "out of memory" : PQerrorMessage(a->connection);
    fprintf(stderr, "trivial: %s: %s\n", what, why);
    return -1;
}

/* The head of an array of one dimension without NULLs (array_recv). */
static void begin_array(struct buf *b, uint32_t type, size_t count)
{
    buf_clear(b);
    buf_put_be32(b, 1); /* dimensions */
    buf_put_be32(b, 0); /* no NULLs */
    buf_put_be32(b, type);
    buf_put_be32(b, (uint32_t)count);
    buf_put_be32(b, 1); /* first index */
}

static void put_element(struct buf *b, const void *bytes, size_t n)
{
    buf_put_be32(b, (uint32_t)n);
    buf_put(b, bytes, n);
}

/* What is the same in every call. */
static bool make_arrays(struct acquire *a)
{
    static const unsigned char filler[SEALED_BYTES] = {0};
    struct buf *all[] = {&a->kids, &a->schemes, &a->sealed, &a->ivs, &a->systems};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        buf_init(all[i], ARRAY_MAX);
    begin_array(&a->schemes, OID_TEXT, a->keys);
    begin_array(&a->sealed, OID_BYTEA, a->keys);
    begin_array(&a->ivs, OID_BYTEA, a->keys);
    for (size_t i = 0; i < a->keys; i++) {
        put_element(&a->schemes, "cbcs", 4);
        put_element(&a->sealed, filler, SEALED_BYTES);
        put_element(&a->ivs, filler, IV_BYTES);
    }
    begin_array(&a->systems, OID_UUID, SYSTEMS);
    for (size_t i = 0; i < SYSTEMS; i++)
        put_element(&a->systems, filler, UUID_BYTES);
    return buf_ok(&a->schemes) && buf_ok(&a->sealed) && buf_ok(&a->ivs) && buf_ok(&a->systems);
}

static int identify(struct acquire *a, const char *remote_user)
{
    const char *values[] = {remote_user};
    PGresult *r = PQexecParams(a->connection,
                               "SELECT generation, client_id, tenant_id, kek_version"
                               "  FROM speke.identify($1)",
                               1, NULL, values, NULL, NULL, 0);
    const bool found = PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1;
    if (found) {
        (void)snprintf(a->generation, sizeof a->generation, "%s", PQgetvalue(r, 0, 0));
        (void)snprintf(a->client_id, sizeof a->client_id, "%s", PQgetvalue(r, 0, 1));
        (void)snprintf(a->tenant_id, sizeof a->tenant_id, "%s", PQgetvalue(r, 0, 2));
        (void)snprintf(a->kek_version, sizeof a->kek_version, "%s", PQgetvalue(r, 0, 3));
    }
    PQclear(r);
    return found ? 0 : complain(a, "the client is not known");
}

int acquire_open(struct acquire *a, const char *database, const char *remote_user, size_t keys)
{
    *a = (struct acquire){.keys = keys, .connection = PQconnectdb(database)};
    if (PQstatus(a->connection) != CONNECTION_OK)
        return complain(a, "no connection");
    if (!make_arrays(a))
        return complain(a, "arrays");
    if (identify(a, remote_user) != 0)
        return -1;
    PGresult *r = PQprepare(a->connection, "acquire", CALL, ACQUIRE_PARAMETERS, NULL);
    const bool prepared = PQresultStatus(r) == PGRES_COMMAND_OK;
    PQclear(r);
    return prepared ? 0 : complain(a, "prepare");
}

void acquire_close(struct acquire *a)
{
    PQfinish(a->connection);
    buf_free(&a->kids);
    buf_free(&a->schemes);
    buf_free(&a->sealed);
    buf_free(&a->ivs);
    buf_free(&a->systems);
}

static PGresult *execute(struct acquire *a, const char *remote_user, const char *content_id)
{
    const struct buf *arrays[ACQUIRE_PARAMETERS] = {
        [7] = &a->kids, [8] = &a->schemes, [9] = &a->sealed, [10] = &a->ivs, [12] = &a->systems};
    const char *values[ACQUIRE_PARAMETERS] = {a->generation, a->client_id,         a->tenant_id,
                                              remote_user,   "127.0.0.1",          "2.0",
                                              content_id,    [11] = a->kek_version};
    int lengths[ACQUIRE_PARAMETERS] = {0};
    int formats[ACQUIRE_PARAMETERS] = {0};
    for (size_t i = 0; i < ACQUIRE_PARAMETERS; i++) {
        if (arrays[i] == NULL)
            continue;
        values[i] = (const char *)arrays[i]->data;
        lengths[i] = (int)arrays[i]->len;
        formats[i] = 1;
    }
    return PQexecPrepared(a->connection, "acquire", ACQUIRE_PARAMETERS, values, lengths, formats,
                          1);
}

/* As many rows as keys, each with its last column, "created", as it must be. */
static bool as_expected(const PGresult *r, size_t keys, bool created)
{
    if (PQresultStatus(r) != PGRES_TUPLES_OK || (size_t)PQntuples(r) != keys)
        return false;
    for (int i = 0; i < PQntuples(r); i++) {
        if (PQgetlength(r, i, 4) != 1 || PQgetvalue(r, i, 4)[0] != (created ? 1 : 0))
            return false;
    }
    return true;
}

int acquire_call(struct acquire *a, const char *remote_user, uint64_t run, uint64_t content,
                 bool created)
{
    char content_id[BENCH_CONTENT_ID_SIZE];
    bench_content_id(run, content, content_id);
    begin_array(&a->kids, OID_UUID, a->keys);
    for (size_t i = 0; i < a->keys; i++) {
        struct uuid kid;
        bench_kid(run, content, i, &kid);
        put_element(&a->kids, kid.bytes, sizeof kid.bytes);
    }
    if (!buf_ok(&a->kids))
        return complain(a, "arrays");
    PGresult *r = execute(a, remote_user, content_id);
    const bool good = as_expected(r, a->keys, created);
    PQclear(r);
    return good ? 0 : complain(a, created ? "keys were not made" : "keys were not there");
}
