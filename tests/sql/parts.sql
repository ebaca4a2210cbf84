-- SPDX-License-Identifier: Apache-2.0
-- What the functions that people and programs call are made of: each called by itself, as its owner
-- does. tests/sql/run looks that every function and view has a test that names it.
\ir lib/start.psql
BEGIN;
SELECT * FROM no_plan();
\ir lib/acquire.psql

SET LOCAL ROLE :service;
SELECT pg_temp.give('red-1', 'film', 1, pg_temp.kids(1, 2, 3)) \g /dev/null
RESET ROLE;

-- Triggers ----------------------------------------------------------------------------------------

SELECT trigger_is('speke', t.relation, t.name, 'speke', t.function, format('%s on %s', t.function, t.relation))
  FROM (VALUES ('tenant', 'tenant_changes_config', 'config_generation_bump'),
               ('client', 'client_changes_config', 'config_generation_bump'),
               ('kek_version', 'kek_version_changes_config', 'config_generation_bump'),
               ('schema_version', 'schema_version_changes_config', 'config_generation_bump'),
               ('tenant_setting', 'tenant_setting_changes_config', 'config_generation_bump'),
               ('token_key', 'token_key_changes_config', 'config_generation_bump'),
               ('tenant_setting', 'tenant_setting_limits', 'limits_follow'),
               ('content_key', 'content_key_added', 'keys_counted'),
               ('content_key', 'content_key_removed', 'keys_counted'),
               ('content_key', 'content_key_kek_in_use', 'content_key_check_kek'),
               ('kek_version', 'kek_version_state_times', 'kek_version_note_state'),
               ('kek_version', 'kek_version_token_keys', 'token_key_keeps_kek'),
               ('audit_event', 'audit_event_append_only', 'audit_event_guard'),
               ('audit_seal', 'audit_event_append_only', 'audit_event_guard'),
               ('audit_archive', 'audit_event_append_only', 'audit_event_guard')) AS t (relation, name, function);

-- Texts -------------------------------------------------------------------------------------------

SELECT is(speke.inet_or_null(text), address::inet, format('inet_or_null: %s', coalesce(text, 'NULL')))
  FROM (VALUES ('192.0.2.1', '192.0.2.1'), ('2001:db8::1', '2001:db8::1'), ('192.0.2.256', NULL), ('', NULL),
               ('unix:', NULL), (NULL, NULL)) AS t (text, address);
SELECT is(speke.utc_text('2030-01-01T00:30:00+05:45'), '2029-12-31T18:45:00Z', 'utc_text');
SELECT is(speke.kids_in_order(pg_temp.kids(2, 1, 2)), pg_temp.kids(1, 2), 'kids_in_order: in order, and once');
SELECT is(speke.kids_in_order('{}'), '{}'::uuid[], 'kids_in_order: of none');

-- Who may ask -------------------------------------------------------------------------------------

SELECT set_eq('SELECT name, tenant FROM speke.client_in_force',
              $$ VALUES ('red-1', 'red'), ('red-2', 'red'), ('blue-1', 'blue') $$, 'client_in_force');
SELECT lives_ok(format('SELECT speke.check_client(%s, %s, %s)', generation, :red1, :red), 'check_client')
  FROM speke.config_generation;
SELECT throws_ok(format('SELECT speke.check_client(%s, %s, %s)', generation + g, client, tenant), 'SK001', NULL,
                 'check_client: ' || what)
  FROM speke.config_generation,
       (VALUES (1, :red1, :red, 'of another generation'), (0, :red1, :blue, 'of another tenant')) AS v (g, client, tenant, what);

-- Keys there and not there ------------------------------------------------------------------------

SELECT is(speke.missing_keys(:red, sha256('film'), pg_temp.kids(9, 1, 8)), pg_temp.kids(9, 8), 'missing_keys');
SELECT is(speke.missing_keys(:blue, sha256('film'), pg_temp.kids(1)), pg_temp.kids(1), 'missing_keys: of a tenant');
SELECT is(speke.insert_missing(:red1, :red, 'film', sha256('film'), pg_temp.kids(1, 7), '{a,b}',
                               array_fill(decode(repeat('00', 44), 'hex'), '{2}'),
                               array_fill(decode(repeat('00', 16), 'hex'), '{2}'), 1),
          pg_temp.kids(7), 'insert_missing: what is not there');
SELECT throws_ok(format($$ SELECT speke.insert_missing(%s, %s, 'film', sha256('film'), pg_temp.kids(8), '{a,b}', '{}', '{}', 1) $$,
                        :red1, :red), '22023', NULL, 'insert_missing: lists of different lengths');
SELECT throws_ok(format($$ SELECT speke.insert_missing(%s, %s, 'film', sha256('film'), pg_temp.kids(8), '{a}',
                                                       ARRAY[decode(repeat('00', 44), 'hex')],
                                                       ARRAY[decode(repeat('00', 16), 'hex')], 2) $$,
                        :red1, :red), 'SK001', NULL, 'insert_missing: under another KEK than the active one');
SELECT is(speke.key_revoke('{"kids": ["02020202-0202-0202-0202-020202020202"]}', NULL), 1::bigint, 'one is revoked');
SELECT throws_ok(format($$ SELECT speke.refuse_withdrawn(%s, sha256('film'), pg_temp.kids(1, 2)) $$, :red), 'SK005',
                 'Content key ' || pg_temp.kid(2) || ' is revoked', 'refuse_withdrawn');
SELECT lives_ok(format($$ SELECT speke.refuse_withdrawn(%s, sha256('film'), pg_temp.kids(1, 3)) $$, :red),
                'refuse_withdrawn: none of them');
SELECT set_eq($$ SELECT kid, state FROM speke.key_and_state $$,
              $$ VALUES (pg_temp.kid(1), 'active'), (pg_temp.kid(2), 'revoked'), (pg_temp.kid(3), 'active'),
                        (pg_temp.kid(7), 'active') $$, 'key_and_state');
SELECT lives_ok(format($$ SELECT speke.note_periods(%s, %s, 'film', sha256('film'), '{p}', '{NULL}', '{NULL}', '{NULL}',
                                                    '{NULL}', '{NULL}', '{1}', pg_temp.kids(1)) $$, :red1, :red),
                'note_periods');
SELECT throws_ok(format($$ SELECT speke.note_periods(%s, %s, 'film', sha256('film'), '{q}', '{NULL}', '{NULL}', '{NULL}',
                                                     '{NULL}', '{NULL}', '{2}', pg_temp.kids(1)) $$, :red1, :red),
                 '22023', NULL, 'note_periods: other numbers of KIDs than there are');
SELECT results_eq('SELECT period_id, kids FROM speke.content_period', $$ VALUES ('p', pg_temp.kids(1)) $$,
                  'note_periods: one was kept');

-- Limits ------------------------------------------------------------------------------------------

SELECT is(speke.count_keys(:red), 4::bigint, 'count_keys');
SELECT speke.setting_set('red', NULL, 'keys_per_minute', '5') \g /dev/null
SELECT speke.setting_set('red', NULL, 'read_only', 'on') \g /dev/null
SELECT results_eq(format('SELECT read_only, keys_per_minute, new_keys_per_minute, keys_total FROM speke.limits_of(%s)', :red),
                  'VALUES (true, 5::bigint, NULL::bigint, NULL::bigint)', 'limits_of');
SELECT lives_ok(format($$ SELECT speke.admit(%s, sha256('film'), pg_temp.kids(1, 3, 7), true, false) $$, :red),
                'admit: keys that exist');
SELECT throws_ok(format($$ SELECT speke.admit(%s, sha256('film'), pg_temp.kids(%s), true, %s) $$, tenant, kid, fetch_only),
                 'SK006', NULL, 'admit: none is made ' || what)
  FROM (VALUES (:red, 9, 'false', 'for a tenant that is read-only'), (:blue, 9, 'true', 'for a client that fetches'))
       AS v (tenant, kid, fetch_only, what);
SELECT throws_ok(format($$ SELECT speke.admit(%s, sha256('film'), pg_temp.kids(1, 3, 7), true, false) $$, :red),
                 'SK007', 'Quota of 5 keys a minute exceeded: the request needs 3', 'admit: above the quota');
SELECT throws_ok('SELECT speke.refuse_quota(10, ''keys in all'', 11, NULL)', 'SK007',
                 'Quota of 10 keys in all exceeded: the request needs 11', 'refuse_quota');

-- The life of a key -------------------------------------------------------------------------------

SELECT is(speke.key_tenant('blue'), :blue, 'key_tenant');
SELECT throws_ok('SELECT speke.key_tenant(''green'')', 'SK002', 'no tenant "green"', 'key_tenant: none of that name');
SELECT is(speke.key_condition('{}'), 'true', 'key_condition: all');
SELECT is(speke.key_condition('{"tenant": "red", "state": "kept"}'),
          format('k.destroyed_at IS NULL AND k.tenant_id = %s', :red), 'key_condition: all its members');
SELECT matches(speke.key_unused('1 day'), 'NOT EXISTS', 'key_unused: no key is older');
UPDATE speke.content_key SET created_at = now() - interval '3 days' WHERE kid = pg_temp.kid(7);
SELECT throws_ok('SELECT speke.key_unused(''2 days'')', 'SK011', NULL, 'key_unused: the audit does not tell');
SELECT matches(speke.key_audit_sql('changed'), '^INSERT INTO speke\.audit_event ', 'key_audit_sql');
SELECT is(speke.key_change('{"tenant": "red"}', 'k.revoked_at IS NOT NULL', 'reason = $5', 'why', 'key_test'), 1::bigint,
          'key_change: as many as the condition holds for');
SELECT results_eq('SELECT event, tenant, kids, detail FROM pg_temp.newest',
                  $$ VALUES ('admin', 'red', pg_temp.kids(2), 'key_test: why') $$, 'key_change: and they are on record');
SELECT throws_ok('SELECT speke.key_change(''{"state": "kept"}'', ''true'', ''reason = $5'', NULL, '''')', 'SK010', NULL,
                 'key_change: not all of all tenants');
SELECT is(kek_version, 1, 'an import begins') FROM speke.key_import_begin('red');
SELECT speke.key_import_stage(:red, 1, '{1,2}', '{film,film}', pg_temp.kids(1, 8), '{cbcs,cbcs}',
                              array_fill(decode(repeat('00', 16), 'hex'), '{2}'), '{t,t}',
                              array_fill(decode(repeat('00', 44), 'hex'), '{2}')) \g /dev/null
SELECT set_eq('SELECT line, kid FROM speke.key_import_mine', $$ VALUES (1::bigint, pg_temp.kid(1)), (2, pg_temp.kid(8)) $$,
              'key_import_mine: what this transaction has staged');
INSERT INTO speke.key_import (import_id, line, tenant_id, kid, content_digest, content_id)
VALUES (1, 3, :red, pg_temp.kid(3), sha256('film'), 'film');
SELECT is(count(*), 2::bigint, 'key_import_mine: and no other') FROM speke.key_import_mine;
SELECT set_eq('SELECT line, imported FROM speke.key_import_there', $$ VALUES (1::bigint, false) $$,
              'key_import_there: those that are there before');

-- KEKs --------------------------------------------------------------------------------------------

SELECT is(speke.kek_state_for_change(1), 'active', 'kek_state_for_change');
SELECT throws_ok('SELECT speke.kek_state_for_change(2)', 'SK002', NULL, 'kek_state_for_change: no such version');

-- The audit ---------------------------------------------------------------------------------------

SELECT lives_ok(format('SELECT speke.audit_admin(%s, %s, ''something'')', :red, :red1), 'audit_admin');
SELECT results_eq('SELECT event, tenant, client, operator, detail FROM pg_temp.newest',
                  $$ VALUES ('admin', 'red', 'red-1', session_user::text COLLATE "default", 'something') $$,
                  'audit_admin: is on record');
CREATE TABLE pg_temp.guarded (n integer);
SELECT speke.audit_guard('pg_temp.guarded') \g /dev/null
SELECT throws_ok('DELETE FROM pg_temp.guarded', '42501', NULL, 'audit_guard');
SELECT lives_ok('SELECT speke.audit_partitions_ahead()', 'audit_partitions_ahead');
SELECT cmp_ok(count(*), '>=', 4::bigint, 'audit_partitions_ahead: four months are there')
  FROM speke.audit_month WHERE to_utc > now() AT TIME ZONE 'UTC';
SELECT results_eq($$ SELECT from_utc, to_utc FROM speke.audit_month
                      WHERE now() AT TIME ZONE 'UTC' >= from_utc AND now() AT TIME ZONE 'UTC' < to_utc $$,
                  $$ SELECT date_trunc('month', now() AT TIME ZONE 'UTC'),
                            date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month' $$,
                  'audit_month: this one, once');
SELECT results_eq($$ SELECT day FROM speke.audit_day WHERE now() >= from_at AND now() < to_at $$,
                  $$ VALUES ((now() AT TIME ZONE 'UTC')::date) $$, 'audit_day: today, once');
SELECT is(speke.audit_seal_moved(NULL, 7) > 0, true, 'audit_seal_moved: covers what is there');
SELECT results_eq('SELECT seal_no, cluster, row_count > 0, octet_length(hash) FROM speke.v_audit_seal',
                  'VALUES (1::bigint, 7::bigint, true, 32)', 'v_audit_seal');
SELECT speke.token_key_add('red', 'k', 'ES256', decode(repeat('04', 65), 'hex'), NULL, NULL) \g /dev/null
SELECT results_eq('SELECT tenant, kid, algorithm, enabled, fingerprint FROM speke.v_token_key',
                  $$ VALUES ('red', 'k', 'ES256', true, encode(sha256(decode(repeat('04', 65), 'hex')), 'hex')) $$,
                  'v_token_key');

SELECT * FROM finish();
ROLLBACK;
