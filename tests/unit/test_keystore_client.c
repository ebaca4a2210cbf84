/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks and how its tenant wants to be served: remembered, shared, and never out of date when
 * keys are given out. Periods and recipients on their way into the database. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keystore_fixture.h"

#include <cmocka.h>

static const char PLAYREADY[] = "9a04f079-9840-4286-ab92-e65be0885f95";
static const char WIDEVINE[] = "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed";

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
    admin("DELETE FROM speke.tenant_setting");
    return 0;
}

static const struct keystore_client *identified(struct keystore *ks, const char *user)
{
    const struct keystore_request request = {.remote_user = user};
    const struct keystore_client *client;
    struct failure f = {0};
    keystore_begin(ks);
    if (keystore_identify(ks, &request, &client, &f) != 0)
        fail_msg("%s not identified: %d %s (%s)", user, f.status, f.text, f.cause);
    return client;
}

static void expect_setting(const struct keystore_client *client, size_t i, const char *system,
                           const char *name, const char *value)
{
    assert_true(i < client->setting_count);
    assert_string_equal(client->settings[i].system, system);
    assert_string_equal(client->settings[i].name, name);
    assert_string_equal(client->settings[i].value, value);
}

/* Asks once, as a program does that has just identified the client. */
static int ask(struct keystore *ks, struct order *o, bool *stale, struct failure *f)
{
    *f = (struct failure){0};
    return keystore_acquire(ks, &o->request, o->slots, o->count, &o->details, stale, f);
}

/* --- settings ------------------------------------------------------------------------------- */

static void test_settings(void **state)
{
    char large[65536];
    memset(large, 'v', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    const struct keystore_client *client = identified(*state, "red-1");
    assert_string_equal(client->tenant, "red");
    assert_int_equal(client->setting_count, 0);
    const long long before = client->generation;

    admin("SELECT speke.setting_set('red', '%s', 'la_url', 'https://\xc3\xa4.example/?a=1&b=\"')",
          PLAYREADY);
    admin("SELECT speke.setting_set('red', upper('%s')::uuid, 'provider', '')", WIDEVINE);
    admin("SELECT speke.setting_set('red', NULL, 'large', repeat('v', 65535)), "
          "speke.setting_set('blue', NULL, 'versions', '2.1')");
    keystore_free(*state);
    static struct settings s;
    s = fixture_settings();
    *state = keystore_new(&s);
    client = identified(*state, "red-1");
    assert_true(client->generation > before);
    assert_int_equal(client->setting_count, 3);
    expect_setting(client, 0, "", "large", large);
    expect_setting(client, 1, PLAYREADY, "la_url", "https://\xc3\xa4.example/?a=1&b=\"");
    expect_setting(client, 2, WIDEVINE, "provider", "");
    client = identified(*state, "blue-1");
    assert_string_equal(client->tenant, "blue");
    assert_int_equal(client->setting_count, 1);
    expect_setting(client, 0, "", "versions", "2.1");
}

/* Clients of a tenant have one copy of its settings, which lasts as long as one of them. */
static void test_shared_settings(void **state)
{
    enum { CLIENTS = 70 };
    admin("SELECT speke.setting_set('red', NULL, 'a', 'b'); "
          "SELECT speke.tenant_add('crowd'), speke.setting_set('crowd', NULL, 'c', 'd'); "
          "SELECT speke.client_add('crowd', 'crowd-' || n) FROM generate_series(1, %d) n",
          CLIENTS);
    const struct keystore_setting *settings = identified(*state, "red-1")->settings;
    assert_ptr_equal(identified(*state, "red-2")->settings, settings);
    const struct keystore_setting *crowd = NULL;
    for (int i = 1; i <= CLIENTS; i++) { /* more than are remembered: red-1 is forgotten */
        char user[16];
        (void)snprintf(user, sizeof user, "crowd-%d", i);
        const struct keystore_client *client = identified(*state, user);
        assert_true(crowd == NULL || crowd == client->settings);
        crowd = client->settings;
        expect_setting(client, 0, "", "c", "d");
    }
    expect_setting(identified(*state, "red-1"), 0, "", "a", "b");
    expect_setting(identified(*state, "crowd-1"), 0, "", "c", "d");
}

/* --- out of date ---------------------------------------------------------------------------- */

static void test_stale_settings(void **state)
{
    struct order *o = order_new("red-1", "stale", 1, 2);
    struct failure f;
    bool stale;
    expect_keys(*state, o);
    const long long before = identified(*state, "red-1")->generation;
    admin("SELECT speke.setting_set('red', NULL, 'versions', '2.0')");
    assert_int_equal(identified(*state, "red-1")->setting_count, 0); /* cannot know yet */
    assert_int_equal(ask(*state, o, &stale, &f), -1);
    assert_true(stale);
    assert_int_equal(f.status, 503);
    for (size_t i = 0; i < o->count * KEYSTORE_KEY_BYTES; i++)
        assert_int_equal(o->keys[i], 0);
    assert_string_equal(query("SELECT count(*) FROM speke.v_audit WHERE content_id = 'stale'"),
                        "1");

    const struct keystore_client *client = identified(*state, "red-1");
    expect_setting(client, 0, "", "versions", "2.0");
    assert_true(client->generation > before);
    assert_int_equal(ask(*state, o, &stale, &f), 0);
    assert_false(stale);
    admin("SELECT speke.setting_unset('red', NULL, 'versions')");
    expect_keys(*state, o);
    assert_int_equal(identified(*state, "red-1")->setting_count, 0);
    order_free(o);
}

/* One that is remembered is found out when it asks for keys. */
static void test_stale_client(void **state)
{
    struct order *o = order_new("red-2", "stale client", 1, 1);
    const struct keystore_client *client;
    struct failure f;
    bool stale;
    expect_keys(*state, o);
    admin("SELECT speke.client_set_enabled('red-2', false)");
    (void)identified(*state, "red-2");
    assert_int_equal(ask(*state, o, &stale, &f), -1);
    assert_true(stale);
    assert_int_equal(keystore_identify(*state, &o->request, &client, &f), -1);
    assert_int_equal(f.status, 403);
    assert_null(client);
    admin("SELECT speke.client_set_enabled('red-2', true)");
    order_free(o);
}

/* What was known over the former connection is not relied on. */
static void test_reconnected_between(void **state)
{
    struct order *o = order_new("red-1", "reconnected", 1, 1);
    struct failure f;
    bool stale;
    (void)identified(*state, "red-1");
    fixture_server("restart");
    assert_int_equal(ask(*state, o, &stale, &f), -1);
    assert_true(stale);
    expect_keys(*state, o);
    order_free(o);
}

static void test_stale_is_nothing_else(void **state)
{
    struct order *o = order_new("red-1", "not stale", 1, 1);
    struct failure f;
    bool stale = true;
    (void)identified(*state, "red-1");
    fixture_write_keks(KEK_2);
    static struct settings s;
    s = fixture_settings();
    struct keystore *sealed = keystore_new(&s);
    (void)identified(sealed, "red-1");
    assert_int_equal(ask(sealed, o, &stale, &f), -1);
    assert_false(stale);
    assert_string_equal(f.text, "Service unavailable: sealed");
    keystore_free(sealed);
    fixture_write_keks(KEK_1);

    stale = true;
    fixture_server("stop");
    assert_int_equal(ask(*state, o, &stale, &f), -1);
    assert_false(stale);
    assert_int_equal(f.status, 503);
    fixture_server("start");
    order_free(o);
}

static void test_nobody_identified(void **state)
{
    struct order *o = order_new("red-1", "nobody", 1, 1);
    const struct keystore_client *client;
    struct failure f;
    bool stale;
    assert_int_equal(ask(*state, o, &stale, &f), -1);
    assert_true(stale);
    (void)identified(*state, "red-2");
    assert_int_equal(ask(*state, o, &stale, &f), -1);
    assert_false(stale);
    assert_int_equal(f.status, 500);
    /* A failed identification leaves none behind. */
    (void)identified(*state, "red-1");
    o->request.remote_user = "nobody";
    assert_int_equal(keystore_identify(*state, &o->request, &client, &f), -1);
    assert_int_equal(f.status, 403);
    o->request.remote_user = "red-1";
    assert_int_equal(ask(*state, o, &stale, &f), -1);
    assert_true(stale);
    order_free(o);
}

/* --- periods and recipients ----------------------------------------------------------------- */

static void test_periods(void **state)
{
    struct order *o = order_new("red-1", "live", 1, 3);
    const struct uuid kids[] = {o->slots[2].kid, o->slots[0].kid};
    const struct keystore_period periods[] = {
        {.id = "p\xc3\xa9riode", .index = "7", .kids = kids, .kid_count = 2},
        {.id = "",
         .start = "2026-01-01T00:00:00.000+01:00",
         .end = "NULL",
         .start_offset = "{\"a\\,b\"}",
         .end_offset = "PT0S"},
        {.id = "p", .kids = kids, .kid_count = 1},
    };
    o->details.periods = periods;
    o->details.period_count = 3;
    expect_keys(*state, o);
    assert_string_equal(
        query(
            "SELECT string_agg(concat_ws('|', coalesce(period_id, '-'), coalesce(period_index, "
            "'-'),"
            " coalesce(period_start, '-'), coalesce(period_end, '-'), coalesce(start_offset, '-'),"
            " coalesce(end_offset, '-'), cardinality(kids), left(kids[1]::text, 2),"
            " left(kids[2]::text, 2), first_seen_by), E'\\n' ORDER BY period_id COLLATE \"C\") "
            "FROM speke.v_period WHERE content_id = 'live'"),
        "|-|2026-01-01T00:00:00.000+01:00|NULL|{\"a\\,b\"}|PT0S|0|red-1\n"
        "p|-|-|-|-|-|1|03|red-1\n"
        "p\xc3\xa9riode|7|-|-|-|-|2|01|03|red-1");

    /* The same period with the same keys again is no other one, and the keys do not care. */
    struct order *again = order_new("red-2", "live", 1, 3);
    again->details.periods = periods;
    again->details.period_count = 2;
    expect_keys(*state, again);
    expect_same_keys(o, again);
    const struct keystore_period other = {.id = "p", .index = "8", .kids = kids, .kid_count = 1};
    again->details.periods = &other;
    again->details.period_count = 1;
    expect_keys(*state, again);
    expect_same_keys(o, again);
    assert_string_equal(query("SELECT string_agg(first_seen_by, ' ' ORDER BY first_seen_at) "
                              "FROM speke.v_period WHERE content_id = 'live'"),
                        "red-1 red-1 red-1 red-2");
    order_free(o);
    order_free(again);
}

/* As many as a document may have, all with all of its keys. */
static void test_many_periods(void **state)
{
    enum { PERIODS = 1000, PERIOD_KEYS = 64 };
    static struct keystore_period periods[PERIODS];
    static struct uuid kids[PERIOD_KEYS];
    static char indexes[PERIODS][8];
    struct order *o = order_new("red-1", "many periods", 1, PERIOD_KEYS);
    for (size_t i = 0; i < PERIOD_KEYS; i++)
        kids[i] = o->slots[PERIOD_KEYS - 1 - i].kid;
    for (size_t i = 0; i < PERIODS; i++) {
        (void)snprintf(indexes[i], sizeof indexes[i], "%zu", i);
        periods[i] = (struct keystore_period){
            .index = indexes[i], .kids = kids, .kid_count = PERIOD_KEYS};
    }
    o->details.periods = periods;
    o->details.period_count = PERIODS;
    const int64_t begun = now_ms();
    expect_keys(*state, o);
    const int64_t made = now_ms();
    expect_keys(*state, o);
    print_message("%d periods: %lld ms, again %lld ms\n", PERIODS, (long long)(made - begun),
                  (long long)(now_ms() - made));
    assert_string_equal(query("SELECT count(*) FROM speke.v_period "
                              "WHERE content_id = 'many periods' AND cardinality(kids) = 64"),
                        "1000");
    order_free(o);
}

static void test_recipients(void **state)
{
    enum { MANY = 1000 };
    static struct keystore_recipient recipients[MANY];
    struct order *o = order_new("red-1", "encrypted", 1, 1);
    memset(recipients[0].fingerprint, 0xab, KEYSTORE_FINGERPRINT_BYTES);
    recipients[0].subject = "CN=\xc3\xa4, O=\"x,y\"";
    recipients[1].subject = "CN=\xff\xc3";
    recipients[2].subject = NULL;
    for (size_t i = 3; i < MANY; i++)
        recipients[i].subject = "";
    expect_keys(*state, o);
    assert_string_equal(
        query("SELECT recipient_subjects IS NULL AND recipient_fingerprints IS NULL "
              "FROM speke.v_audit ORDER BY event_id DESC LIMIT 1"),
        "t");
    o->details.recipients = recipients;
    o->details.recipient_count = MANY;
    expect_keys(*state, o);
    assert_string_equal(
        query("SELECT concat_ws('|', cardinality(recipient_subjects), recipient_subjects[1],"
              " recipient_subjects[2], coalesce(recipient_subjects[3], '-'), recipient_subjects[4],"
              " cardinality(recipient_fingerprints), recipient_fingerprints[1] = repeat('ab', 32),"
              " recipient_fingerprints[1000] = repeat('00', 32))"
              "FROM speke.v_audit ORDER BY event_id DESC LIMIT 1"),
        "1000|CN=\xc3\xa4, O=\"x,y\"|CN=??|-||1000|t|t");
    order_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_settings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_shared_settings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stale_settings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stale_client, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reconnected_between, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stale_is_nothing_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_identified, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_periods, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_periods, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_recipients, set_up, tear_down),
    };
    int status = fixture_start();
    if (status != 0)
        return status;
    status = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_stop();
    return status;
}
