/* SPDX-License-Identifier: Apache-2.0 */
/* One libpq connection that never waits longer than it may: every wait is a poll(), and all waits
 * of a request together have one limit. */
#ifndef KEYSTORE_CONNECTION_H
#define KEYSTORE_CONNECTION_H

#include <libpq-fe.h>
#include <stdbool.h>

struct connection;
struct failure;
struct params;
struct settings;

/* Named for the log; its parameters' types are given, its parameters and results are binary. */
struct statement {
    const char *name;
    const char *sql;
    int param_count;
    const Oid *types;
};

/* Uses the settings database, database_timeout, prepare and audit_wait. Does not connect. NULL when
 * memory ran out. */
struct connection *connection_new(const struct settings *settings);
void connection_free(struct connection *c);

/* A request begins: what follows until the next call of this may wait for database_timeout
 * milliseconds, all waits together. */
void connection_begin(struct connection *c);

/* Makes sure that there is a connection, and sets *fresh when it is a new one. One that the server
 * closed since it was used last is replaced here, when nothing has been sent yet. Returns 0, or -1
 * with 503 "database": also at once, when the last attempt failed a moment ago. */
int connection_open(struct connection *c, bool *fresh, struct failure *f);

/* Runs a statement and waits for its rows. Returns 0 with a result that the caller clears, or -1
 * with 503: "schema" when the function or the schema is not there, "database" otherwise, with the
 * cause for the log; connection_sqlstate() then has the server's SQLSTATE. */
int connection_run(struct connection *c, const struct statement *statement,
                   const struct params *params, PGresult **result, struct failure *f);

/* SQLSTATE of the last connection_run() that failed, "" when the server did not say one. */
const char *connection_sqlstate(const struct connection *c);
/* The message and the detail that came with an SQLSTATE of class SK, fit for a line of text; ""
 * with any other. */
const char *connection_message(const struct connection *c);
const char *connection_detail(const struct connection *c);

#endif
