/* SPDX-License-Identifier: Apache-2.0 */
/* What tenants and clients may not: no key is given out or made, whoever asks at the same time, and
 * the answer says why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "keystore_fixture.h"

#include <cmocka.h>

static int set_up(void **state)
{
    static struct settings s;
    s = fixture_settings();
    fixture_write_keks(KEK_1);
    *state = keystore_new(&s);
    return *state != NULL ? 0 : -1;
}

/* Whatever was restricted is lifted. */
static int tear_down(void **state)
{
    keystore_free(*state);
    admin(
        "DELETE FROM speke.tenant_setting; UPDATE speke.client SET addresses = NULL, fetch_only = "
        "false, valid_from = NULL, valid_until = NULL");
    return 0;
}

static void set_policy(const char *name, const char *value)
{
    admin("SELECT speke.setting_set('red', NULL, '%s', '%s')", name, value);
}

static void set_client(const char *changes)
{
    admin("SELECT speke.client_set('red-1', '%s')", changes);
}

/* A minute's quota is not to be used on both sides of the end of a minute. */
static void avoid_end_of_minute(void)
{
    const time_t second = time(NULL) % 60;
    if (second > 45)
        (void)sleep((unsigned)(61 - second));
}

static int retry_after(struct keystore *ks, struct order *o)
{
    struct failure f;
    assert_int_equal(order_run(ks, o, &f), -1);
    assert_int_equal(f.status, 429);
    return f.retry_after;
}

/* --- clients -------------------------------------------------------------------------------- */

static void test_address(void **state)
{
    struct order *o = order_new("red-1", "address", 1, 2); /* from 192.0.2.1 */
    struct order *other = order_new("red-2", "address", 1, 2);
    set_client("{\"addresses\": [\"192.0.2.0/29\"]}");
    expect_keys(*state, o);
    set_client("{\"addresses\": [\"192.0.2.8/29\", \"2001:db8::/64\"]}");
    expect_failure(*state, o, 403, "Client not allowed from this address");
    o->request.remote_addr = "2001:db8::77";
    expect_keys(*state, o);
    o->request.remote_addr = "::ffff:192.0.2.9";
    expect_keys(*state, o);
    o->request.remote_addr = NULL;
    expect_failure(*state, o, 403, "Client not allowed from this address");
    o->request.remote_addr = "rubbish";
    expect_failure(*state, o, 403, "Client not allowed from this address");
    expect_keys(*state, other);
    order_free(o);
    order_free(other);
}

/* A refusal for another reason tells a client that is not at home nothing of it. */
static void test_refusal_elsewhere(void **state)
{
    struct keystore_request request = {.remote_user = "red-1", .remote_addr = "192.0.2.1"};
    struct failure f = {0};
    assert_int_equal(keystore_refuse(*state, &request, 400, "x", NULL, 0, &f), 0);
    set_client("{\"addresses\": [\"198.51.100.0/24\"]}");
    assert_int_equal(keystore_refuse(*state, &request, 400, "x", NULL, 0, &f), -1);
    assert_int_equal(f.status, 403);
    assert_string_equal(f.text, "Forbidden");
    assert_non_null(strstr(f.cause, "not allowed now or from address \"192.0.2.1\""));
}

static void test_fetch_only(void **state)
{
    struct order *two = order_new("red-1", "fetch", 1, 2);
    struct order *three = order_new("red-1", "fetch", 1, 3);
    struct order *maker = order_new("red-2", "fetch", 1, 3);
    expect_keys(*state, two);
    set_client("{\"fetch_only\": true}");
    expect_keys(*state, two);
    expect_failure(*state, three, 403,
                   "Content key 03030303-0303-0303-0303-030303030303 does not exist, and the "
                   "client may not make keys");
    expect_keys(*state, maker);
    expect_keys(*state, three);
    expect_same_keys(maker, three);
    order_free(two);
    order_free(three);
    order_free(maker);
}

/* Time passes without a word to the process, which remembers the client. */
static void test_end_date(void **state)
{
    struct order *o = order_new("red-1", "until", 1, 1);
    struct failure f;
    admin("SELECT speke.client_set('red-1', jsonb_build_object('valid_until', now() + interval "
          "'700 ms'))");
    expect_keys(*state, o);
    (void)usleep(800000);
    const char *generation = query("SELECT generation FROM speke.config_generation");
    char before[32];
    (void)snprintf(before, sizeof before, "%s", generation);
    expect_failure(*state, o, 403, "Client not allowed since 20");
    expect_failure(*state, o, 403, "Client not allowed since 20");
    assert_string_equal(query("SELECT generation FROM speke.config_generation"), before);
    assert_int_equal(keystore_refuse(*state, &o->request, 400, "x", NULL, 0, &f), -1);
    assert_int_equal(f.status, 403);
    set_client("{\"valid_until\": null, \"valid_from\": \"2999-01-01\"}");
    expect_failure(*state, o, 403, "Client not allowed before 2999-01-01T00:00:00Z");
    set_client("{\"valid_from\": null}");
    expect_keys(*state, o);
    order_free(o);
}

/* --- tenants -------------------------------------------------------------------------------- */

static void test_read_only(void **state)
{
    struct order *one = order_new("red-1", "read-only", 1, 1);
    struct order *two = order_new("red-2", "read-only", 1, 2);
    struct order *other = order_new("blue-1", "read-only", 1, 2);
    expect_keys(*state, one);
    set_policy("read_only", "on");
    expect_keys(*state, one);
    expect_failure(*state, two, 403, "does not exist, and the tenant may not make keys");
    expect_keys(*state, other);
    set_policy("read_only", "off");
    expect_keys(*state, two);
    order_free(one);
    order_free(two);
    order_free(other);
}

static void test_quotas(void **state)
{
    struct order *two = order_new("red-1", "quota", 1, 2);
    struct order *three = order_new("red-2", "quota", 1, 3);
    struct order *four = order_new("red-2", "quota", 1, 4);
    avoid_end_of_minute();
    set_policy("new_keys_per_minute", "2");
    expect_failure(*state, three, 429,
                   "Quota of 2 new keys a minute exceeded: the request needs 3");
    assert_int_equal(retry_after(*state, three), 3600);
    expect_keys(*state, two);
    expect_failure(*state, three, 429, "the request needs 1");
    assert_in_range(retry_after(*state, three), 1, 60);
    expect_keys(*state, two);
    assert_string_equal(query("SELECT count(*) FROM speke.content_key WHERE content_id = 'quota'"),
                        "2");
    set_policy("new_keys_per_minute", "3");
    expect_keys(*state, three);

    set_policy("new_keys_per_minute", "0");
    set_policy("keys_total", query("SELECT count(*) FROM speke.content_key JOIN speke.tenant USING "
                                   "(tenant_id) WHERE name = 'red'"));
    expect_failure(*state, four, 429, "keys in all exceeded: the request needs 1");
    assert_int_equal(retry_after(*state, four), 3600);
    expect_keys(*state, three);

    set_policy("keys_per_minute", "4");
    expect_keys(*state, three);
    expect_failure(*state, two, 429, "Quota of 4 keys a minute exceeded: the request needs 2");
    assert_in_range(retry_after(*state, two), 1, 60);
    order_free(two);
    order_free(three);
    order_free(four);
}

/* --- two tenants ---------------------------------------------------------------------------- */

/* Keys are asked for as the client that was identified, or not at all; and a row of one tenant that
 * is put in the place of another's does not open. */
static void test_two_tenants(void **state)
{
    struct keystore *ks = *state;
    struct order *red = order_new("red-1", "same", 1, 2);
    struct order *blue = order_new("blue-1", "same", 1, 2);
    const struct keystore_client *client;
    struct failure f = {0};
    bool stale;
    expect_keys(ks, red);
    expect_keys(ks, blue);
    for (size_t i = 0; i < red->count; i++)
        assert_memory_not_equal(red->slots[i].key, blue->slots[i].key, KEYSTORE_KEY_BYTES);

    const char *events = query("SELECT count(*) FROM speke.audit_event");
    char before[32];
    (void)snprintf(before, sizeof before, "%s", events);
    assert_int_equal(keystore_identify(ks, &red->request, &client, &f), 0);
    assert_string_equal(client->tenant, "red");
    assert_int_equal(
        keystore_acquire(ks, &blue->request, blue->slots, blue->count, &blue->details, &stale, &f),
        -1);
    assert_int_equal(f.status, 500);
    assert_false(stale);
    assert_string_equal(query("SELECT count(*) FROM speke.audit_event"), before);

    admin(
        "UPDATE speke.content_key b SET sealed = r.sealed, kek_version = r.kek_version, scheme = "
        "r.scheme FROM speke.content_key r WHERE r.content_id = 'same' AND b.content_id = 'same' "
        "AND r.kid = b.kid AND r.tenant_id <> b.tenant_id AND r.tenant_id = (SELECT tenant_id FROM "
        "speke.tenant WHERE name = 'red')");
    expect_failure(ks, blue, 500, "a key does not open");
    expect_keys(ks, red);
    order_free(red);
    order_free(blue);
}

/* --- all at once ---------------------------------------------------------------------------- */

enum { RACERS = 4, ROUNDS = 15, KEYS = 3 };

struct race {
    int given[RACERS], refused[RACERS]; /* keys */
};

/* Each asks for contents of its own, and then for one that all of them ask for. */
static int run_racer(struct race *race, int number, int start)
{
    struct settings s = fixture_settings();
    struct keystore *ks = keystore_new(&s);
    char content[32], byte;
    struct failure f;
    if (ks == NULL || keystore_health(ks, &f) != 0 || read(start, &byte, 1) != 0)
        return 1;
    for (int round = 0; round < ROUNDS; round++) {
        (void)snprintf(content, sizeof content, "race %d %d", round, round % 3 == 0 ? 0 : number);
        struct order *o = order_new("red-1", content, 1, KEYS);
        if (order_run(ks, o, &f) == 0) {
            race->given[number] += KEYS;
        } else if (f.status == 429) {
            race->refused[number] += KEYS;
        } else {
            (void)fprintf(stderr, "racer %d: %d %s (%s)\n", number, f.status, f.text, f.cause);
            return 1;
        }
        order_free(o);
    }
    keystore_free(ks);
    return 0;
}

static void run_race(struct race *race)
{
    int start[2];
    pid_t racers[RACERS];
    assert_int_equal(pipe(start), 0);
    for (int i = 0; i < RACERS; i++) {
        racers[i] = fork();
        if (racers[i] == 0) {
            (void)close(start[1]);
            _exit(run_racer(race, i, start[0]));
        }
        assert_true(racers[i] > 0);
    }
    (void)close(start[0]);
    (void)close(start[1]); /* go: all of them read the end */
    for (int i = 0; i < RACERS; i++) {
        int status;
        assert_int_equal(waitpid(racers[i], &status, 0), racers[i]);
        assert_int_equal(status, 0);
    }
}

/* What was given out is what the audit has, what was made is what the table has, and neither is
 * more than the quota, which is used to the last key that fits. */
static void race_for(const char *name, int quota, bool new_keys)
{
    char text[16];
    struct race *race = mmap(NULL, sizeof *race, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                             -1, 0);
    assert_ptr_not_equal(race, MAP_FAILED);
    avoid_end_of_minute();
    admin("CREATE TABLE public.before AS SELECT (SELECT count(*) FROM speke.content_key k JOIN "
          "speke.tenant t USING (tenant_id) WHERE t.name = 'red') AS keys, "
          "(SELECT max(event_id) FROM speke.audit_event) AS event_id");
    (void)snprintf(text, sizeof text, "%d",
                   quota + (strcmp(name, "keys_total") == 0
                                ? atoi(query("SELECT keys FROM public.before"))
                                : 0));
    set_policy(name, text);
    run_race(race);
    int given = 0, refused = 0;
    for (int i = 0; i < RACERS; i++) {
        given += race->given[i];
        refused += race->refused[i];
    }
    const int audited = atoi(query("SELECT coalesce(sum(cardinality(kids)), 0) FROM "
                                   "speke.audit_event a, public.before b WHERE a.event_id > "
                                   "b.event_id AND event = 'release'"));
    const int made = atoi(query("SELECT count(*) - max(b.keys) FROM speke.content_key k JOIN "
                                "speke.tenant t USING (tenant_id), public.before b "
                                "WHERE t.name = 'red'"));
    const int created = atoi(query("SELECT coalesce(sum(cardinality(created_kids)), 0) FROM "
                                   "speke.audit_event a, public.before b WHERE a.event_id > "
                                   "b.event_id"));
    admin("DROP TABLE public.before; DELETE FROM speke.tenant_setting");
    assert_int_equal(given, audited);
    assert_int_equal(made, created);
    assert_int_equal(new_keys ? made : given, quota);
    assert_int_equal(given + refused, RACERS * ROUNDS * KEYS);
    assert_int_equal(munmap(race, sizeof *race), 0);
}

static void test_race(void **state)
{
    (void)state;
    race_for("new_keys_per_minute", 30, true);
    admin("DELETE FROM speke.content_key WHERE content_id LIKE 'race%%'");
    race_for("keys_total", 30, true);
    race_for("keys_per_minute", 60, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_address, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusal_elsewhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fetch_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_end_date, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_read_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_quotas, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_two_tenants, set_up, tear_down),
        cmocka_unit_test(test_race),
    };
    int status = fixture_start();
    if (status != 0)
        return status;
    status = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_stop();
    return status;
}
