-- SPDX-License-Identifier: Apache-2.0
-- The life of a KEK, and sealing keys anew.
\ir lib/start.psql
BEGIN;
\ir lib/acquire.psql
SELECT * FROM no_plan();

CREATE FUNCTION pg_temp.check_of(p_version integer) RETURNS bytea LANGUAGE sql AS
$$ SELECT decode(repeat(lpad(to_hex(p_version), 2, '0'), 16), 'hex') $$;

-- States ------------------------------------------------------------------------------------------

SELECT results_eq('SELECT kek_version, state, activated_at IS NOT NULL FROM speke.v_kek',
                  'SELECT 1, ''active'', true', 'the first KEK is active, and since when is known');
SET LOCAL ROLE :operator;
SELECT lives_ok('SELECT speke.kek_add(2, pg_temp.check_of(2))', 'a KEK is registered');
SELECT lives_ok('SELECT speke.kek_add(2, pg_temp.check_of(2))', 'again, after an interruption');
SELECT throws_ok('SELECT speke.kek_add(2, pg_temp.check_of(3))', 'SK003', NULL, 'but no other key');
SELECT throws_ok('SELECT speke.kek_add(1, pg_temp.check_of(17))', 'SK003', NULL,
                 'nor one that is in use');
SELECT results_eq('SELECT kek_version, state FROM speke.v_kek ORDER BY 1',
                  $$ VALUES (1, 'active'), (2, 'ready') $$, 'it seals nothing yet');
SELECT throws_ok('SELECT speke.kek_activate(9, pg_temp.check_of(9))', 'SK002', NULL,
                 'a KEK that is not registered');
SELECT throws_ok('SELECT speke.kek_activate(2, pg_temp.check_of(3))', 'SK009', NULL,
                 'another key under its number');
SELECT throws_ok('SELECT speke.kek_retire(1)', 'SK009', 'KEK version 1 is active: only one that is ready or retiring is retired',
                 'the active one is not retired');
SELECT throws_ok('SELECT speke.kek_destroy(1)', 'SK009', NULL, 'nor destroyed');
RESET ROLE;

-- Keys under KEK 1 ----------------------------------------------------------------------------------

SELECT * FROM pg_temp.give('red-1', 'film', 3, pg_temp.kids(1, 2, 3)) \g /dev/null
SET LOCAL ROLE :operator;
SELECT lives_ok('SELECT speke.kek_activate(2, pg_temp.check_of(2))', 'the second becomes active');
SELECT lives_ok('SELECT speke.kek_activate(2, pg_temp.check_of(2))', 'and stays it');
SELECT results_eq('SELECT kek_version, state, retiring_at IS NOT NULL FROM speke.v_kek ORDER BY 1',
                  $$ VALUES (1, 'retiring', true), (2, 'active', false) $$, 'the first is retiring');
SELECT results_eq('SELECT kek_version, keys FROM speke.v_kek_use ORDER BY 1',
                  'VALUES (1, 3::bigint), (2, 0::bigint)', 'how many keys each has');
SELECT throws_ok('SELECT speke.kek_retire(1)', 'SK009',
                 '3 keys are sealed under KEK version 1: rewrap them first', 'keys keep it');
SELECT lives_ok('SELECT speke.kek_activate(1, pg_temp.check_of(17))', 'the way back');
SELECT lives_ok('SELECT speke.kek_activate(2, pg_temp.check_of(2))', 'and again');

-- Rewrap ------------------------------------------------------------------------------------------

CREATE TEMPORARY TABLE batch AS
    SELECT * FROM speke.rewrap_batch(2, 0, '', '00000000-0000-0000-0000-000000000000', 2);
SELECT is((SELECT count(*) FROM batch), 2::bigint, 'a batch is as large as was asked');
SELECT set_eq('SELECT DISTINCT kek_version FROM batch', ARRAY[1], 'of keys under another KEK');
SELECT is((SELECT count(*) FROM batch b, speke.rewrap_batch(2, b.tenant_id, b.content_digest, b.kid, 10) r
            WHERE b.kid = (SELECT max(kid::text)::uuid FROM batch)), 1::bigint,
          'the next one goes on behind it');
SELECT throws_ok('SELECT speke.rewrap_batch(2, 0, '''', ''00000000-0000-0000-0000-000000000000'', 1001)',
                 '22023', NULL, 'a batch is small');
CREATE FUNCTION pg_temp.store(p_kek integer, p_old_changed boolean DEFAULT false) RETURNS integer LANGUAGE sql AS $$
    SELECT speke.rewrap_store(p_kek, array_agg(tenant_id), array_agg(content_digest), array_agg(kid),
                              array_agg(CASE WHEN p_old_changed THEN set_byte(sealed, 0, 99) ELSE sealed END),
                              array_agg(set_byte(sealed, 1, 77)))
      FROM batch
$$;
SELECT throws_ok('SELECT pg_temp.store(1)', 'SK009', NULL, 'only under the active KEK');
SELECT is(pg_temp.store(2, true), 0, 'a row that is not what was read any more stays');
SELECT is(pg_temp.store(2), 2, 'both rows are replaced');
SELECT is(pg_temp.store(2), 0, 'once');
SELECT throws_ok('SELECT speke.rewrap_store(2, ''{1}'', ''{}'', ''{}'', ''{}'', ''{}'')', '22023', NULL,
                 'lists of one length');
RESET ROLE;
SELECT results_eq('SELECT k.kek_version, get_byte(k.sealed, 1) FROM speke.content_key k JOIN batch USING (tenant_id, content_digest, kid)',
                  'VALUES (2, 77), (2, 77)', 'sealed under the active KEK');
SELECT is((SELECT count(*) FROM speke.audit_event WHERE detail = 'rewrap_store 2 keys to KEK 2'), 1::bigint,
          'and on record, once');
SET LOCAL ROLE :operator;
SELECT throws_ok('SELECT speke.kek_retire(1)', 'SK009',
                 '1 keys are sealed under KEK version 1: rewrap them first', 'one is left');
TRUNCATE batch;
INSERT INTO batch SELECT * FROM speke.rewrap_batch(2, 0, '', '00000000-0000-0000-0000-000000000000', 10);
SELECT is(pg_temp.store(2), 1, 'the last one');
SELECT is_empty('SELECT * FROM speke.rewrap_batch(2, 0, '''', ''00000000-0000-0000-0000-000000000000'', 10)',
                'nothing is left');

-- The same statement with the function's settings: along the primary key, without a sort.
RESET ROLE;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_sort = off;
SET LOCAL enable_bitmapscan = off;
CREATE FUNCTION pg_temp.plan_of(p_sql text) RETURNS SETOF text LANGUAGE plpgsql AS
$$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || p_sql; END $$;
SELECT ok((SELECT bool_or(line ~ 'Index Scan using content_key_identity') AND NOT bool_or(line ~ 'Sort')
             FROM pg_temp.plan_of($sql$
                SELECT c.sealed FROM speke.content_key c
                 WHERE (c.tenant_id, c.content_digest, c.kid) > (1, '\x'::bytea, gen_random_uuid())
                   AND c.kek_version <> 2 AND c.sealed IS NOT NULL
                 ORDER BY c.tenant_id, c.content_digest, c.kid LIMIT 200 $sql$) AS line),
          'a batch is read along the primary key');
RESET enable_seqscan;
RESET enable_sort;
RESET enable_bitmapscan;
SET LOCAL ROLE :operator;

-- Retired, destroyed --------------------------------------------------------------------------------

SELECT lives_ok('SELECT speke.kek_retire(1)', 'an empty KEK is retired');
SELECT lives_ok('SELECT speke.kek_retire(1)', 'and stays it');
SELECT throws_ok('SELECT speke.kek_activate(1, pg_temp.check_of(17))', 'SK009', NULL,
                 'it does not become active again');
RESET ROLE;
SELECT throws_ok($$ INSERT INTO speke.content_key (tenant_id, created_by, kek_version, kid, content_digest,
                                                   explicit_iv, sealed, scheme, content_id)
                    SELECT tenant_id, created_by, 1, gen_random_uuid(), content_digest, explicit_iv, sealed,
                           scheme, content_id FROM speke.content_key LIMIT 1 $$, 'SK001', NULL,
                 'no key is sealed under a retired KEK');
SET LOCAL ROLE :operator;
SELECT lives_ok('SELECT speke.kek_destroy(1)', 'a retired KEK is destroyed');
SELECT lives_ok('SELECT speke.kek_destroy(1)', 'and stays it');
SELECT throws_ok('SELECT speke.kek_retire(1)', 'SK009', NULL, 'and nothing else becomes of it');
RESET ROLE;
SELECT throws_ok('UPDATE speke.kek_version SET state = ''active'' WHERE kek_version = 1', 'SK009', NULL,
                 'not even for the owner');
SELECT results_eq('SELECT kek_version, state, retired_at IS NOT NULL, destroyed_at IS NOT NULL
                     FROM speke.v_kek ORDER BY 1',
                  $$ VALUES (1, 'destroyed', true, true), (2, 'active', false, false) $$, 'with times');
SELECT results_eq($$ SELECT detail FROM speke.audit_event WHERE detail ~ '^kek_' ORDER BY event_id $$,
                  $$ VALUES ('kek_register 1'), ('kek_add 2'), ('kek_activate 2'), ('kek_activate 1'),
                            ('kek_activate 2'), ('kek_retire 1'), ('kek_destroy 1') $$,
                  'every change is on record');

-- On record ---------------------------------------------------------------------------------------

SELECT isnt_empty($$ SELECT FROM speke.audit_event WHERE event = 'kek' AND detail = 'kek_register 1' $$,
                  'what is done to KEKs is an event of its own kind');
SELECT is_empty($$ SELECT detail FROM speke.audit_event WHERE event = 'admin' AND detail ~ '^(kek|rewrap)_' $$,
                'and of no other');

SELECT * FROM finish();
ROLLBACK;
