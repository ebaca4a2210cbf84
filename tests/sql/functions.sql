-- SPDX-License-Identifier: Apache-2.0
-- The other functions of the service, and those of the operator.
\ir lib/start.psql
BEGIN;
SELECT * FROM no_plan();

SET LOCAL ROLE :service;
SELECT results_eq('SELECT schema_version, kek_version, kek_check FROM speke.service_state()',
                  'VALUES (11, NULL::integer, NULL::bytea)', 'a fresh schema has no KEK');
RESET ROLE;
\ir lib/acquire.psql

-- service_state, identify --------------------------------------------------------------------------

SET LOCAL ROLE :service;
SELECT results_eq('SELECT schema_version, kek_version, kek_check FROM speke.service_state()',
                  $$ VALUES (11, 1, decode(repeat('11', 16), 'hex')) $$,
                  'the active KEK and its check value');
SELECT results_eq('SELECT * FROM speke.identify(''red-1'')',
                  format($$ SELECT %s, %s, 'red', 1, decode(repeat('11', 16), 'hex'), generation
                              FROM speke.service_state() $$, :red1, :red), 'a client is identified');
SELECT is_empty(format('SELECT * FROM speke.%I(%L)', function, name),
                function || format(': %s is nobody', coalesce(quote_literal(name), 'no name')))
  FROM unnest(ARRAY['identify', 'client_configuration']) AS function,
       unnest(ARRAY['nobody', 'RED-1', '', NULL]) AS name;
SELECT results_eq('SELECT * FROM speke.client_configuration(''red-1'')',
                  $$ SELECT i.*, '', NULL::text, NULL::text FROM speke.identify('red-1') i $$,
                  'its configuration is one row when the tenant has no settings');
RESET ROLE;

UPDATE speke.tenant SET enabled = false WHERE name = 'blue';
SET LOCAL ROLE :service;
SELECT is_empty('SELECT * FROM speke.identify(''blue-1'')', 'nor one of a disabled tenant');
SELECT is_empty('SELECT * FROM speke.client_configuration(''blue-1'')', 'in no way');
RESET ROLE;
UPDATE speke.tenant SET enabled = true WHERE name = 'blue';

-- refuse -------------------------------------------------------------------------------------------

SET LOCAL ROLE :service;
SELECT ok(speke.refuse('red-1', '192.0.2.9', '2.0', 'film', pg_temp.kids(1, 2), 422, 'Wrong DRM system ID'),
          'the refusal of a known client');
RESET ROLE;
SELECT results_eq($$ SELECT event, status, tenant, client, remote_user, host(remote_addr),
                            speke_version, content_id, kids, created_kids, detail
                       FROM pg_temp.newest $$,
                  $$ VALUES ('refusal', 422, 'red', 'red-1', 'red-1', '192.0.2.9', '2.0', 'film',
                             pg_temp.kids(1, 2), '{}'::uuid[], 'Wrong DRM system ID') $$,
                  'is on record');
SET LOCAL ROLE :service;
SELECT ok(NOT speke.refuse('nobody', NULL, NULL, NULL, '{}', 403, 'Forbidden'),
          'the refusal of an unknown client says so');
RESET ROLE;
SELECT results_eq('SELECT status, tenant, client, remote_user, content_id FROM pg_temp.newest',
                  $$ VALUES (403, NULL, NULL, 'nobody', NULL::text) $$, 'and is on record too');
SET LOCAL ROLE :service;
SELECT ok(NOT speke.refuse(NULL, NULL, NULL, NULL, '{}', 403, 'Forbidden'),
          'also when there was no user at all');
SELECT ok(speke.refuse('red-1', 'x', repeat('9', 9999), repeat('x', 99999), '{}', 400, repeat('y', 9999)),
          'long texts do no harm');
RESET ROLE;
SELECT results_eq($$ SELECT length(speke_version), length(content_id), length(detail)
                       FROM pg_temp.newest $$, 'VALUES (32, 1024, 1024)', 'and are cut');
SET LOCAL ROLE :operator;
SELECT speke.client_set_enabled('red-1', false) \g /dev/null
SET LOCAL ROLE :service;
SELECT ok(NOT speke.refuse('red-1', NULL, '2.0', 'film', '{}', 403, 'Forbidden'),
          'a disabled client is as good as unknown');
RESET ROLE;
SELECT results_eq('SELECT tenant, client FROM pg_temp.newest', $$ VALUES ('red', 'red-1') $$,
                  'but on record with its name');

-- Operator -----------------------------------------------------------------------------------------

SET LOCAL ROLE :operator;
SELECT throws_ok('SELECT speke.tenant_add(''red'')', 'SK003', 'tenant "red" exists', 'no tenant twice');
SELECT throws_ok('SELECT speke.tenant_add('''')', '23514', NULL, 'no tenant without name');
SELECT throws_ok('SELECT speke.client_add(''green'', ''x'')', 'SK002', 'no tenant "green"', 'no client of no tenant');
SELECT throws_ok('SELECT speke.client_add(''blue'', ''red-1'')', 'SK003', 'client "red-1" exists',
                 'a client has one tenant');
SELECT throws_ok('SELECT speke.client_set_enabled(''green-1'', true)', 'SK002', 'no client "green-1"',
                 'no unknown client is enabled');
SELECT lives_ok('SELECT speke.client_set_enabled(''red-1'', true)', 'a known one is');
SELECT results_eq('SELECT event, operator, tenant, client, detail FROM pg_temp.newest',
                  $$ SELECT 'admin', session_user::text COLLATE "default", 'red', 'red-1',
                            'client_set_enabled ''red-1'' t' $$,
                  'what an operator does is on record under the name of the login');
RESET ROLE;
SELECT results_eq('SELECT enabled, disabled_at FROM speke.client WHERE name = ''red-1''',
                  'VALUES (true, NULL::timestamptz)', 'and is done');

SET LOCAL ROLE :operator;
SELECT lives_ok($$ SELECT speke.kek_register(1, decode(repeat('11', 16), 'hex')) $$,
                'the active KEK may be registered again');
SELECT throws_ok($$ SELECT speke.kek_register(1, decode(repeat('22', 16), 'hex')) $$, 'SK003', NULL,
                 'but not with another value');
SELECT lives_ok($$ SELECT speke.kek_register(2, decode(repeat('22', 16), 'hex')) $$, 'a second KEK');
SELECT throws_ok($$ SELECT speke.kek_register(1, decode(repeat('11', 16), 'hex')) $$, 'SK003', NULL,
                 'the former one does not come back this way');
RESET ROLE;
SELECT results_eq('SELECT kek_version, state FROM speke.kek_version ORDER BY 1',
                  $$ VALUES (1, 'retiring'), (2, 'active') $$, 'the second takes over');

SET LOCAL ROLE :operator;
SELECT lives_ok(format('SELECT speke.webauth_set(''red-1'', ''speke'', %L, NULL)', repeat('0a', 16)),
                'a Digest user');
SELECT lives_ok(format('SELECT speke.webauth_set(''red-1'', ''speke'', %L, %L)', repeat('0b', 16), repeat('0c', 32)),
                'and another password');
RESET ROLE;
SELECT results_eq('SELECT * FROM speke.v_digest_user',
                  format($$ VALUES ('red-1', 'speke', %L, %L) $$, repeat('0b', 16), repeat('0c', 32)),
                  'is what the web server finds');
SELECT is_empty($$ SELECT FROM speke.audit_event a
                    WHERE strpos(a::text, repeat('0b', 16)) > 0 OR strpos(a::text, repeat('0c', 32)) > 0 $$,
                'the audit has no hash');
SET LOCAL ROLE :operator;
SELECT lives_ok('SELECT speke.webauth_remove(''red-1'', ''speke'')', 'a user is removed');
SELECT throws_ok('SELECT speke.webauth_remove(''red-1'', ''speke'')', 'SK002',
                 'no user "red-1" in realm "speke"', 'and then is unknown');
RESET ROLE;
SELECT is_empty('SELECT * FROM speke.v_digest_user', 'and gone');

-- Settings -----------------------------------------------------------------------------------------

\set playready '''9a04f079-9840-4286-ab92-e65be0885f95'''
\set widevine '''edef8ba9-79d6-4ace-a3c8-27dcd51d21ed'''
SELECT generation AS before FROM speke.service_state() \gset
SET LOCAL ROLE :operator;
SELECT lives_ok(format('SELECT speke.setting_set(%L, %L, %L, %L)', 'red', system, name, value),
                'set ' || name)
  FROM (VALUES (:widevine, 'provider', 'acme'), (:playready, 'la_url', 'https://a.example/?x=1&y=2'),
               (NULL, 'versions', '2.0 2.1'), (:playready, 'header_version', ''))
       AS s (system, name, value);
SELECT lives_ok(format('SELECT speke.setting_set(''blue'', NULL, ''versions'', %L)', repeat('v', 9999)),
                'another tenant, another value');
RESET ROLE;
SELECT ok(length(detail) < 1100, 'however long, the audit row is short') FROM pg_temp.newest;
SET LOCAL ROLE :service;
SELECT results_eq('SELECT setting_system, setting_name, setting_value
                     FROM speke.client_configuration(''red-2'')',
                  format($$ VALUES ('', 'versions', '2.0 2.1'),
                                   (%L, 'header_version', ''),
                                   (%1$L, 'la_url', 'https://a.example/?x=1&y=2'),
                                   (%2$L, 'provider', 'acme') $$, :playready, :widevine),
                  'a client comes with the settings of its tenant, the tenant''s own first');
SELECT is_empty('SELECT c.client_id, c.tenant_id, c.tenant, c.kek_version, c.kek_check, c.generation
                   FROM speke.client_configuration(''red-2'') c
                 EXCEPT SELECT * FROM speke.identify(''red-2'')', 'and is itself in each row');
SELECT cmp_ok((SELECT generation FROM speke.service_state()), '>', :before::bigint, 'processes are told');
RESET ROLE;

SET LOCAL ROLE :operator;
SELECT lives_ok('SELECT speke.setting_set(''red'', NULL, ''versions'', ''2.1'')', 'another value');
SELECT results_eq('SELECT value FROM speke.v_setting WHERE tenant = ''red'' AND system IS NULL',
                  $$ VALUES ('2.1') $$, 'takes the place of the former one');
SELECT results_eq('SELECT event, operator, tenant, client, detail FROM pg_temp.newest',
                  $$ SELECT 'admin', session_user::text COLLATE "default", 'red', NULL,
                            'setting_set ''versions'' tenant ''2.1''' $$, 'which is on record');
SELECT lives_ok(format('SELECT speke.setting_unset(''red'', %L, ''la_url'')', :playready), 'unset');
SELECT is((SELECT detail FROM pg_temp.newest),
          'setting_unset ''la_url'' ' || :playready, 'is on record, too');
SELECT is_empty('SELECT FROM speke.v_setting WHERE name = ''la_url''', 'and done');
SELECT isnt_empty('SELECT FROM speke.v_setting WHERE name = ''header_version''', 'to that one alone');
SELECT throws_ok(format('SELECT speke.setting_unset(''red'', %L, ''la_url'')', :playready), 'SK002',
                 'tenant "red" has no setting "la_url" of system ' || :playready, 'nothing twice');
SELECT throws_ok('SELECT speke.setting_unset(''red'', NULL, ''provider'')', 'SK002',
                 'tenant "red" has no setting "provider" of its own', 'nor for another system');
SELECT throws_ok('SELECT speke.setting_unset(''green'', NULL, ''versions'')', 'SK002',
                 'no tenant "green"', 'nor for no tenant');
SELECT throws_ok('SELECT speke.setting_set(''green'', NULL, ''versions'', ''1.0'')', 'SK002',
                 'no tenant "green"', 'no setting of no tenant');
SELECT throws_ok('SELECT speke.setting_set(''red'', NULL, ''Versions'', ''1.0'')', '23514', NULL,
                 'none of a bad name');
SELECT throws_ok('SELECT speke.setting_set(''red'', NULL, ''versions'', NULL)', '23502', NULL,
                 'none without value');
SELECT speke.setting_set('red', NULL, 'n' || n, 'x') FROM generate_series(1, 997) n \g /dev/null
SELECT throws_ok('SELECT speke.setting_set(''red'', NULL, ''n998'', ''x'')', 'SK004', NULL,
                 'a tenant has at most 1000 settings');
SELECT lives_ok('SELECT speke.setting_set(''red'', NULL, ''n997'', ''y'')', 'which may be changed');
RESET ROLE;
SELECT is((SELECT count(*) FROM speke.tenant_setting s JOIN speke.tenant t USING (tenant_id)
            WHERE t.name = 'red'), 1000::bigint, 'a thousand');

SELECT * FROM finish();
ROLLBACK;
