/* SPDX-License-Identifier: Apache-2.0 */
/* Keys are made once and stay, for whom they may be given to, with an audit row each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/secret.h"
#include "keystore/player.h"
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

static int tear_down(void **state)
{
    keystore_free(*state);
    return 0;
}

static void test_create_and_fetch(void **state)
{
    struct order *first = order_new("red-1", "film", 1, 10);
    struct order *again = order_new("red-2", "film", 1, 10);
    memset(first->slots[3].iv, 0xab, KEYSTORE_IV_BYTES);
    first->slots[3].iv_given = true;
    expect_keys(*state, first);
    for (size_t i = 0; i < first->count; i++) {
        assert_true(first->slots[i].created);
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(first->slots[i].key, first->slots[j].key, KEYSTORE_KEY_BYTES);
            assert_memory_not_equal(first->slots[i].iv, first->slots[j].iv, KEYSTORE_IV_BYTES);
        }
    }
    assert_int_equal(first->slots[3].iv[15], 0xab);
    expect_keys(*state, again);
    expect_same_keys(first, again);
    for (size_t i = 0; i < again->count; i++)
        assert_false(again->slots[i].created);

    /* The row of the release. */
    assert_string_equal(
        query(
            "SELECT concat_ws(' ', event, status, tenant, client, host(remote_addr), "
            "speke_version, content_id, cardinality(kids), cardinality(created_kids), systems[1]) "
            "FROM speke.v_audit ORDER BY event_id DESC LIMIT 1"),
        "release 200 red red-2 192.0.2.1 2.0 film 10 0 edef8ba9-79d6-4ace-a3c8-27dcd51d21ed");
    order_free(first);
    order_free(again);
}

/* The key is in no table, in no form. */
static void test_no_key_in_the_database(void **state)
{
    struct order *o = order_new("red-1", "secret film", 1, 1);
    char hex[2 * KEYSTORE_KEY_BYTES + 1];
    expect_keys(*state, o);
    for (size_t i = 0; i < KEYSTORE_KEY_BYTES; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", o->slots[0].key[i]);
    assert_string_equal(
        query("SELECT count(*) FROM speke.content_key k WHERE k::text LIKE '%%%s%%'", hex), "0");
    assert_string_equal(
        query("SELECT count(*) FROM speke.audit_event a WHERE a::text LIKE '%%%s%%'", hex), "0");
    assert_string_equal(query("SELECT encode(explicit_iv, 'hex') = '%s' FROM speke.content_key "
                              "WHERE content_id = 'secret film'",
                              hex),
                        "f");
    order_free(o);
}

static void test_apart(void **state)
{
    struct order *red = order_new("red-1", "apart", 1, 2);
    struct order *blue = order_new("blue-1", "apart", 1, 2);
    struct order *other = order_new("red-1", "Apart", 1, 2);
    expect_keys(*state, red);
    expect_keys(*state, blue);
    expect_keys(*state, other);
    assert_memory_not_equal(red->slots[0].key, blue->slots[0].key, KEYSTORE_KEY_BYTES);
    assert_memory_not_equal(red->slots[0].key, other->slots[0].key, KEYSTORE_KEY_BYTES);
    order_free(red);
    order_free(blue);
    order_free(other);
}

static void test_some_exist(void **state)
{
    struct order *a = order_new("red-1", "partly", 5, 2);
    struct order *b = order_new("red-1", "partly", 3, 6);
    expect_keys(*state, a);
    expect_keys(*state, b);
    for (size_t i = 0; i < b->count; i++)
        assert_int_equal(b->slots[i].created, i < 2 || i > 3);
    assert_memory_equal(a->slots[0].key, b->slots[2].key, KEYSTORE_KEY_BYTES);
    assert_memory_equal(a->slots[1].key, b->slots[3].key, KEYSTORE_KEY_BYTES);
    order_free(a);
    order_free(b);
}

/* The key that exists is given whatever scheme and IV are asked for now. */
static void test_scheme_and_iv_stay(void **state)
{
    struct order *a = order_new("red-1", "scheme", 1, 1);
    struct order *b = order_new("red-1", "scheme", 1, 1);
    a->slots[0].scheme = "";
    expect_keys(*state, a);
    b->slots[0].scheme = "cenc";
    b->slots[0].iv_given = true;
    memset(b->slots[0].iv, 0xcd, KEYSTORE_IV_BYTES);
    expect_keys(*state, b);
    expect_same_keys(a, b);
    order_free(a);
    order_free(b);
}

static void test_odd_texts(void **state)
{
    static const char *const CONTENTS[] = {"'; DROP TABLE speke.content_key; --",
                                           "%s%n",
                                           "../../etc",
                                           "\xf0\x9f\x94\x91",
                                           " ",
                                           "\x01\x02"};
    for (size_t i = 0; i < sizeof CONTENTS / sizeof CONTENTS[0]; i++) {
        struct order *a = order_new("red-1", CONTENTS[i], 1, 1);
        struct order *b = order_new("red-1", CONTENTS[i], 1, 1);
        a->request.remote_addr = i % 2 == 0 ? "rubbish\xff" : NULL;
        expect_keys(*state, a);
        assert_true(a->slots[0].created);
        expect_keys(*state, b);
        expect_same_keys(a, b);
        order_free(a);
        order_free(b);
    }
    assert_string_equal(query("SELECT count(*) FROM speke.audit_event WHERE content_id = '%%s%%n' "
                              "AND remote_addr IS NULL"),
                        "1");
}

/* --- racing --------------------------------------------------------------------------------- */

enum { RACERS = 4, ROUNDS = 20, RACE_KEYS = 8, RACE_PERIODS = 6 };

struct race {
    unsigned char keys[RACERS][ROUNDS][RACE_KEYS][KEYSTORE_KEY_BYTES];
    int created[RACERS];
};

/* Once more for keys that are there, with new periods: half of the racers name them in the other
 * order. Only the periods can make them wait for each other now. */
static int race_for_periods(struct keystore *ks, struct order *o, int number)
{
    static const char *const IDS[] = {"a", "b", "c", "d", "e", "f"};
    struct keystore_period periods[RACE_PERIODS];
    struct failure f;
    for (int i = 0; i < RACE_PERIODS; i++)
        periods[i] = (struct keystore_period){
            .id = IDS[number % 2 == 0 ? i : RACE_PERIODS - 1 - i]};
    o->details.periods = periods;
    o->details.period_count = RACE_PERIODS;
    if (order_run(ks, o, &f) == 0)
        return 0;
    (void)fprintf(stderr, "racer %d, periods: %s\n", number, f.cause);
    return 1;
}

/* One process of its own, as a worker is. Half of them ask for the KIDs in the other order. */
static int run_racer(struct race *race, int number, int start)
{
    struct settings s = fixture_settings();
    struct keystore *ks = keystore_new(&s);
    char content[32], byte;
    struct failure f;
    if (ks == NULL || keystore_health(ks, &f) != 0 || read(start, &byte, 1) != 0)
        return 1;
    for (int round = 0; round < ROUNDS; round++) {
        (void)snprintf(content, sizeof content, "race %d", round);
        struct order *o = order_new("red-1", content, 1, RACE_KEYS);
        for (int i = 0; number % 2 == 1 && i < RACE_KEYS; i++)
            memset(o->slots[i].kid.bytes, RACE_KEYS - i, UUID_BYTES);
        if (order_run(ks, o, &f) != 0) {
            (void)fprintf(stderr, "racer %d: %s\n", number, f.cause);
            return 1;
        }
        for (int i = 0; i < RACE_KEYS; i++) {
            memcpy(race->keys[number][round][o->slots[i].kid.bytes[0] - 1], o->slots[i].key,
                   KEYSTORE_KEY_BYTES);
            race->created[number] += o->slots[i].created ? 1 : 0;
        }
        if (race_for_periods(ks, o, number) != 0)
            return 1;
        order_free(o);
    }
    keystore_free(ks);
    return 0;
}

static void test_race(void **state)
{
    int start[2], created = 0;
    pid_t racers[RACERS];
    struct race *race = mmap(NULL, sizeof *race, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                             -1, 0);
    (void)state;
    assert_ptr_not_equal(race, MAP_FAILED);
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
        created += race->created[i];
    }
    for (int i = 1; i < RACERS; i++)
        assert_memory_equal(race->keys[0], race->keys[i], sizeof race->keys[0]);
    assert_int_equal(created, ROUNDS * RACE_KEYS);
    assert_string_equal(query("SELECT count(*) FROM speke.content_key WHERE content_id ~ '^race'"),
                        "160");
    assert_string_equal(query("SELECT count(*) FROM speke.v_period WHERE content_id ~ '^race'"),
                        "120");
    assert_string_equal(query("SELECT count(*) FROM speke.audit_event WHERE content_id ~ '^race'"),
                        "160");
    assert_int_equal(munmap(race, sizeof *race), 0);
}

/* --- who may -------------------------------------------------------------------------------- */

static void test_unknown_client(void **state)
{
    static const char *const USERS[] = {"nobody", "", "RED-1", "red-1 ", NULL, "red-\xff"};
    for (size_t i = 0; i < sizeof USERS / sizeof USERS[0]; i++) {
        struct order *o = order_new(USERS[i], "forbidden", 1, 1);
        expect_failure(*state, o, 403, "is unknown or disabled");
        order_free(o);
    }
    assert_string_equal(
        query("SELECT count(*) FROM speke.content_key WHERE content_id = 'forbidden'"), "0");
}

/* Also one that this process has just given keys to. */
static void test_disabled_client(void **state)
{
    struct order *o = order_new("red-2", "disabled", 1, 1);
    struct order *other = order_new("red-1", "disabled", 1, 1);
    expect_keys(*state, o);
    admin("SELECT speke.client_set_enabled('red-2', false)");
    expect_failure(*state, o, 403, "\"red-2\" is unknown or disabled");
    expect_keys(*state, other); /* identified anew within the call */
    admin("SELECT speke.client_set_enabled('red-2', true)");
    expect_keys(*state, o);
    admin("UPDATE speke.tenant SET enabled = false WHERE name = 'red'");
    expect_failure(*state, o, 403, "is unknown or disabled");
    admin("UPDATE speke.tenant SET enabled = true WHERE name = 'red'");
    expect_keys(*state, o);
    order_free(o);
    order_free(other);
}

/* More clients than are remembered. */
static void test_many_clients(void **state)
{
    enum { CLIENTS = 70 };
    admin("SELECT speke.client_add('blue', 'many-' || n) FROM generate_series(1, %d) n", CLIENTS);
    for (int round = 0; round < 2; round++) {
        for (int i = 1; i <= CLIENTS; i++) {
            char user[16];
            (void)snprintf(user, sizeof user, "many-%d", i);
            struct order *o = order_new(user, user, 1, 1);
            expect_keys(*state, o);
            assert_int_equal(o->slots[0].created, round == 0);
            order_free(o);
        }
    }
    assert_string_equal(query("SELECT count(DISTINCT client) FROM speke.v_release "
                              "WHERE client ~ '^many-' AND client = content_id"),
                        "70");
}

/* --- withdrawn keys ------------------------------------------------------------------------- */

/* Each stops the whole request: no other key is given out, none is made. */
static void test_withdrawn(void **state)
{
    struct order *three = order_new("red-1", "withdrawn", 1, 3);
    struct order *four = order_new("red-1", "withdrawn", 2, 4);
    struct order *other = order_new("blue-1", "withdrawn", 1, 3);
    expect_keys(*state, three);
    expect_keys(*state, other);
    admin("UPDATE speke.content_key k SET revoked_at = now() FROM speke.tenant t "
          "WHERE t.tenant_id = k.tenant_id AND t.name = 'red' AND k.content_id = 'withdrawn' "
          "AND k.kid = '02020202-0202-0202-0202-020202020202'");
    expect_failure(*state, three, 403,
                   "Content key 02020202-0202-0202-0202-020202020202 is revoked");
    expect_failure(*state, four, 403, "is revoked");
    expect_keys(*state, other);
    admin("UPDATE speke.content_key k SET sealed = NULL, destroyed_at = now() FROM speke.tenant t "
          "WHERE t.tenant_id = k.tenant_id AND t.name = 'red' AND k.content_id = 'withdrawn' "
          "AND k.kid = '02020202-0202-0202-0202-020202020202'");
    expect_failure(*state, three, 403,
                   "Content key 02020202-0202-0202-0202-020202020202 is destroyed");
    expect_failure(*state, four, 403, "is destroyed");
    assert_string_equal(
        query("SELECT count(*) FROM speke.content_key WHERE content_id = 'withdrawn'"), "6");
    assert_string_equal(query("SELECT count(*) FROM speke.audit_event "
                              "WHERE content_id = 'withdrawn' AND event = 'release'"),
                        "3");
    order_free(three);
    order_free(four);
    order_free(other);
}

/* --- refusals ------------------------------------------------------------------------------- */

static void test_refuse(void **state)
{
    const struct uuid kids[2] = {{{1}}, {{2}}};
    struct keystore_request request = {.remote_user = "red-1",
                                       .remote_addr = "2001:db8::1",
                                       .speke_version = "2.0",
                                       .content_id = "refused"};
    struct failure f = {0};
    assert_int_equal(keystore_refuse(*state, &request, 422, "Wrong DRM system ID", kids, 2, &f), 0);
    assert_string_equal(
        query("SELECT concat_ws(' ', event, status, tenant, client, host(remote_addr), content_id, "
              "cardinality(kids), cardinality(created_kids), detail) FROM speke.v_audit "
              "ORDER BY event_id DESC LIMIT 1"),
        "refusal 422 red red-1 2001:db8::1 refused 2 0 Wrong DRM system ID");

    request = (struct keystore_request){.remote_user = "no\xff"
                                                       "body\xc3\xa9"};
    assert_int_equal(keystore_refuse(*state, &request, 400, "no\xfe", NULL, 0, &f), -1);
    assert_int_equal(f.status, 403);
    assert_string_equal(
        query("SELECT concat_ws(' ', status, remote_user, cardinality(kids), detail) "
              "FROM speke.v_audit WHERE client IS NULL AND remote_addr IS NULL "
              "AND content_id IS NULL ORDER BY event_id DESC LIMIT 1"),
        "400 no?body\xc3\xa9 0 no?");
}

/* --- settings ------------------------------------------------------------------------------- */

/* What synchronous_commit a session runs with, seen by the server when it writes the audit row. */
static void test_audit_wait(void **state)
{
    struct settings s = fixture_settings();
    struct order *o = order_new("red-1", "wait", 1, 1);
    (void)state;
    admin("CREATE TABLE public.seen (setting text);"
          "CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS "
          "'BEGIN INSERT INTO public.seen VALUES (current_setting(''synchronous_commit'')); "
          "RETURN NULL; END';"
          "CREATE TRIGGER see AFTER INSERT ON speke.audit_event FOR EACH ROW "
          "EXECUTE FUNCTION public.see()");
    s.audit_wait = false;
    struct keystore *ks = keystore_new(&s);
    expect_keys(ks, o); /* makes the key */
    expect_keys(ks, o);
    keystore_free(ks);
    s.audit_wait = true;
    ks = keystore_new(&s);
    expect_keys(ks, o);
    keystore_free(ks);
    assert_string_equal(query("SELECT string_agg(setting, ' ') FROM public.seen"), "on off on");
    admin("DROP TRIGGER see ON speke.audit_event; DROP FUNCTION public.see(); "
          "DROP TABLE public.seen");
    order_free(o);
}

static void test_without_prepare(void **state)
{
    struct settings s = fixture_settings();
    struct order *a = order_new("red-1", "unprepared", 1, 3);
    struct order *b = order_new("red-1", "unprepared", 1, 3);
    struct failure f;
    s.prepare = false;
    struct keystore *ks = keystore_new(&s);
    assert_int_equal(keystore_health(ks, &f), 0);
    expect_keys(ks, a);
    expect_keys(ks, b);
    keystore_free(ks);
    expect_same_keys(a, b);
    expect_keys(*state, b);
    expect_same_keys(a, b);
    order_free(a);
    order_free(b);
}

/* A connection string is told to nobody, as it may hold a password. */
static void test_bad_settings(void **state)
{
    static const char *const STRINGS[] = {"password=hunter2 hunter2", "hunter2",
                                          "postgresql://u:hunter2@[::1", "passwort=hunter2"};
    struct settings s = fixture_settings();
    struct order *o = order_new("red-1", "settings", 1, 1);
    struct failure f;
    (void)state;
    for (size_t i = 0; i < sizeof STRINGS / sizeof STRINGS[0]; i++) {
        (void)snprintf(s.database, sizeof s.database, "%s", STRINGS[i]);
        struct keystore *ks = keystore_new(&s);
        expect_failure(ks, o, 503, "no libpq connection string");
        assert_int_equal(keystore_health(ks, &f), -1);
        assert_string_equal(f.text, "database");
        assert_null(strstr(f.cause, "hunter2"));
        keystore_free(ks);
    }
    order_free(o);
}

static void test_login_refused(void **state)
{
    struct settings s = fixture_settings();
    struct order *o = order_new("red-1", "settings", 1, 1);
    struct failure f;
    (void)state;
    const size_t used = strlen(s.database);
    (void)snprintf(s.database + used, sizeof s.database - used,
                   " user=t_stranger password=hunter2");
    struct keystore *ks = keystore_new(&s);
    expect_failure(ks, o, 503, "role \"t_stranger\" does not exist");
    assert_int_equal(order_run(ks, o, &f), -1);
    assert_null(strstr(f.cause, "hunter2"));
    keystore_free(ks);

    admin("CREATE ROLE t_stranger LOGIN");
    ks = keystore_new(&s);
    expect_failure(ks, o, 503, "permission denied for schema speke (SQLSTATE 42501)");
    keystore_free(ks);
    order_free(o);
}

/* A request of a packager that fetches: its audit row says so, that of the next request does not.
 */
static void fetch(struct keystore *ks, struct order *o)
{
    struct arena arena;
    struct failure f = {0};
    struct keystore_content content;
    const struct keystore_client *client;
    bool stale;
    o->request.via = "cpix";
    o->request.speke_version = NULL;
    arena_init(&arena, 65536);
    assert_int_equal(keystore_identify(ks, &o->request, &client, &f), 0);
    assert_int_equal(keystore_content(ks, &o->request, NULL, 0, 10, &arena, &content, &stale, &f),
                     0);
    assert_int_equal(content.key_count, 2);
    expect_keys(ks, o);
    assert_string_equal(query("SELECT concat_ws(' ', event, via, speke_version) FROM speke.v_audit "
                              "ORDER BY event_id DESC LIMIT 1"),
                        "release cpix");
    assert_int_equal(keystore_refuse(ks, &o->request, 404, "none", NULL, 0, &f), 0);
    assert_string_equal(query("SELECT concat_ws(' ', event, via) FROM speke.v_audit "
                              "ORDER BY event_id DESC LIMIT 1"),
                        "refusal cpix");
    arena_free(&arena);
}

static void deliver(struct keystore *ks, unsigned char *key, const struct uuid *kid)
{
    static const unsigned char CONTENT[1][KEYSTORE_DIGEST_BYTES]; /* of no content */
    const struct keystore_audience *audience;
    struct failure f = {0};
    struct keystore_delivery_slot slot = {.kid = *kid, .key = key};
    const struct keystore_delivery delivery = {
        .via = "key", .detail = "a test", .contents = CONTENT, .content_count = 1};
    bool stale;
    assert_int_equal(keystore_audience(ks, "red", &audience, &f), 0);
    assert_non_null(audience);
    (void)usleep(1100000); /* it is asked once a second */
    assert_false(keystore_audience_outdated(ks));
    assert_int_equal(keystore_deliver(ks, audience, &delivery, &slot, 1, &stale, &f), 0);
    assert_false(slot.found);
    assert_int_equal(keystore_count_refusals(ks, audience->tenant_id, 404, "no_key", 1, NULL, &f),
                     0);
}

/* One process may serve packagers, packagers that fetch, and players, on one connection. */
static void test_everything_on_one_connection(void **state)
{
    struct keystore *ks = *state;
    struct failure f = {0};
    long rows;
    struct order *o = order_new("red-1", "both doors", 1, 2);
    struct order *fetched = order_new("red-1", "both doors", 1, 2);
    expect_keys(ks, o);
    fetch(ks, fetched);
    expect_same_keys(o, fetched);
    expect_keys(ks, o);
    assert_string_equal(query("SELECT concat_ws(' ', event, via) FROM speke.v_audit "
                              "ORDER BY event_id DESC LIMIT 1"),
                        "release");
    assert_int_equal(keystore_refuse(ks, &o->request, 422, "none", NULL, 0, &f), 0);
    assert_int_equal(keystore_health(ks, &f), 0);
    deliver(ks, o->slots[0].key, &o->slots[0].kid);
    assert_int_equal(keystore_seal_audit(ks, &rows, &f), 0);
    order_free(o);
    order_free(fetched);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create_and_fetch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_key_in_the_database, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_some_exist, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_scheme_and_iv_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_odd_texts, set_up, tear_down),
        cmocka_unit_test(test_race),
        cmocka_unit_test_setup_teardown(test_unknown_client, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_disabled_client, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_clients, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_withdrawn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refuse, set_up, tear_down),
        cmocka_unit_test(test_audit_wait),
        cmocka_unit_test_setup_teardown(test_without_prepare, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_everything_on_one_connection, set_up, tear_down),
        cmocka_unit_test(test_bad_settings),
        cmocka_unit_test(test_login_refused),
    };
    int status = fixture_start();
    if (status != 0)
        return status;
    status = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_stop();
    return status;
}
