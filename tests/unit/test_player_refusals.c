/* SPDX-License-Identifier: Apache-2.0 */
/* Players that were turned away are counted by kind, and written down when it is time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/log.h"
#include "keystore/player.h"
#include "player/refusals.h"

#include <cmocka.h>

/* What was written down, in order. */
static struct written {
    int tenant_id, status;
    char reason[64], address[46];
    long count;
} rows[2 * REFUSALS_KINDS];
static size_t row_count, calls;
static bool away;

/* In place of the key store's. */
int keystore_count_refusals(struct keystore *ks, int tenant_id, int status, const char *reason,
                            long count, const char *remote_addr, struct failure *f)
{
    assert_null(ks);
    calls++;
    if (away)
        return fail_unavailable(f, "database", "away");
    assert_true(row_count < sizeof rows / sizeof rows[0]);
    struct written *w = &rows[row_count++];
    *w = (struct written){.tenant_id = tenant_id, .status = status, .count = count};
    (void)snprintf(w->reason, sizeof w->reason, "%s", reason);
    (void)snprintf(w->address, sizeof w->address, "%s", remote_addr);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    row_count = calls = 0;
    away = false;
    return log_open("stderr", "error");
}

static void kinds_are_counted_apart(void **state)
{
    (void)state;
    struct refusals r = {0};
    const struct refusal expired = {.tenant_id = 1, .status = 401, .reason = "token_expired"};
    const struct refusal rival = {.tenant_id = 2, .status = 401, .reason = "token_expired"};
    const struct refusal other = {.tenant_id = 1, .status = 403, .reason = "other_content"};
    for (int i = 0; i < 1000; i++)
        refusals_note(&r, &expired, "studio", i < 999 ? "192.0.2.1" : "192.0.2.2", 0);
    refusals_note(&r, &rival, "rival", "192.0.2.3", 0);
    refusals_note(&r, &other, "studio", NULL, 0);
    refusals_note(&r, &rival, NULL, "192.0.2.3", 0);
    refusals_tend(&r, NULL, REFUSALS_INTERVAL_MS - 1);
    assert_int_equal(calls, 0);
    refusals_tend(&r, NULL, REFUSALS_INTERVAL_MS);
    assert_int_equal(row_count, 3);
    assert_int_equal(rows[0].count, 1000);
    assert_string_equal(rows[0].reason, "token_expired");
    assert_string_equal(rows[0].address, "192.0.2.2"); /* of the last one */
    assert_int_equal(rows[1].tenant_id, 2);
    assert_int_equal(rows[1].count, 2);
    assert_int_equal(rows[2].status, 403);
    assert_int_equal(rows[2].count, 1);
    assert_string_equal(rows[2].address, "");
    refusals_flush(&r, NULL);
    assert_int_equal(row_count, 3); /* each once */
}

/* The time runs from the first of those that are not written down. */
static void the_time_begins_anew(void **state)
{
    (void)state;
    struct refusals r = {0};
    const struct refusal kind = {.status = 401, .reason = "no_token"};
    refusals_note(&r, &kind, "a", "192.0.2.1", 1000);
    refusals_note(&r, &kind, "b", "192.0.2.1", 9000);
    refusals_tend(&r, NULL, 1000 + REFUSALS_INTERVAL_MS);
    assert_int_equal(row_count, 1);
    refusals_note(&r, &kind, "a", "192.0.2.1", 20000);
    refusals_tend(&r, NULL, 1000 + 2 * REFUSALS_INTERVAL_MS);
    assert_int_equal(row_count, 1);
    refusals_tend(&r, NULL, 20000 + REFUSALS_INTERVAL_MS);
    assert_int_equal(row_count, 2);
}

/* No room: written down before its time; and should nobody do that, nothing is overrun. */
static void there_is_an_end_of_kinds(void **state)
{
    (void)state;
    struct refusals r = {0};
    for (int i = 0; i < REFUSALS_KINDS + 10; i++) {
        const struct refusal kind = {.tenant_id = i, .status = 401, .reason = "no_token"};
        refusals_note(&r, &kind, "a", "192.0.2.1", 0);
    }
    assert_int_equal(r.count, REFUSALS_KINDS);
    refusals_tend(&r, NULL, 1);
    assert_int_equal(row_count, REFUSALS_KINDS);
    assert_int_equal(rows[REFUSALS_KINDS - 1].count, 11); /* with the last one */
    assert_int_equal(r.count, 0);
}

/* Long names are cut, and a key store that is away is asked once, not for each kind. */
static void what_does_not_fit_or_work(void **state)
{
    (void)state;
    static const char LONG[] = "0123456789012345678901234567890123456789"
                               "0123456789012345678901234567890123456789";
    struct refusals r = {0};
    const struct refusal one = {.status = 401, .reason = "no_token"};
    const struct refusal two = {.status = 404, .reason = "no_key"};
    refusals_note(&r, &one, LONG, LONG, 0);
    refusals_note(&r, &two, LONG, "192.0.2.1", 0);
    assert_int_equal(strlen(r.kinds[0].tenant), sizeof r.kinds[0].tenant - 1);
    assert_int_equal(strlen(r.kinds[0].address), sizeof r.kinds[0].address - 1);
    away = true;
    refusals_flush(&r, NULL);
    assert_int_equal(calls, 1);
    assert_int_equal(r.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(kinds_are_counted_apart, begin),
        cmocka_unit_test_setup(the_time_begins_anew, begin),
        cmocka_unit_test_setup(there_is_an_end_of_kinds, begin),
        cmocka_unit_test_setup(what_does_not_fit_or_work, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
