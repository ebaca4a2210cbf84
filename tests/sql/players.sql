-- SPDX-License-Identifier: Apache-2.0
-- Keys of tokens, deliveries to players, and refusals that are counted.
\ir lib/start.psql
BEGIN;
SELECT * FROM no_plan();

SELECT speke.tenant_add('studio');
SELECT speke.tenant_add('other');
SELECT speke.client_add('studio', 'packager');
SELECT speke.kek_register(1, '\x00112233445566778899aabbccddeeff');
CREATE VIEW pg_temp.now_in_force AS SELECT generation FROM speke.config_generation;
CREATE FUNCTION pg_temp.tenant(p_name text) RETURNS integer LANGUAGE sql AS
    'SELECT tenant_id FROM speke.tenant WHERE name = p_name';
CREATE FUNCTION pg_temp.digest(p_id text) RETURNS bytea LANGUAGE sql AS
    'SELECT sha256(convert_to(p_id, ''UTF8''))';

-- Token keys --------------------------------------------------------------------------------------

CREATE FUNCTION pg_temp.bytes(n integer) RETURNS bytea LANGUAGE sql AS
    'SELECT decode(repeat(''04'', n), ''hex'')';
SELECT lives_ok($$ SELECT speke.token_key_add('studio', 'a', 'ES256', pg_temp.bytes(65), NULL, NULL) $$,
                'a public key');
SELECT lives_ok($$ SELECT speke.token_key_add('studio', 'b', 'HS256', NULL, pg_temp.bytes(60), 1) $$,
                'a sealed secret');
SELECT throws_ok($$ SELECT speke.token_key_add('studio', 'a', 'ES256', pg_temp.bytes(65), NULL, NULL) $$,
                 'SK003', NULL, 'a name only once');
SELECT lives_ok($$ SELECT speke.token_key_add('other', 'a', 'ES256', pg_temp.bytes(65), NULL, NULL) $$,
                'but for another tenant it is another key');
SELECT throws_ok($$ SELECT speke.token_key_add('nobody', 'a', 'ES256', pg_temp.bytes(65), NULL, NULL) $$,
                 'SK002', NULL, 'of a tenant that there is');
SELECT throws_ok($$ SELECT speke.token_key_add('studio', 'c', 'HS256', NULL, pg_temp.bytes(60), 7) $$,
                 'SK009', NULL, 'under the active KEK');
SELECT throws_ok(format('SELECT speke.token_key_add(''studio'', %L, %L, %s, %s, %s)', kid, algorithm, point, sealed, kek),
                 '23514', NULL, 'not ' || what)
  FROM (VALUES ('no algorithm of ours', 'c', 'none', 'NULL', 'NULL', 'NULL'),
               ('a public key for HS256', 'c', 'HS256', 'pg_temp.bytes(65)', 'NULL', 'NULL'),
               ('a secret for ES256', 'c', 'ES256', 'NULL', 'pg_temp.bytes(60)', '1'),
               ('both', 'c', 'ES256', 'pg_temp.bytes(65)', 'pg_temp.bytes(60)', '1'),
               ('a short secret', 'c', 'HS256', 'NULL', 'pg_temp.bytes(59)', '1'),
               ('a name with a blank', 'c d', 'ES256', 'pg_temp.bytes(65)', 'NULL', 'NULL'))
       AS bad (what, kid, algorithm, point, sealed, kek);
SELECT results_eq('SELECT kid, algorithm FROM speke.player_token_keys(pg_temp.tenant(''studio''))',
                  $$ VALUES ('a', 'ES256'), ('b', 'HS256') $$, 'the service gets those of one tenant');
SELECT speke.token_key_set_enabled('studio', 'a', false);
SELECT results_eq('SELECT kid FROM speke.player_token_keys(pg_temp.tenant(''studio''))',
                  $$ VALUES ('b') $$, 'and none that is disabled');
SELECT throws_ok('SELECT speke.token_key_set_enabled(''studio'', ''z'', false)', 'SK002', NULL, 'no such key');
SELECT speke.token_key_remove('studio', 'a');
SELECT throws_ok('SELECT speke.token_key_remove(''studio'', ''a'')', 'SK002', NULL, 'removed is removed');
SELECT is((SELECT count(*) FROM speke.audit_event WHERE event = 'admin' AND detail ~ '^token_key_')::integer,
          5, 'each change is in the audit');

-- The cost of a sequential scan that cannot be left out would have each call compiled.
SELECT ok('jit=off' = ANY (proconfig), 'player_acquire is not compiled each time')
  FROM pg_proc WHERE oid = 'speke.player_acquire'::regproc;


-- Retiring a KEK ----------------------------------------------------------------------------------

SELECT speke.kek_register(2, '\x10112233445566778899aabbccddeeff');
SELECT throws_ok('SELECT speke.kek_retire(1)', 'SK009',
                 '1 token keys are sealed under KEK version 1: rewrap them first',
                 'a KEK that a token key is sealed under is not retired');
SELECT is((SELECT count(*) FROM speke.token_key_rewrap_batch(2, 0, 10))::integer, 1, 'it is to be rewrapped');
SELECT is((SELECT count(*) FROM speke.token_key_rewrap_batch(2, token_key_id, 10))::integer, 0, 'once')
  FROM speke.token_key_rewrap_batch(2, 0, 10);
SELECT is(speke.token_key_rewrap_store(2, token_key_id, sealed, pg_temp.bytes(60)), true, 'is')
  FROM speke.token_key_rewrap_batch(2, 0, 10);
SELECT is((SELECT count(*) FROM speke.token_key_rewrap_batch(2, 0, 10))::integer, 0, 'and then no more');
SELECT lives_ok('SELECT speke.kek_retire(1)', 'now the KEK is');

-- Deliveries --------------------------------------------------------------------------------------

INSERT INTO speke.content_key (tenant_id, created_by, kek_version, kid, content_digest, explicit_iv,
                               sealed, scheme, content_id)
SELECT pg_temp.tenant('studio'), client_id, 2, kid::uuid, pg_temp.digest(content), decode(repeat('00', 16), 'hex'),
       decode(repeat('00', 44), 'hex'), 'cenc', content
  FROM speke.client, (VALUES ('m', '00000000-0000-0000-0000-000000000001'),
                             ('m', '00000000-0000-0000-0000-000000000002'),
                             ('n', '00000000-0000-0000-0000-000000000001')) AS k (content, kid);
CREATE FUNCTION pg_temp.deliver(p_tenant text, p_contents text[], p_kids uuid[])
RETURNS TABLE (content_id text, kid uuid) LANGUAGE sql AS $$
    SELECT d.content_id, d.kid
      FROM speke.player_acquire((SELECT generation FROM pg_temp.now_in_force), pg_temp.tenant(p_tenant),
               'clearkey', ARRAY(SELECT pg_temp.digest(c) FROM unnest(p_contents) AS c), p_kids, '192.0.2.1',
               'token key b') AS d
$$;
SELECT results_eq($$ SELECT * FROM pg_temp.deliver('studio', '{m}', '{00000000-0000-0000-0000-000000000002,00000000-0000-0000-0000-000000000009,00000000-0000-0000-0000-000000000001}') $$,
    $$ VALUES ('m', '00000000-0000-0000-0000-000000000002'::uuid), ('m', '00000000-0000-0000-0000-000000000001') $$,
    'those that there are, in the order asked');
SELECT results_eq($$ SELECT kids::text, via, detail, host(remote_addr) FROM speke.audit_event WHERE event = 'delivery' $$,
    $$ VALUES ('{00000000-0000-0000-0000-000000000002,00000000-0000-0000-0000-000000000001}', 'clearkey', 'token key b', '192.0.2.1') $$,
    'with an audit row');
SELECT results_eq($$ SELECT * FROM pg_temp.deliver('studio', '{n,m}', '{00000000-0000-0000-0000-000000000001,00000000-0000-0000-0000-000000000002}') $$,
    $$ VALUES ('n', '00000000-0000-0000-0000-000000000001'::uuid), ('m', '00000000-0000-0000-0000-000000000002') $$,
    'of several contents the first that has it');
SELECT is_empty($$ SELECT * FROM pg_temp.deliver('other', '{m}', '{00000000-0000-0000-0000-000000000001}') $$,
                'nothing of another tenant');
SELECT is_empty($$ SELECT * FROM pg_temp.deliver('studio', '{}', '{00000000-0000-0000-0000-000000000001}') $$,
                'nothing of no content');
SELECT is((SELECT count(*) FROM speke.audit_event WHERE event = 'delivery')::integer, 3,
          'and no audit row when nothing is given');
UPDATE speke.content_key SET revoked_at = now() WHERE content_id = 'n';
SELECT is_empty($$ SELECT * FROM pg_temp.deliver('studio', '{n}', '{00000000-0000-0000-0000-000000000001}') $$,
                'a revoked key is as one that is not there');
SELECT throws_ok($$ SELECT * FROM speke.player_acquire(1, pg_temp.tenant('studio'), 'key', '{}', '{}', NULL, '') $$,
                 'SK001', NULL, 'not under an older configuration');
UPDATE speke.tenant SET enabled = false WHERE name = 'studio';
SELECT throws_ok($$ SELECT * FROM pg_temp.deliver('studio', '{m}', '{00000000-0000-0000-0000-000000000001}') $$,
                 'SK001', NULL, 'nor of a tenant that is disabled');
SELECT is_empty('SELECT * FROM speke.player_configuration(''studio'', NULL)', 'which is not known any more');
SELECT is((SELECT tenant FROM speke.player_configuration('~', pg_temp.digest('other')) LIMIT 1), 'other',
          'a tenant is found by the digest of its name, too');

-- Refusals ----------------------------------------------------------------------------------------

SELECT speke.player_refused(pg_temp.tenant('other'), 401, 'token_expired', 5, '192.0.2.1');
SELECT speke.player_refused(pg_temp.tenant('other'), 401, 'token_expired', 7, 'rubbish');
SELECT speke.player_refused(0, 401, 'tenant_unknown', 1, NULL);
SELECT results_eq('SELECT tenant, reason, count FROM speke.v_player_refusal ORDER BY count',
                  $$ VALUES (NULL, 'tenant_unknown', 1::bigint), ('other', 'token_expired', 12) $$,
                  'refusals are one row for each hour, tenant and reason');

SELECT * FROM finish();
ROLLBACK;
