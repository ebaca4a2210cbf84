/* SPDX-License-Identifier: Apache-2.0 */
/* A database of the former schema with keys and audit rows in it: after the migration every key has
 * the value that it had, and the audit says what it said. */
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

enum { FORMER_VERSION = 3, KEYS = 3, FILE_MAX = 1024 * 1024 };

static const char AUDIT[] =
    "SELECT md5(string_agg(concat_ws('|', event_id, at, event, status, tenant, client, remote_user,"
    " remote_addr, speke_version, content_id, kids, created_kids, systems, operator, detail), "
    "E'\\n'"
    " ORDER BY event_id)) FROM speke.v_audit WHERE event_id <= %s";

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

/* --- tests ---------------------------------------------------------------------------------- */

static void expect_former(const char *sql, const char *expected)
{
    char *value = former(sql);
    assert_string_equal(value, expected);
    free(value);
}

static void expect_old_keys(struct keystore *ks, unsigned char keys[KEYS][KEYSTORE_KEY_BYTES])
{
    struct order *o = order_new("red-1", "film", 1, KEYS + 1);
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

/* The audit goes over into a table by month, rows of former months and of none included. */
static void expect_audit_by_month(const char *audit, const char *before)
{
    free(former("INSERT INTO speke.audit_event (at, event, detail) VALUES "
                "('2020-02-29T23:59:59.999999Z', 'admin', 'leap'), "
                "('1999-12-31T23:59:59Z', 'admin', 'of no month')"));
    char *next = former("SELECT 1 + max(event_id) FROM speke.audit_event");
    char *rows = former("SELECT count(*) FROM speke.audit_event");
    migrate("0005_limits.sql");
    migrate("0006_keks.sql");
    migrate("0007_audit.sql");
    expect_former(audit, before);
    expect_former("SELECT count(*) FROM speke.audit_event", rows);
    expect_former("SELECT tableoid::regclass FROM speke.audit_event WHERE detail = 'leap'",
                  "speke.audit_event_2020_02");
    expect_former("SELECT tableoid::regclass FROM speke.audit_event WHERE detail = 'of no month'",
                  "speke.audit_event_rest");
    expect_former("SELECT count(*) FROM speke.audit_event WHERE at > now() - interval '1 hour' AND "
                  "tableoid = ('speke.audit_event_' || to_char(now() AT TIME ZONE 'UTC', "
                  "'YYYY_MM'))::regclass",
                  "9");
    free(former("SELECT speke.refuse('red-1', NULL, '2.0', 'film', '{}', 422, 'no')"));
    expect_former("SELECT max(event_id) FROM speke.audit_event", next);
    free(next);
    free(rows);
}

static void test_upgrade(void **state)
{
    unsigned char keys[KEYS][KEYSTORE_KEY_BYTES];
    char audit[1024], used[64];
    struct settings s = fixture_settings();
    const size_t n = strlen(s.database);
    (void)state;
    (void)snprintf(s.database + n, sizeof s.database - n, " dbname=former");
    fixture_write_keks(KEK_1);
    make_former(keys);

    struct keystore *ks = keystore_new(&s);
    struct order *o = order_new("red-1", "film", 1, KEYS);
    expect_failure(ks, o, 503, "the schema has version 3, this program works with 4 to 11");

    char *last = former("SELECT max(event_id) FROM speke.v_audit");
    (void)snprintf(audit, sizeof audit, AUDIT, last);
    char *before = former(audit);
    migrate("0004_tenants.sql");
    expect_former(audit, before);
    expect_former("SELECT count(*) FROM speke.v_release WHERE recipient_subjects IS NULL", "3");

    /* The same process finds the new schema by itself. */
    expect_old_keys(ks, keys);
    expect_former("SELECT count(*) FROM speke.v_period", "1");
    keystore_free(ks);

    /* A process of the former version that was identified afterwards: its function still serves. */
    expect_former("SELECT count(a.sealed) FROM speke.identify('red-1') i, "
                  "speke.acquire(i.generation, i.client_id, i.tenant_id, 'red-1', NULL, '2.0', "
                  "'film', ARRAY(SELECT kid FROM speke.content_key), '{}', '{}', '{}', 1, '{}') a",
                  "4");
    (void)snprintf(used, sizeof used, "%d", FORMER_VERSION + 1);
    expect_former("SELECT schema_version FROM speke.service_state()", used);
    expect_audit_by_month(audit, before);
    free(before);
    free(last);
    order_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upgrade),
    };
    int status = fixture_start();
    if (status != 0)
        return status;
    status = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_stop();
    return status;
}
