/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/connection.h"

#include <errno.h>
#include <openssl/rand.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failure.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/settings.h"
#include "keystore/clock.h"
#include "keystore/wire.h"

enum {
    BACK_OFF_FIRST_MS = 100,
    BACK_OFF_MOST_MS = 2000,
    STATEMENTS_MAX = 24, /* a process that serves both doors uses all that there are */
    OPTIONS_SIZE = 2048,
    CAUSE_SIZE = 320,
    MESSAGE_SIZE = 320,
    DETAIL_SIZE = 16,
    BINARY = 1
};

struct connection {
    const struct settings *settings;
    char *options; /* NULL: the setting is no connection string */
    PGconn *pg;    /* NULL while there is none */
    const struct statement *prepared[STATEMENTS_MAX];
    int64_t left;       /* milliseconds that may still be waited for this request */
    int64_t not_before; /* no attempt to connect earlier */
    unsigned failures;  /* in a row */
    char sqlstate[6];
    char message[MESSAGE_SIZE], detail[DETAIL_SIZE]; /* that belong to an SQLSTATE of class SK */
    char cause[CAUSE_SIZE];                          /* of the last failure to connect */
};

/* --- settings ------------------------------------------------------------------------------- */

/* What the connection is to be like, before what the setting or PGOPTIONS ask for, which wins. The
 * server gives a statement up a little earlier than this side does, so that it does not come true
 * later; one that follows a slow one of the same request may, which leaves the row of a release
 * that nobody got. Poolers that "prepare = off" is meant for refuse such options, so there the
 * deadline holds alone and the rest is for ALTER ROLE ... SET. */
static char *make_options(const struct settings *settings, const char *asked)
{
    if (!settings->prepare)
        return strdup(asked);
    char *out = malloc(OPTIONS_SIZE);
    if (out == NULL)
        return NULL;
    const long patience = settings->database_timeout - settings->database_timeout / 10;
    int n = snprintf(out, OPTIONS_SIZE,
                     "-c statement_timeout=%ld -c lock_timeout=%ld "
                     "-c idle_in_transaction_session_timeout=%ld "
                     "-c default_transaction_isolation=read\\ committed%s %s",
                     patience, patience, patience,
                     settings->audit_wait ? "" : " -c synchronous_commit=off", asked);
    if (n < 0 || n >= OPTIONS_SIZE) {
        free(out);
        return NULL;
    }
    return out;
}

/* Parses the connection string and leaves the message about a bad one alone: it may quote a
 * password. Returns NULL when it is bad. */
static char *options_of(const struct settings *settings)
{
    PQconninfoOption *options = PQconninfoParse(settings->database, NULL);
    if (options == NULL)
        return NULL;
    const char *asked = getenv("PGOPTIONS");
    for (const PQconninfoOption *o = options; o->keyword != NULL; o++) {
        if (strcmp(o->keyword, "options") == 0 && o->val != NULL)
            asked = o->val;
    }
    char *result = make_options(settings, asked != NULL ? asked : "");
    PQconninfoFree(options);
    return result;
}

struct connection *connection_new(const struct settings *settings)
{
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->settings = settings;
    connection_begin(c);
    c->options = options_of(settings);
    return c;
}

static void drop(struct connection *c)
{
    PQfinish(c->pg);
    c->pg = NULL;
    memset(c->prepared, 0, sizeof c->prepared);
}

void connection_free(struct connection *c)
{
    if (c == NULL)
        return;
    drop(c);
    free(c->options);
    free(c);
}

const char *connection_sqlstate(const struct connection *c)
{
    return c->sqlstate;
}

const char *connection_message(const struct connection *c)
{
    return c->message;
}

const char *connection_detail(const struct connection *c)
{
    return c->detail;
}

/* --- failing -------------------------------------------------------------------------------- */

/* 100 ms doubling to 2 s, of which a random half is left out, so that many processes do not come
 * back together. */
static int64_t back_off(unsigned failures)
{
    unsigned char random[2] = {0};
    int64_t wait = BACK_OFF_FIRST_MS;
    for (unsigned i = 1; i < failures && wait < BACK_OFF_MOST_MS; i++)
        wait *= 2;
    if (wait > BACK_OFF_MOST_MS)
        wait = BACK_OFF_MOST_MS;
    if (RAND_bytes(random, sizeof random) != 1)
        return wait; /* less jitter is no harm */
    return wait / 2 + (random[0] << 8 | random[1]) % (wait / 2 + 1);
}

/* The connection is of no use any more: the next attempt waits. */
static int lost(struct connection *c, struct failure *f, const char *doing, const char *why)
{
    (void)snprintf(c->cause, sizeof c->cause, "%s: %.*s", doing, (int)strcspn(why, "\n"), why);
    drop(c);
    c->failures++;
    c->not_before = clock_ms() + back_off(c->failures);
    return fail_unavailable(f, "database", "%s", c->cause);
}

static int lost_here(struct connection *c, struct failure *f, const char *doing)
{
    char why[CAUSE_SIZE];
    (void)snprintf(why, sizeof why, "%s", PQerrorMessage(c->pg));
    return lost(c, f, doing, why);
}

static int timed_out(struct connection *c, struct failure *f, const char *doing)
{
    char why[64];
    (void)snprintf(why, sizeof why, "no answer within %ld ms", c->settings->database_timeout);
    return lost(c, f, doing, why);
}

/* --- waiting -------------------------------------------------------------------------------- */

void connection_begin(struct connection *c)
{
    c->left = c->settings->database_timeout;
}

/* Waits for the socket. Returns what it is ready for, 0 when there is nothing left to wait.
 *
 * Only waiting counts: what else a request does meanwhile, reading a slow client's body for one, is
 * not the database's fault. */
static short wait_for(struct connection *c, short events)
{
    struct pollfd p = {.fd = PQsocket(c->pg), .events = events};
    while (c->left > 0 && p.fd >= 0) {
        const int64_t start = clock_ms();
        const int n = poll(&p, 1, (int)c->left);
        c->left -= clock_ms() - start;
        if (n > 0)
            return p.revents;
        if (n < 0 && errno != EINTR)
            return 0;
    }
    return 0;
}

/* --- connecting ----------------------------------------------------------------------------- */

/* Notices and what a server says before it closes an idle connection. */
static void take_notice(void *context, const PGresult *notice)
{
    (void)context;
    const char *text = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    log_info("database: %s", text != NULL ? text : "notice without text");
}

/* libpq resolves host names and reads certificates without giving this side a chance to stop it:
 * use a Unix socket or hostaddr where a name server may hang. It keeps SIGPIPE away by itself. */
static int start(struct connection *c, struct failure *f)
{
    const char *const keywords[] = {"dbname", "options", "client_encoding",
                                    "fallback_application_name", NULL};
    const char *const values[] = {c->settings->database, c->options, "UTF8", "speke-fcgi", NULL};
    c->pg = PQconnectStartParams(keywords, values, 1);
    if (c->pg == NULL)
        return fail_memory(f);
    (void)PQsetNoticeReceiver(c->pg, take_notice, NULL); /* returns the former one */
    if (PQstatus(c->pg) == CONNECTION_BAD)
        return lost_here(c, f, "connecting");
    return 0;
}

static int establish(struct connection *c, struct failure *f)
{
    for (PostgresPollingStatusType next = PGRES_POLLING_WRITING; next != PGRES_POLLING_OK;
         next = PQconnectPoll(c->pg)) {
        if (next == PGRES_POLLING_FAILED)
            return lost_here(c, f, "connecting");
        if (wait_for(c, next == PGRES_POLLING_READING ? POLLIN : POLLOUT) == 0)
            return timed_out(c, f, "connecting");
    }
    if (PQsetnonblocking(c->pg, 1) != 0)
        return lost_here(c, f, "connecting");
    return 0;
}

/* Whether an idle connection is still one. A server that closed it has left a message, the end of
 * the stream or both; anything else that is there to read (a changed parameter) is taken in. */
static bool is_alive(PGconn *pg)
{
    struct pollfd p = {.fd = PQsocket(pg), .events = POLLIN};
    while (PQstatus(pg) == CONNECTION_OK) {
        if (p.fd < 0 || poll(&p, 1, 0) < 0)
            return false;
        if (p.revents == 0)
            return PQtransactionStatus(pg) == PQTRANS_IDLE;
        if (PQconsumeInput(pg) != 1)
            return false;
        (void)PQisBusy(pg); /* parses what came */
    }
    return false;
}

int connection_open(struct connection *c, bool *fresh, struct failure *f)
{
    *fresh = false;
    if (c->options == NULL)
        return fail_unavailable(f, "database",
                                "the setting \"database\" is no libpq connection string");
    if (c->pg != NULL) {
        if (is_alive(c->pg))
            return 0;
        log_notice("the database closed the connection, connecting again");
        drop(c);
    }
    if (clock_ms() < c->not_before)
        return fail_unavailable(f, "database", "not tried again yet after: %s", c->cause);
    if (start(c, f) != 0 || establish(c, f) != 0)
        return -1;
    if (c->failures > 0)
        log_notice("connected to the database again after %u failures", c->failures);
    c->failures = 0;
    *fresh = true;
    return 0;
}

/* --- running statements --------------------------------------------------------------------- */

/* One step: sends what is left to send, waits, takes in what came. */
static int step(struct connection *c, const char *doing, struct failure *f)
{
    const int unsent = PQflush(c->pg);
    if (unsent < 0)
        return lost_here(c, f, doing);
    const short ready = wait_for(c, unsent > 0 ? POLLIN | POLLOUT : POLLIN);
    if (ready == 0)
        return timed_out(c, f, doing);
    if (ready != POLLOUT && PQconsumeInput(c->pg) != 1)
        return lost_here(c, f, doing);
    return 0;
}

/* Waits for the one result of a statement. Returns NULL with the failure set when the connection
 * was lost on the way.
 *
 * What was sent is never sent again: the server may have carried it out before the connection was
 * lost. Asking for keys twice would give the same keys, but also a second audit row of a release
 * that took place once. The packager gets 503 and asks again, which is a request of its own. */
static PGresult *collect(struct connection *c, const char *doing, struct failure *f)
{
    PGresult *first = NULL;
    for (;;) {
        while (PQisBusy(c->pg)) {
            if (step(c, doing, f) != 0) {
                PQclear(first);
                return NULL;
            }
        }
        PGresult *next = PQgetResult(c->pg);
        if (next == NULL)
            break;
        if (first == NULL)
            first = next;
        else
            PQclear(next);
    }
    if (first == NULL)
        (void)lost_here(c, f, doing);
    return first;
}

static bool in_class(const char *sqlstate, const char *class)
{
    return strncmp(sqlstate, class, strlen(class)) == 0;
}

/* Errors that come from what was asked, or from the schema, leave a connection as good as it was.
 * After all others, time-outs among them, the next request is better off with a new one or, if the
 * server is in trouble, with an answer at once. */
static bool spares_connection(const struct connection *c)
{
    return PQstatus(c->pg) == CONNECTION_OK && PQtransactionStatus(c->pg) == PQTRANS_IDLE &&
           (in_class(c->sqlstate, "22") || in_class(c->sqlstate, "23") ||
            in_class(c->sqlstate, "3F") || in_class(c->sqlstate, "42") ||
            in_class(c->sqlstate, "SK"));
}

/* What a function of the schema says with an SQLSTATE of its own is its words alone. */
static void keep_message(struct connection *c, const PGresult *result)
{
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    if (!in_class(c->sqlstate, "SK"))
        return;
    (void)printable(c->message, sizeof c->message, message != NULL ? message : "");
    (void)printable(c->detail, sizeof c->detail, detail != NULL ? detail : "");
}

/* Tells an error by its primary message alone: details quote rows. */
static int refused(struct connection *c, const char *doing, const PGresult *result,
                   struct failure *f)
{
    char why[CAUSE_SIZE];
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (text == NULL)
        text = PQresultErrorMessage(result);
    (void)snprintf(c->sqlstate, sizeof c->sqlstate, "%s", state != NULL ? state : "");
    keep_message(c, result);
    (void)snprintf(why, sizeof why, "%.240s (SQLSTATE %s)", text,
                   c->sqlstate[0] != '\0' ? c->sqlstate : "none");
    if (!spares_connection(c))
        return lost(c, f, doing, why);
    const bool schema = strcmp(c->sqlstate, "42883") == 0 || strcmp(c->sqlstate, "3F000") == 0;
    return fail_unavailable(f, schema ? "schema" : "database", "%s: %s", doing, why);
}

/* Returns 0 when the statement is prepared on this connection, or need not be. */
static int prepare(struct connection *c, const struct statement *statement, struct failure *f)
{
    size_t i = 0;
    while (i < STATEMENTS_MAX && c->prepared[i] != NULL && c->prepared[i] != statement)
        i++;
    if (i == STATEMENTS_MAX)
        return fail_internal(f, "too many kinds of statements");
    if (c->prepared[i] == statement)
        return 0;
    if (PQsendPrepare(c->pg, statement->name, statement->sql, statement->param_count,
                      statement->types) != 1)
        return lost_here(c, f, statement->name);
    PGresult *result = collect(c, statement->name, f);
    if (result == NULL)
        return -1;
    int status = 0;
    if (PQresultStatus(result) == PGRES_COMMAND_OK)
        c->prepared[i] = statement;
    else
        status = refused(c, statement->name, result, f);
    PQclear(result);
    return status;
}

static int send(struct connection *c, const struct statement *statement,
                const struct params *params)
{
    const char *values[PARAMS_MAX];
    int formats[PARAMS_MAX];
    for (int i = 0; i < params->count; i++) {
        values[i] = params->lengths[i] < 0 ? NULL
                                           : (const char *)params->data.data + params->offsets[i];
        formats[i] = BINARY;
    }
    if (c->settings->prepare)
        return PQsendQueryPrepared(c->pg, statement->name, params->count, values, params->lengths,
                                   formats, BINARY);
    return PQsendQueryParams(c->pg, statement->sql, params->count, statement->types, values,
                             params->lengths, formats, BINARY);
}

int connection_run(struct connection *c, const struct statement *statement,
                   const struct params *params, PGresult **result, struct failure *f)
{
    *result = NULL;
    c->sqlstate[0] = c->message[0] = c->detail[0] = '\0';
    if (!params_ok(params) || params->count != statement->param_count)
        return fail_internal(f, "%s: parameters do not fit", statement->name);
    if (c->settings->prepare && prepare(c, statement, f) != 0)
        return -1;
    if (send(c, statement, params) != 1)
        return lost_here(c, f, statement->name);
    PGresult *got = collect(c, statement->name, f);
    if (got == NULL)
        return -1;
    if (PQresultStatus(got) != PGRES_TUPLES_OK) {
        (void)refused(c, statement->name, got, f);
        PQclear(got);
        return -1;
    }
    *result = got;
    return 0;
}
