/* SPDX-License-Identifier: Apache-2.0 */
/* Databases of former schemas with keys, periods, settings and audit rows in them: after each
 * migration every key has the value that it had, the rest says what it said, and the program serves
 * from every version on that it works with, without being started again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keystore/seal.h"
#include "keystore_fixture.h"

#include <cmocka.h>

enum { KEYS = 3, FILE_MAX = 1024 * 1024 };

/* What the audit says of events up to a number; a migration adds columns and rows, no more. */
static const char AUDIT[] =
    "SELECT md5(string_agg(concat_ws('|', event_id, at, event, status, tenant, client, remote_user,"
    " remote_addr, speke_version, content_id, kids, created_kids, systems, operator, detail), "
    "E'\\n'"
    " ORDER BY event_id)) FROM speke.v_audit WHERE event_id <= %s";

/* The rest of what a DBA would look for; of keys, those that the former version made. */
static const char STATE[] =
    "SELECT md5(concat_ws('#', "
    "(SELECT string_agg(concat_ws('|', tenant_id, content_digest, kid, kek_version, created_at, "
    "explicit_iv, sealed, scheme, content_id), E'\\n' ORDER BY tenant_id, content_digest, kid) "
    "FROM speke.content_key WHERE content_id = 'film' AND get_byte(uuid_send(kid), 0) <= 3), "
    "(SELECT string_agg(concat_ws('|', content_id, period_id, period_index, period_start, kids, "
    "first_seen_at, first_seen_by), E'\\n' ORDER BY period_digest) FROM speke.content_period), "
    "(SELECT string_agg(concat_ws('|', tenant, system, name, value, changed_at), E'\\n' ORDER BY "
    "name) "
    "FROM speke.v_setting), "
    "(SELECT string_agg(concat_ws('|', client_id, name, tenant, in_force, created_at), E'\\n' "
    "ORDER BY name) FROM speke.v_client), "
    "(SELECT string_agg(concat_ws('|', kek_version, state, check_value), E'\\n') FROM "
    "speke.v_kek)))";

/* --- the former database -------------------------------------------------------------------- */

static PGconn *former_connect(void)
{
    char conninfo[1200];
    const struct settings s = fixture_settings();
    (void)snprintf(conninfo, sizeof conninfo, "%s dbname=former user=postgres", s.database);
    PGconn *pg = PQconnectdb(conninfo);
    if (PQstatus(pg) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(pg));
    return pg;
}

/* Runs a statement and gives back the first field of the first row, to be freed. */
static char *former(const char *sql)
{
    PGconn *pg = former_connect();
    PGresult *result = PQexec(pg, sql);
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        fail_msg("%.200s: %s", sql, PQerrorMessage(pg));
    char *value = strdup(PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    assert_non_null(value);
    PQclear(result);
    PQfinish(pg);
    return value;
}

static void migrate(const char *file)
{
    char path[512];
    char *sql = calloc(1, FILE_MAX);
    (void)snprintf(path, sizeof path, "%s/sql/migrations/%s", TEST_SOURCE_DIR, file);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    assert_non_null(sql);
    assert_in_range(fread(sql, 1, FILE_MAX - 1, in), 1, FILE_MAX - 2);
    (void)fclose(in);
    free(former(sql));
    free(sql);
}

static void put_hex(char *out, const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* What a process of the former version did for KID 1 + i of content "film". */
static void make_key(size_t i, unsigned char key[static KEYSTORE_KEY_BYTES])
{
    char sealed_hex[2 * SEALED_BYTES + 1], kid_hex[2 * UUID_BYTES + 1], sql[1024];
    unsigned char kek[KEK_BYTES], sealed[SEALED_BYTES],
        nonce[SEAL_NONCE_BYTES] = {(unsigned char)i};
    struct seal_row row = {
        .tenant_id = 1, .kek_version = 1, .scheme = "cbcs", .content_id = "film"};
    struct sealer *sealer = sealer_new();
    memset(kek, 'A', sizeof kek);
    memset(row.kid.bytes, 1 + (int)i, UUID_BYTES);
    memset(key, 0xa0 + (int)i, KEYSTORE_KEY_BYTES);
    assert_int_equal(sealer_use(sealer, kek), 0);
    assert_int_equal(seal_key(sealer, &row, nonce, key, sealed), 0);
    sealer_free(sealer);
    put_hex(sealed_hex, sealed, sizeof sealed);
    put_hex(kid_hex, row.kid.bytes, UUID_BYTES);
    (void)snprintf(sql, sizeof sql,
                   "SELECT a.created FROM speke.identify('red-1') i, "
                   "speke.acquire(i.generation, i.client_id, i.tenant_id, 'red-1', '192.0.2.1', "
                   "'2.0', 'film', ARRAY['%s'::uuid], '{cbcs}', ARRAY[decode('%s', 'hex')], "
                   "ARRAY[decode(repeat('0%zu', 16), 'hex')], i.kek_version, '{}') a",
                   kid_hex, sealed_hex, i);
    char *created = former(sql);
    assert_string_equal(created, "t");
    free(created);
}

static void make_former(unsigned char keys[KEYS][KEYSTORE_KEY_BYTES])
{
    unsigned char kek[KEK_BYTES], check[KEK_CHECK_BYTES];
    char hex[2 * KEK_CHECK_BYTES + 1], sql[256];
    admin("CREATE DATABASE former OWNER speke_owner");
    migrate("0001_tables.sql");
    migrate("0002_functions.sql");
    migrate("0003_views.sql");
    memset(kek, 'A', sizeof kek);
    assert_int_equal(kek_check(kek, check), 0);
    put_hex(hex, check, sizeof check);
    (void)snprintf(sql, sizeof sql,
                   "SELECT speke.tenant_add('red'); SELECT speke.client_add('red', 'red-1'); "
                   "SELECT speke.kek_register(1, decode('%s', 'hex'))",
                   hex);
    free(former(sql));
    for (size_t i = 0; i < KEYS; i++)
        make_key(i, keys[i]);
    free(former("SELECT speke.refuse('red-1', NULL, '2.0', 'film', '{}', 422, 'no')"));
}

/* --- what must hold ------------------------------------------------------------------------- */

struct upgrade {
    struct settings settings;
    struct keystore *ks; /* one process that goes on through all versions */
    unsigned char keys[KEYS][KEYSTORE_KEY_BYTES];
};

static void expect_former(const char *sql, const char *expected)
{
    char *value = former(sql);
    assert_string_equal(value, expected);
    free(value);
}

/* The old keys are given out as they were, and a new one is made: an exchange with a period. */
static void expect_old_keys(struct keystore *ks, unsigned char keys[KEYS][KEYSTORE_KEY_BYTES],
                            int new_kid)
{
    struct order *o = order_new("red-1", "film", 1, KEYS + 1);
    memset(o->slots[KEYS].kid.bytes, new_kid, UUID_BYTES);
    const struct keystore_period period = {.id = "p", .kids = &o->slots[0].kid, .kid_count = 1};
    o->details.periods = &period;
    o->details.period_count = 1;
    expect_keys(ks, o);
    for (size_t i = 0; i < KEYS; i++) {
        unsigned char iv[KEYSTORE_IV_BYTES];
        memset(iv, (int)i, sizeof iv);
        assert_memory_equal(o->slots[i].key, keys[i], KEYSTORE_KEY_BYTES);
        assert_memory_equal(o->slots[i].iv, iv, sizeof iv);
        assert_false(o->slots[i].created);
    }
    assert_true(o->slots[KEYS].created);
    order_free(o);
}

/* A refusal goes on record, with the tenant's setting still known to the program. */
static void expect_refusal(struct keystore *ks)
{
    const struct keystore_request request = {.remote_user = "red-1", .content_id = "film"};
    const struct keystore_client *client;
    struct failure f;
    failure_clear(&f);
    keystore_begin(ks);
    assert_int_equal(keystore_identify(ks, &request, &client, &f), 0);
    assert_int_equal(client->setting_count, 1);
    assert_string_equal(client->settings[0].value, "https://licence.example");
    assert_int_equal(keystore_refuse(ks, &request, 422, "no", NULL, 0, &f), 0);
    expect_former("SELECT detail FROM speke.v_audit ORDER BY event_id DESC LIMIT 1", "no");
}

/* The functions that processes of the versions before call: with 13 and with 23 parameters. */
static void expect_former_functions(void)
{
    expect_former("SELECT count(a.sealed) FROM speke.identify('red-1') i, "
                  "speke.acquire(i.generation, i.client_id, i.tenant_id, 'red-1', NULL, '2.0', "
                  "'film', ARRAY(SELECT kid FROM speke.content_key ORDER BY kid LIMIT 3), '{}', "
                  "'{}', '{}', 1, '{}') a",
                  "3");
    expect_former(
        "SELECT count(a.sealed) FROM speke.client_configuration('red-1') i, "
        "speke.acquire(i.generation, i.client_id, i.tenant_id, 'red-1', NULL, '2.0', "
        "'film', ARRAY(SELECT kid FROM speke.content_key ORDER BY kid LIMIT 3), '{}', "
        "'{}', '{}', 1, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}') "
        "a",
        "3");
}

/* --- tests ---------------------------------------------------------------------------------- */

static void set_database(struct settings *s)
{
    const size_t n = strlen(s->database);
    (void)snprintf(s->database + n, sizeof s->database - n, " dbname=former");
}

/* Version 3: refused in clear words; the audit and the keys come over into version 4. */
static void test_upgrade_from_3(void **state)
{
    struct upgrade *u = *state;
    char audit[1024];
    struct order *o = order_new("red-1", "film", 1, KEYS);
    expect_failure(u->ks, o, 503, "the schema has version 3, this program works with 4 to 11");
    order_free(o);
    char *last = former("SELECT max(event_id) FROM speke.v_audit");
    (void)snprintf(audit, sizeof audit, AUDIT, last);
    char *before = former(audit);
    migrate("0004_tenants.sql");
    expect_former(audit, before);
    expect_former("SELECT count(*) FROM speke.v_release WHERE recipient_subjects IS NULL", "3");
    expect_old_keys(u->ks, u->keys, KEYS + 1); /* the same process finds the schema by itself */
    expect_former("SELECT count(*) FROM speke.v_period", "1");
    expect_former_functions();
    free(before);
    free(last);
}

static const char *const MIGRATIONS[] = {"0005_limits.sql", "0006_keks.sql",    "0007_audit.sql",
                                         "0008_keys.sql",   "0009_players.sql", "0010_fetch.sql",
                                         "0011_views.sql"};

/* Version by version, with exchanges in each. Rows of former months and of none are among those
 * that migration 7 brings into a table by month. */
static void test_upgrade_from_4(void **state)
{
    struct upgrade *u = *state;
    char audit[1024], version[16];
    free(former("SELECT speke.setting_set('red', NULL, 'la_url', 'https://licence.example')"));
    free(former("INSERT INTO speke.audit_event (at, event, detail) VALUES "
                "('2020-02-29T23:59:59.999999Z', 'admin', 'leap'), "
                "('1999-12-31T23:59:59Z', 'admin', 'of no month')"));
    char *last = former("SELECT max(event_id) FROM speke.audit_event");
    (void)snprintf(audit, sizeof audit, AUDIT, last);
    char *before = former(audit), *before_state = former(STATE);
    for (size_t i = 0; i < sizeof MIGRATIONS / sizeof MIGRATIONS[0]; i++) {
        char *rows = former(
            "SELECT concat_ws(' ', count(*), max(event_id)) FROM speke.audit_event");
        migrate(MIGRATIONS[i]);
        expect_former("SELECT concat_ws(' ', count(*), max(event_id)) FROM speke.audit_event",
                      rows);
        free(rows);
        expect_former(audit, before);
        expect_former(STATE, before_state);
        (void)snprintf(version, sizeof version, "%zu", i + 5);
        expect_former("SELECT schema_version FROM speke.service_state()", version);
        expect_old_keys(u->ks, u->keys, 100 + (int)i);
        expect_refusal(u->ks);
        expect_former_functions();
    }
    free(before_state);
    free(before);
    free(last);
}

static void test_audit_by_month(void **state)
{
    (void)state;
    expect_former("SELECT tableoid::regclass FROM speke.audit_event WHERE detail = 'leap'",
                  "speke.audit_event_2020_02");
    expect_former("SELECT tableoid::regclass FROM speke.audit_event WHERE detail = 'of no month'",
                  "speke.audit_event_rest");
    expect_former("SELECT count(*) FROM speke.audit_event WHERE at > now() - interval '1 hour' AND "
                  "tableoid <> ('speke.audit_event_' || to_char(at AT TIME ZONE 'UTC', "
                  "'YYYY_MM'))::regclass",
                  "0");
    expect_former("SELECT count(*) - count(DISTINCT event_id) FROM speke.audit_event", "0");
}

/* What was written under every version is sealed and in the views of the last one. */
static void test_last_version_goes_on(void **state)
{
    struct upgrade *u = *state;
    struct failure f;
    long rows = 0;
    failure_clear(&f);
    keystore_begin(u->ks);
    assert_int_equal(keystore_seal_audit(u->ks, &rows, &f), 0);
    expect_former("SELECT count(*) - (SELECT sum(row_count) FROM speke.audit_seal) "
                  "FROM speke.audit_event",
                  "0");
    expect_former("SELECT string_agg(releases::text, ' ' ORDER BY kid) FROM speke.v_key_use "
                  "WHERE get_byte(uuid_send(kid), 0) <= 3",
                  "25 25 25");
}

static int set_up(void **state)
{
    static struct upgrade u;
    u.settings = fixture_settings();
    set_database(&u.settings);
    fixture_write_keks(KEK_1);
    make_former(u.keys);
    u.ks = keystore_new(&u.settings);
    assert_non_null(u.ks);
    *state = &u;
    return 0;
}

static int tear_down(void **state)
{
    struct upgrade *u = *state;
    keystore_free(u->ks);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upgrade_from_3),
        cmocka_unit_test(test_upgrade_from_4),
        cmocka_unit_test(test_audit_by_month),
        cmocka_unit_test(test_last_version_goes_on),
    };
    int status = fixture_start();
    if (status != 0)
        return status;
    status = cmocka_run_group_tests(tests, set_up, tear_down);
    fixture_stop();
    return status;
}
