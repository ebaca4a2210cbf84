/* SPDX-License-Identifier: Apache-2.0 */
/* The database restarts, hangs, dies, is locked or has another schema: 503 in time, nothing half
 * done, and recovery without help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keystore_fixture.h"

#include <cmocka.h>

enum {
    LIMIT_MS = 3000,   /* that a packager may wait for a 503 */
    AT_ONCE_MS = 90,   /* less than any time-out, with room for a busy machine */
    RECOVERY_MS = 8000 /* back-off of 2 s and the start of a server */
};

static int set_up(void **state)
{
    static struct settings s;
    s = fixture_settings();
    *state = keystore_new(&s);
    return *state != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    keystore_free(*state);
    return 0;
}

/* An order that succeeded, so that there is a connection and the client is known. */
static struct order *warm(struct keystore *ks, const char *content)
{
    struct order *o = order_new("red-1", content, 1, 2);
    expect_keys(ks, o);
    return o;
}

static void expect_word(struct keystore *ks, const char *word)
{
    struct failure f = {0};
    keystore_begin(ks);
    if (keystore_health(ks, &f) != -1 || f.status != 503 || strcmp(f.text, word) != 0)
        fail_msg("health: expected %s, got %d \"%s\" (%s)", word, f.status, f.text, f.cause);
}

static void expect_recovery(struct keystore *ks, struct order *o)
{
    struct failure f;
    const int64_t start = now_ms();
    while (order_run(ks, o, &f) != 0) {
        if (f.status != 503 || now_ms() - start > RECOVERY_MS)
            fail_msg("no recovery: %d \"%s\" (%s)", f.status, f.text, f.cause);
        (void)usleep(20 * 1000);
    }
    keystore_begin(ks);
    assert_int_equal(keystore_health(ks, &f), 0);
}

/* There is a connection, and no client is known yet. */
static void expect_ready(struct keystore *ks)
{
    struct failure f = {0};
    keystore_begin(ks);
    assert_int_equal(keystore_health(ks, &f), 0);
}

/* A failure that takes at most this long. */
static void expect_failure_within(struct keystore *ks, struct order *o, int64_t most,
                                  const char *part)
{
    const int64_t start = now_ms();
    expect_failure(ks, o, 503, part);
    const int64_t took = now_ms() - start;
    if (took > most)
        fail_msg("\"%s\" took %ld ms, allowed %ld", part, (long)took, (long)most);
}

/* The dead connection is noticed and replaced within the call: nobody hears of the restart. */
static void test_restart_between_requests(void **state)
{
    struct order *o = warm(*state, "restart");
    const struct keystore_request request = {.remote_user = "red-1"};
    struct failure f = {0};
    fixture_server("restart");
    expect_keys(*state, o);
    fixture_server("restart");
    assert_int_equal(keystore_refuse(*state, &request, 400, "no", NULL, 0, &f), 0);
    fixture_server("restart");
    assert_int_equal(keystore_health(*state, &f), 0);
    fixture_server("kill");
    fixture_server("start");
    expect_keys(*state, o);
    order_free(o);
}

static void test_terminated_between_requests(void **state)
{
    struct order *o = warm(*state, "terminated");
    for (int i = 0; i < 3; i++) {
        admin("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
              "WHERE usename = 't_service'");
        expect_keys(*state, o);
    }
    order_free(o);
}

static void test_stopped(void **state)
{
    struct order *o = warm(*state, "stopped");
    fixture_server("stop");
    expect_failure_within(*state, o, LIMIT_MS, "Service unavailable: database");
    expect_failure_within(*state, o, AT_ONCE_MS, "not tried again yet after: connecting:");
    expect_word(*state, "database");
    fixture_server("start");
    expect_recovery(*state, o);
    order_free(o);
}

/* Attempts become rarer, and are not given up. */
static void test_back_off(void **state)
{
    struct order *o = warm(*state, "back-off");
    struct failure f;
    int attempts = 0;
    fixture_server("stop");
    for (int64_t end = now_ms() + 3000; now_ms() < end; (void)usleep(5 * 1000)) {
        assert_int_equal(order_run(*state, o, &f), -1);
        attempts += strstr(f.cause, "not tried again") == NULL ? 1 : 0;
    }
    fixture_server("start");
    /* After 50..100, 100..200, 200..400, 400..800, 800..1600 ms and so on. */
    if (attempts < 4 || attempts > 7)
        fail_msg("%d attempts to connect in 3 s", attempts);
    expect_recovery(*state, o);
    order_free(o);
}

/* A server that stands still, with the connection open: no answer. */
static void test_frozen(void **state)
{
    struct order *o = warm(*state, "frozen");
    fixture_freeze();
    const int64_t start = now_ms();
    expect_failure_within(*state, o, LIMIT_MS, "no answer within 2500 ms");
    const struct keystore_request request = {.remote_user = "red-1"};
    struct failure f = {0};
    assert_int_equal(keystore_refuse(*state, &request, 503, "no", NULL, 0, &f), -1);
    assert_int_equal(f.status, 503);
    /* The refusal of the same request does not wait a second time. */
    if (now_ms() - start > LIMIT_MS)
        fail_msg("a request and its refusal took %ld ms", (long)(now_ms() - start));
    fixture_thaw();
    expect_recovery(*state, o);
    order_free(o);
}

/* The same before there is a connection. */
static void test_frozen_while_connecting(void **state)
{
    struct order *o = order_new("red-1", "frozen first", 1, 1);
    fixture_freeze();
    expect_failure_within(*state, o, LIMIT_MS, "connecting: no answer within 2500 ms");
    fixture_thaw();
    expect_recovery(*state, o);
    order_free(o);
}

/* Somebody locks a table: the server gives the statement up before this side does, and it does not
 * come true later. */
static void test_locked(void **state)
{
    struct order *warmed = warm(*state, "locked");
    struct order *o = order_new("red-1", "locked new", 1, 2);
    PGconn *holder = admin_connect();
    PQclear(PQexec(holder, "BEGIN; LOCK TABLE speke.content_key IN ACCESS EXCLUSIVE MODE"));
    expect_failure_within(*state, o, LIMIT_MS, "SQLSTATE 5");
    PQfinish(holder);
    (void)usleep(300 * 1000);
    assert_string_equal(query("SELECT (SELECT count(*) FROM speke.content_key WHERE content_id = "
                              "'locked new') + (SELECT count(*) FROM speke.audit_event "
                              "WHERE content_id = 'locked new')"),
                        "0");
    expect_recovery(*state, o);
    order_free(warmed);
    order_free(o);
}

/* Holds a lock for some time, from another process. */
static pid_t hold(const char *table, unsigned ms)
{
    int ready[2];
    char sql[128], byte = 0;
    assert_int_equal(pipe(ready), 0);
    const pid_t holder = fork();
    if (holder == 0) {
        PGconn *pg = admin_connect();
        (void)snprintf(sql, sizeof sql, "BEGIN; LOCK TABLE speke.%s IN ACCESS EXCLUSIVE MODE",
                       table);
        PQclear(PQexec(pg, sql));
        const ssize_t told = write(ready[1], &byte, 1);
        (void)usleep(ms * 1000);
        PQfinish(pg);
        _exit(told == 1 ? 0 : 1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    (void)close(ready[1]);
    return holder;
}

/* The database is slow to tell who asks, and then says nothing about the keys: both waits together
 * are no longer than one may be. */
static void test_slow_and_then_silent(void **state)
{
    static const struct {
        const char *first, *second;
    } ROWS[] = {{"tenant_setting", "content_key"}, {"tenant_setting", "audit_event"}};
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct order *o = order_new("red-1", "slow", 1, 2);
        int status;
        expect_ready(*state);
        const pid_t slow = hold(ROWS[i].first, 1600), silent = hold(ROWS[i].second, 3500);
        expect_failure_within(*state, o, LIMIT_MS - 300, "acquire: no answer within 2500 ms");
        assert_int_equal(waitpid(slow, &status, 0), slow);
        assert_int_equal(status, 0);
        assert_int_equal(waitpid(silent, &status, 0), silent);
        assert_int_equal(status, 0);
        expect_recovery(*state, o);
        order_free(o);
        keystore_forget_clients(*state);
    }
}

/* The connection goes while a statement is under way: 503, and it is not sent again. */
static void test_terminated_under_way(void **state)
{
    struct order *o = warm(*state, "under way");
    PGconn *holder = admin_connect();
    PQclear(PQexec(holder, "BEGIN; LOCK TABLE speke.audit_event IN ACCESS EXCLUSIVE MODE"));
    const pid_t killer = fork();
    if (killer == 0) {
        (void)usleep(300 * 1000);
        admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 't_service'");
        _exit(0);
    }
    int status;
    expect_failure_within(*state, o, LIMIT_MS, "terminating connection due to");
    assert_int_equal(waitpid(killer, &status, 0), killer);
    assert_int_equal(status, 0);
    PQfinish(holder);
    (void)usleep(300 * 1000);
    assert_string_equal(
        query("SELECT count(*) FROM speke.audit_event WHERE content_id = 'under way'"), "1");
    expect_recovery(*state, o);
    order_free(o);
}

static void test_schema_missing(void **state)
{
    struct order *o = warm(*state, "schema");
    admin("ALTER SCHEMA speke RENAME TO elsewhere");
    expect_failure(*state, o, 503, "Service unavailable: schema");
    expect_word(*state, "schema");
    struct settings s = fixture_settings();
    struct keystore *fresh = keystore_new(&s);
    expect_failure(fresh, o, 503, "Service unavailable: schema");
    expect_word(fresh, "schema");
    admin("ALTER SCHEMA elsewhere RENAME TO speke");
    expect_keys(*state, o); /* on the same connection */
    expect_keys(fresh, o);
    keystore_free(fresh);
    order_free(o);
}

static void test_schema_of_another_version(void **state)
{
    struct order *o = warm(*state, "version");
    admin("INSERT INTO speke.schema_version (version, name) VALUES (1000, 'future')");
    expect_failure(*state, o, 503, "the schema has version 1000, this program works with 4 to 11");
    expect_failure(*state, o, 503, "Service unavailable: schema");
    expect_word(*state, "schema");
    admin("DELETE FROM speke.schema_version WHERE version = 1000");
    expect_keys(*state, o);
    admin("CREATE TABLE public.applied AS SELECT * FROM speke.schema_version; "
          "DELETE FROM speke.schema_version WHERE version > 1");
    expect_failure(*state, o, 503, "the schema has version 1,");
    admin("DELETE FROM speke.schema_version");
    expect_failure(*state, o, 503, "the schema has version 0,");
    admin("INSERT INTO speke.schema_version SELECT * FROM public.applied; "
          "DROP TABLE public.applied");
    expect_keys(*state, o);
    order_free(o);
}

/* A refusal by the data is no reason to drop the connection, and none to wait. */
static void test_error_of_one_request(void **state)
{
    struct order *o = warm(*state, "fine");
    char content[4200];
    memset(content, 'x', sizeof content - 1);
    content[sizeof content - 1] = '\0';
    struct order *bad = order_new("red-1", content, 1, 1);
    expect_failure(*state, bad, 503, "content_key_content_id_length");
    expect_keys(*state, o);
    order_free(bad);
    order_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_restart_between_requests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_terminated_between_requests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_back_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_frozen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_frozen_while_connecting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_locked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow_and_then_silent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_terminated_under_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_schema_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_schema_of_another_version, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_error_of_one_request, set_up, tear_down),
    };
    int status = fixture_start();
    if (status != 0)
        return status;
    status = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_thaw();
    fixture_stop();
    return status;
}
