-- SPDX-License-Identifier: Apache-2.0
-- What an auditor finds in the views.
\ir lib/start.psql
BEGIN;
SELECT * FROM no_plan();
\ir lib/acquire.psql

SET LOCAL ROLE :service;
SELECT pg_temp.give_periods('channel', pg_temp.kids(1), '{p}', '{2026}', '{1}', pg_temp.kids(1),
                            ARRAY[sha256('der')], '{CN=packager}') \g /dev/null
RESET ROLE;
SET LOCAL ROLE :operator;
SELECT speke.setting_set('red', '9a04f079-9840-4286-ab92-e65be0885f95', 'la_url', 'x') \g /dev/null
RESET ROLE;
SET LOCAL ROLE :service;
SELECT * FROM pg_temp.give('red-1', 'film', 1, pg_temp.kids(1, 2)) \g /dev/null
SELECT * FROM pg_temp.give('red-2', 'film', 1, pg_temp.kids(2, 3)) \g /dev/null
SELECT speke.refuse('blue-1', '192.0.2.9', '2.0', 'film', pg_temp.kids(1), 422, 'no') \g /dev/null
RESET ROLE;
SET LOCAL ROLE :operator;
SELECT speke.client_set_enabled('blue-1', false) \g /dev/null
RESET ROLE;
UPDATE speke.tenant SET enabled = false WHERE name = 'red';

SET LOCAL ROLE :auditor;
SELECT results_eq('SELECT tenant_id, name, enabled FROM speke.v_tenant ORDER BY name',
                  format('VALUES (%s, ''blue'', true), (%s, ''red'', false)', :blue, :red), 'v_tenant');
SELECT results_eq('SELECT client_id, name, tenant, in_force, enabled, disabled_at IS NULL
                     FROM speke.v_client ORDER BY name',
                  format($$ VALUES (%s, 'blue-1', 'blue', false, false, false),
                                   (%s, 'red-1', 'red', false, true, true),
                                   (%s, 'red-2', 'red', false, true, true) $$, :blue1, :red1, :red2),
                  'v_client');
SELECT results_eq('SELECT kek_version, state, check_value FROM speke.v_kek',
                  $$ VALUES (1, 'active', repeat('11', 16)) $$, 'v_kek');
SELECT results_eq('SELECT tenant, content_id, kid, scheme, kek_version, created_by
                     FROM speke.v_key WHERE content_id = ''film'' ORDER BY kid',
                  $$ VALUES ('red', 'film', pg_temp.kid(1), 's11', 1, 'red-1'),
                            ('red', 'film', pg_temp.kid(2), 's12', 1, 'red-1'),
                            ('red', 'film', pg_temp.kid(3), 's12', 1, 'red-2') $$, 'v_key');
SELECT results_eq('SELECT tenant, system, name, value FROM speke.v_setting',
                  $$ VALUES ('red', '9a04f079-9840-4286-ab92-e65be0885f95'::uuid, 'la_url', 'x') $$,
                  'v_setting');
SELECT results_eq('SELECT tenant, content_id, period_id, period_index, period_start, period_end,
                          start_offset, end_offset, kids, first_seen_by FROM speke.v_period',
                  $$ VALUES ('red', 'channel', 'p', NULL, '2026', NULL, NULL, NULL,
                             pg_temp.kids(1), 'red-1') $$, 'v_period');
SELECT results_eq('SELECT recipient_subjects, recipient_fingerprints FROM speke.v_release
                    WHERE content_id = ''channel''',
                  $$ VALUES (ARRAY['CN=packager'], ARRAY[encode(sha256('der'), 'hex')]) $$,
                  'v_release: whom keys were encrypted for');
SELECT results_eq('SELECT tenant, client, host(remote_addr), speke_version, content_id, kid, created
                     FROM speke.v_release WHERE content_id = ''film'' ORDER BY event_id, kid',
                  $$ VALUES ('red', 'red-1', '192.0.2.7', '2.0', 'film', pg_temp.kid(1), true),
                            ('red', 'red-1', '192.0.2.7', '2.0', 'film', pg_temp.kid(2), true),
                            ('red', 'red-2', '192.0.2.7', '2.0', 'film', pg_temp.kid(2), false),
                            ('red', 'red-2', '192.0.2.7', '2.0', 'film', pg_temp.kid(3), true) $$,
                  'v_release: a row for each KID, and refusals are none');
SELECT results_eq('SELECT event, status, tenant, client, operator, detail FROM speke.v_audit
                    WHERE event <> ''release'' ORDER BY event_id DESC LIMIT 2',
                  $$ VALUES ('admin', NULL, 'blue', 'blue-1', session_user::text COLLATE "default",
                             'client_set_enabled ''blue-1'' f'),
                            ('refusal', 422, 'blue', 'blue-1', NULL, 'no') $$, 'v_audit');
SELECT results_eq('SELECT max(version) FROM speke.v_schema_version', 'VALUES (11)', 'v_schema_version');

SELECT * FROM finish();
ROLLBACK;
