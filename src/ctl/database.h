/* SPDX-License-Identifier: Apache-2.0 */
/* The database as the operator's tool uses it: connect, ask, and say on one line what went wrong
 * and what to do about it. */
#ifndef CTL_DATABASE_H
#define CTL_DATABASE_H

#include <jansson.h>
#include <libpq-fe.h>
#include <stddef.h>

struct ctl;
struct params;

/* Connects to --db, else $SPEKE_DB, else the setting "database". Returns NULL when it has said why
 * it could not, with the exit code in *code. Ended with PQfinish(). */
PGconn *database_open(struct ctl *ctl, int *code);

/* Runs one statement with text parameters (NULL is SQL NULL). Returns the result, to be freed with
 * PQclear(), or NULL when it has said what is wrong, with the exit code in *code. */
PGresult *database_query(PGconn *db, int *code, const char *sql, int count,
                         const char *const *parameters);
/* The same for whoever has run the statement with libpq alone: takes its result. */
PGresult *database_judge(PGconn *db, PGresult *result, int *code);
/* The same with parameters, and a result, in binary form (keystore/wire.h). */
PGresult *database_call(PGconn *db, int *code, const char *sql, const Oid *types,
                        const struct params *params);
/* The same for a statement whose result does not matter. Returns an enum ctl_exit. */
int database_command(PGconn *db, const char *sql, int count, const char *const *parameters);
/* Runs the statements of a script, which may begin and commit transactions; after an error the
 * transaction at hand is rolled back. */
int database_script(PGconn *db, const char *sql);
/* The rows of a result as objects named by its columns: numbers, booleans, arrays, jsonb and
 * null keep their kind, all else is text. NULL when memory ran out. */
json_t *database_rows(const PGresult *result);
/* database_query() and database_rows() in one. */
json_t *database_list(PGconn *db, int *code, const char *sql, int count,
                      const char *const *parameters);
/* The same, a page at a time, for as many rows as there may be: page() gets at most CTL_PAGE_ROWS
 * of them, which it takes the reference of, and returns an enum ctl_exit; after anything but
 * CTL_DONE the connection is of no use but to be ended. */
enum { CTL_PAGE_ROWS = 1000 };
int database_pages(PGconn *db, const char *sql, int count, const char *const *parameters,
                   int (*page)(void *context, json_t *rows), void *context);
/* Asks a question whose answer is one value, cut at size bytes; "" for NULL and for none. Returns
 * an enum ctl_exit. */
int database_ask(PGconn *db, const char *sql, char *out, size_t size);
/* The version of the schema, 0 when there is none. Returns an enum ctl_exit. */
int database_schema_version(PGconn *db, long *version);

#endif
