/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines, failures and the secure heap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/failure.h"
#include "base/log.h"
#include "base/secret.h"

/* It has a macro called fail: the function of that name is called in parentheses here. */
#include <cmocka.h>

/* --- Log ------------------------------------------------------------------------------------ */

static char logged[8192];
static int sink, saved;

static void catch_stderr(void)
{
    sink = memfd_create("log", MFD_CLOEXEC);
    saved = dup(STDERR_FILENO);
    assert_true(sink >= 0 && saved >= 0);
    assert_true(dup2(sink, STDERR_FILENO) >= 0);
}

/* Leaves what went to stderr since catch_stderr() in logged. */
static void release_stderr(void)
{
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    const ssize_t n = pread(sink, logged, sizeof logged - 1, 0);
    assert_true(n >= 0);
    logged[n] = '\0';
    assert_int_equal(close(sink), 0);
    assert_int_equal(close(saved), 0);
}

static void assert_logged(const char *level, const char *text)
{
    char expected[4096];
    (void)snprintf(expected, sizeof expected, "speke[%ld] %s: %s\n", (long)getpid(), level, text);
    assert_string_equal(logged, expected);
}

static void an_event_is_one_line(void **state)
{
    (void)state;
    catch_stderr();
    log_error("%s=%d", "x", 7);
    release_stderr();
    assert_logged("error", "x=7");
}

static void nobody_forges_a_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } CASES[] = {
        {"a\nspeke[1] error: forged", "a\\x0aspeke[1] error: forged"},
        {"\x1b[2J\r\t\x7f", "\\x1b[2J\\x0d\\x09\\x7f"},
        {"Grüße", "Grüße"},
        {"\xff\xfe\xc0\xaf\xed\xa0\x80", "\\xff\\xfe\\xc0\\xaf\\xed\\xa0\\x80"},
        {"\xc2\x85\xc2\x9b", "\\xc2\\x85\\xc2\\x9b"},
        {"%s%n", "%s%n"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        catch_stderr();
        log_warning("%s", CASES[i].text);
        release_stderr();
        assert_logged("warning", CASES[i].shown);
    }
}

static void a_long_line_is_cut_but_ends(void **state)
{
    (void)state;
    static char text[10000];
    memset(text, '\n', sizeof text - 1);
    catch_stderr();
    log_error("%s", text);
    release_stderr();
    const size_t n = strlen(logged);
    assert_true(n > 1000 && n < 4096);
    assert_ptr_equal(strchr(logged, '\n'), logged + n - 1);
}

static void levels_decide(void **state)
{
    (void)state;
    assert_int_equal(log_open("stderr", "warning"), 0);
    assert_true(log_enabled(LOG_LEVEL_ERROR));
    assert_true(log_enabled(LOG_LEVEL_WARNING));
    assert_false(log_enabled(LOG_LEVEL_NOTICE));
    catch_stderr();
    log_notice("not this");
    log_debug("nor this");
    log_warning("but this");
    release_stderr();
    assert_logged("warning", "but this");
    assert_int_equal(log_open("stderr", "debug"), 0);
    catch_stderr();
    log_debug("all");
    release_stderr();
    assert_logged("debug", "all");
    assert_int_equal(log_open("stderr", "notice"), 0);
}

static void unknown_words_change_nothing(void **state)
{
    (void)state;
    assert_int_equal(log_open("stderr", "loud"), -1);
    assert_int_equal(log_open("file", "debug"), -1);
    assert_int_equal(log_open("", ""), -1);
    assert_false(log_enabled(LOG_LEVEL_INFO));
    assert_true(log_enabled(LOG_LEVEL_NOTICE));
}

/* --- Failure -------------------------------------------------------------------------------- */

static void a_failure_tells_client_and_log_apart(void **state)
{
    (void)state;
    struct failure f;
    failure_clear(&f);
    assert_false(failed(&f));
    assert_int_equal((fail)(&f, 422, "Missing %s", "CPIX@version"), -1);
    assert_true(failed(&f));
    assert_int_equal(f.status, 422);
    assert_string_equal(f.text, "Missing CPIX@version");
    assert_string_equal(f.cause, "");
    assert_int_equal(fail_because(&f, "line %d", 3), -1);
    assert_string_equal(f.text, "Missing CPIX@version");
    assert_string_equal(f.cause, "line 3");
    assert_int_equal(fail_internal(&f, "%s", "what happened"), -1);
    assert_int_equal(f.status, 500);
    assert_string_equal(f.text, "Internal error");
    assert_string_equal(f.cause, "what happened");
    assert_int_equal(fail_memory(&f), -1);
    assert_int_equal(f.status, 500);
    assert_int_equal(fail_unavailable(&f, "database", "no %s", "socket"), -1);
    assert_int_equal(f.status, 503);
    assert_true(f.retry_after > 0);
    assert_string_equal(f.text, "Service unavailable: database");
    assert_string_equal(f.cause, "no socket");
    assert_int_equal((fail)(&f, 400, "x"), -1);
    assert_int_equal(f.retry_after, 0);
    failure_clear(&f);
    assert_false(failed(&f));
    assert_string_equal(f.text, "");
}

static void a_failure_cuts_what_is_too_long(void **state)
{
    (void)state;
    static char text[2000];
    struct failure f;
    memset(text, 'x', sizeof text - 1);
    (void)(fail)(&f, 400, "%s", text);
    (void)fail_because(&f, "%s", text);
    assert_int_equal(strlen(f.text), sizeof f.text - 1);
    assert_int_equal(strlen(f.cause), sizeof f.cause - 1);
}

/* --- Secrets -------------------------------------------------------------------------------- */

static void no_heap_no_secret(void **state)
{
    (void)state;
    assert_null(secret_alloc(16));
}

static void the_heap_gives_zeroed_pieces_until_it_is_full(void **state)
{
    (void)state;
    enum { HEAP = 65536, PIECE = 4096 };
    struct failure f;
    struct rlimit core;
    void *pieces[HEAP / PIECE + 1];
    size_t count = 0;
    if (secret_setup(HEAP, &f) != 0)
        fail_msg("%s", f.cause);
    assert_int_equal(secret_setup(HEAP, &f), 0); /* a second time changes nothing */
    assert_int_equal(getrlimit(RLIMIT_CORE, &core), 0);
    assert_int_equal(core.rlim_cur, 0);
    assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
    for (int round = 0; round < 2; round++) {
        for (count = 0; count <= HEAP / PIECE; count++) {
            unsigned char *p = secret_alloc(PIECE);
            if (p == NULL)
                break;
            for (size_t i = 0; i < PIECE; i++)
                assert_int_equal(p[i], 0);
            memset(p, 0xa5, PIECE);
            pieces[count] = p;
        }
        assert_true(count > 0 && count <= HEAP / PIECE);
        while (count > 0)
            secret_free(pieces[--count], PIECE);
    }
    secret_free(NULL, 16);
}

static void secrets_are_compared_and_wiped(void **state)
{
    (void)state;
    unsigned char a[16] = {1, 2, 3}, b[16] = {1, 2, 3};
    assert_true(secret_equal(a, b, sizeof a));
    b[15] = 1;
    assert_false(secret_equal(a, b, sizeof a));
    assert_true(secret_equal(a, b, 15));
    secret_wipe(a, 2);
    assert_int_equal(a[0], 0);
    assert_int_equal(a[1], 0);
    assert_int_equal(a[2], 3);
    secret_wipe(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_one_line),
        cmocka_unit_test(nobody_forges_a_line),
        cmocka_unit_test(a_long_line_is_cut_but_ends),
        cmocka_unit_test(levels_decide),
        cmocka_unit_test(unknown_words_change_nothing),
        cmocka_unit_test(a_failure_tells_client_and_log_apart),
        cmocka_unit_test(a_failure_cuts_what_is_too_long),
        cmocka_unit_test(no_heap_no_secret),
        cmocka_unit_test(the_heap_gives_zeroed_pieces_until_it_is_full),
        cmocka_unit_test(secrets_are_compared_and_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
