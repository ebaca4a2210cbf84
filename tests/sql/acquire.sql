-- SPDX-License-Identifier: Apache-2.0
-- acquire(): what a key request does to the database.
\ir lib/start.psql
BEGIN;
SELECT * FROM no_plan();
\ir lib/acquire.psql

SET LOCAL ROLE :service;

-- Create and read back ----------------------------------------------------------------------------

SELECT results_eq($$ SELECT * FROM pg_temp.give('red-1', 'film', 1, pg_temp.kids(3, 1, 2)) $$,
                  $$ VALUES (1, 1, 1, 1, 's11', true), (1, 2, 1, 2, 's12', true),
                            (1, 3, 1, 3, 's13', true) $$,
                  'missing keys are made from the candidates, in the order asked');
SELECT results_eq($$ SELECT * FROM pg_temp.give('red-1', 'film', 2, pg_temp.kids(2, 3, 1)) $$,
                  $$ VALUES (1, 3, 1, 3, 's13', false), (1, 1, 1, 1, 's11', false),
                            (1, 2, 1, 2, 's12', false) $$,
                  'existing keys come back, again in the order asked, whatever the candidates');
SELECT results_eq($$ SELECT * FROM pg_temp.give('red-1', 'film', 3, pg_temp.kids(9, 2, 8)) $$,
                  $$ VALUES (3, 1, 1, 1, 's31', true), (1, 3, 1, 3, 's13', false),
                            (3, 3, 1, 3, 's33', true) $$,
                  'what is missing is made beside what exists');
SELECT results_eq($$ SELECT mark, created FROM pg_temp.give('red-2', 'film', 4, pg_temp.kids(1)) $$,
                  $$ VALUES (1, false) $$, 'another client of the tenant gets the same key');
SELECT results_eq($$ SELECT mark, created FROM pg_temp.give('red-1', 'Film', 5, pg_temp.kids(1)) $$,
                  $$ VALUES (5, true) $$, 'another content has another key under the same KID');
SELECT results_eq($$ SELECT mark, created FROM pg_temp.give('blue-1', 'film', 6, pg_temp.kids(1)) $$,
                  $$ VALUES (6, true) $$, 'so has another tenant');
SELECT results_eq($$ SELECT mark, created FROM pg_temp.give('red-1', 'film', 7, pg_temp.kids(1)) $$,
                  $$ VALUES (1, false) $$, 'and the first stays what it was');

RESET ROLE;
SELECT results_eq($$ SELECT kid FROM speke.content_key WHERE content_id = 'film'
                        AND sealed >= '\x01' AND sealed < '\x02' ORDER BY ctid $$,
                  $$ VALUES (pg_temp.kid(1)), (pg_temp.kid(2)), (pg_temp.kid(3)) $$,
                  'keys are inserted in the order of their KIDs');
SELECT results_eq($$ SELECT tenant_id, created_by FROM speke.content_key
                      WHERE content_id = 'film' AND kid = pg_temp.kid(1) ORDER BY 1 $$,
                  format('VALUES (%s, %s), (%s, %s)', :red, :red1, :blue, :blue1),
                  'a row names its tenant and the client that asked first');

-- Audit -------------------------------------------------------------------------------------------

SET LOCAL ROLE :service;
SELECT lives_ok($$ SELECT * FROM pg_temp.give('red-2', 'film', 1, pg_temp.kids(20, 3)) $$, 'one more');
RESET ROLE;
SELECT results_eq($$ SELECT event, status, tenant, client, remote_user, remote_addr, speke_version,
                            content_id, kids, created_kids, systems FROM pg_temp.newest $$,
                  $$ VALUES ('release', 200, 'red', 'red-2', 'red-2', inet '192.0.2.7', '2.0',
                            'film', pg_temp.kids(20, 3), pg_temp.kids(20),
                            ARRAY['edef8ba9-79d6-4ace-a3c8-27dcd51d21ed'::uuid]) $$,
                  'a release is on record: who, from where, what, what was made');
SELECT results_eq($$ SELECT count(*) FROM speke.audit_event WHERE event = 'release' $$,
                  $$ VALUES (8::bigint) $$, 'one row for each request');
SELECT is_empty($$ SELECT * FROM speke.audit_event a
                    WHERE EXISTS (SELECT FROM speke.content_key k
                                   WHERE strpos(a::text, encode(k.sealed, 'hex')) > 0) $$,
                'not even a sealed key is in it');

CREATE FUNCTION pg_temp.address(p_address text) RETURNS inet LANGUAGE plpgsql AS $$
BEGIN
    PERFORM speke.acquire(i.generation, i.client_id, i.tenant_id, 'red-1', p_address, '2.0',
                          'film', pg_temp.kids(1), '{}', '{}', '{}', NULL, '{}',
                          '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')
       FROM speke.identify('red-1') i;
    RETURN (SELECT remote_addr FROM pg_temp.newest);
END $$;
SELECT is(pg_temp.address('2001:db8::1'), '2001:db8::1', 'an IPv6 address is kept');
SELECT is(pg_temp.address(NULL), NULL, 'no address is no address');
SELECT is(pg_temp.address(''), NULL, 'nor is an empty one');
SELECT is(pg_temp.address('unix:; DROP TABLE'), NULL, 'rubbish stops nothing');

-- Reading alone -----------------------------------------------------------------------------------

SET LOCAL ROLE :service;
SELECT results_eq($$ SELECT mark, created FROM pg_temp.give('red-1', 'film', 1,
                                                            pg_temp.kids(2, 77, 1), false) $$,
                  $$ VALUES (1, false), (NULL, false), (1, false) $$,
                  'without candidates a missing key is NULL');
RESET ROLE;
SELECT results_eq('SELECT kids, created_kids FROM pg_temp.newest',
                  $$ VALUES (pg_temp.kids(2, 1), '{}'::uuid[]) $$,
                  'and only what was given out is on record');
SELECT is_empty('SELECT FROM speke.content_key WHERE kid = pg_temp.kid(77)', 'and none is made');
SELECT is((SELECT count(*) FROM speke.audit_event), (SELECT count(*) FROM speke.audit_event
          WHERE event IN ('admin', 'kek') OR cardinality(kids) > 0), 'so far every release gave something out');
SET LOCAL ROLE :service;
SELECT is_empty($$ SELECT mark FROM pg_temp.give('red-1', 'film', 1, pg_temp.kids(77), false) $$,
                'asked for nothing that exists, it gives nothing');
RESET ROLE;
SELECT isnt((SELECT kids FROM pg_temp.newest), '{}', 'and says nothing of a release');

-- Refused -----------------------------------------------------------------------------------------

CREATE FUNCTION pg_temp.raw(p_generation bigint, p_client integer, p_tenant integer, p_kids uuid[],
                            p_sealed bytea[], p_kek integer DEFAULT 1) RETURNS text
LANGUAGE sql AS $$
    SELECT format('SELECT * FROM speke.acquire(%s, %s, %s, %L, NULL, %L, %L, %L, %L, %L, %L, %s, %L'
                  || repeat(', ''{}''', 10) || ')',
                  p_generation, p_client, p_tenant, 'u', '2.0', 'film', p_kids, '{cenc}',
                  p_sealed, ARRAY[decode(repeat('00', 16), 'hex')], p_kek, '{}')
$$;
SELECT generation FROM speke.service_state() \gset
\set candidate 'ARRAY[decode(repeat(''00'', 44), ''hex'')]'

SELECT count(*) AS before FROM speke.audit_event \gset
SET LOCAL ROLE :service;
SELECT lives_ok(pg_temp.raw(:generation, :red1, :red, pg_temp.kids(1), :candidate), 'in order');
SELECT throws_ok(pg_temp.raw(:generation - 1, :red1, :red, pg_temp.kids(1), :candidate), 'SK001',
                 NULL, 'an older generation: identify again');
SELECT throws_ok(pg_temp.raw(:generation - 1, :red1, :red, pg_temp.kids(78), :candidate), 'SK001',
                 NULL, 'also for a key that does not exist');
SELECT throws_ok(pg_temp.raw(:generation, :red1, :blue, pg_temp.kids(1), :candidate), 'SK001',
                 NULL, 'a client does not get at another tenant');
SELECT throws_ok(pg_temp.raw(:generation, 0, :red, pg_temp.kids(1), :candidate), 'SK001', NULL,
                 'nor does one that does not exist');
SELECT throws_ok(pg_temp.raw(:generation, :red1, :red, pg_temp.kids(78), :candidate, 2), 'SK001',
                 NULL, 'candidates must be sealed under the active KEK');
SELECT throws_ok(pg_temp.raw(:generation, :red1, :red, '{}', :candidate), '22023', NULL,
                 'no KIDs, no call');
SELECT throws_ok(pg_temp.raw(:generation, :red1, :red, pg_temp.kids(78, 79), :candidate), '22023',
                 NULL, 'a candidate for each KID or none at all');
SELECT throws_ok(pg_temp.raw(:generation, :red1, :red, pg_temp.kids(78), ARRAY['\x00'::bytea]),
                 '23514', NULL, 'a candidate of another length is not kept');
RESET ROLE;
SELECT is((SELECT count(*) FROM speke.audit_event), (:before + 1)::bigint, 'what failed left no audit row');
SELECT is_empty('SELECT FROM speke.content_key WHERE kid IN (pg_temp.kid(78), pg_temp.kid(79))',
                'and no key');

SET LOCAL ROLE :operator;
SELECT speke.client_set_enabled('red-1', false) \g /dev/null
SET LOCAL ROLE :service;
SELECT throws_ok(pg_temp.raw(:generation, :red1, :red, pg_temp.kids(1), :candidate), 'SK001', NULL,
                 'a client that was disabled meanwhile gets nothing');
SELECT throws_ok(pg_temp.raw((SELECT generation FROM speke.service_state()), :red1, :red,
                             pg_temp.kids(1), :candidate), 'SK001', NULL,
                 'not even with the generation of today');
SELECT is_empty('SELECT * FROM speke.identify(''red-1'')', 'and is not identified any more');
SELECT isnt_empty('SELECT * FROM speke.identify(''red-2'')', 'others are');
RESET ROLE;

-- A new KEK ---------------------------------------------------------------------------------------

SET LOCAL ROLE :operator;
SELECT speke.kek_register(2, decode(repeat('22', 16), 'hex')) \g /dev/null
SET LOCAL ROLE :service;
SELECT results_eq($$ SELECT mark, kek, created FROM pg_temp.give('red-2', 'film', 9,
                                                                 pg_temp.kids(1, 80)) $$,
                  $$ VALUES (1, 1, false), (9, 2, true) $$,
                  'new keys are under the new KEK, old ones stay under theirs');

-- Durability and plans ----------------------------------------------------------------------------

SET LOCAL synchronous_commit = off;
SELECT lives_ok($$ SELECT * FROM pg_temp.give('red-2', 'film', 1, pg_temp.kids(1)) $$, 'read');
SELECT is(current_setting('synchronous_commit'), 'off', 'reading may leave the commit unwaited');
SELECT lives_ok($$ SELECT * FROM pg_temp.give('red-2', 'film', 1, pg_temp.kids(81)) $$, 'create');
SELECT is(current_setting('synchronous_commit'), 'on', 'the commit of a new key is waited for');
SET LOCAL synchronous_commit = remote_apply;
SELECT lives_ok($$ SELECT * FROM pg_temp.give('red-2', 'film', 1, pg_temp.kids(82)) $$, 'create');
SELECT is(current_setting('synchronous_commit'), 'remote_apply', 'and never less than was set');
RESET ROLE;

ANALYZE speke.content_key; -- now the planner knows how small it is
CREATE TEMP TABLE scans AS
    SELECT relname, seq_scan, idx_scan FROM pg_stat_xact_user_tables WHERE schemaname = 'speke';
SET LOCAL ROLE :service;
SELECT lives_ok($$ SELECT * FROM pg_temp.give('red-2', 'film', 1, pg_temp.kids(1, 2, 3, 90, 91)) $$,
                'some of all');
RESET ROLE;
SELECT is_empty($$ SELECT relname FROM pg_stat_xact_user_tables n JOIN scans o USING (relname)
                    WHERE n.schemaname = 'speke' AND n.seq_scan > o.seq_scan
                      AND relname IN ('content_key', 'audit_event') $$,
                'small as they are, no table is scanned');
SELECT ok((SELECT n.idx_scan >= o.idx_scan + 5 FROM pg_stat_xact_user_tables n
             JOIN scans o USING (relname) WHERE n.schemaname = 'speke' AND relname = 'content_key'),
          'each KID is looked up in the index');

-- A channel that changes keys: thousands under one content id, among contents with few.
INSERT INTO speke.content_key (tenant_id, created_by, kek_version, kid, content_digest, explicit_iv,
                               sealed, scheme, content_id)
SELECT :red, :red2, 1, gen_random_uuid(), sha256(convert_to(id, 'UTF8')),
       decode(repeat('00', 16), 'hex'), decode(repeat('00', 44), 'hex'), 'cbcs', id
  FROM (SELECT CASE WHEN n <= 3000 THEN 'live' ELSE 'vod' || n / 2 END FROM generate_series(1, 6000) n)
       AS many (id);
ANALYZE speke.content_key;
SELECT ARRAY(SELECT kid FROM speke.content_key WHERE content_id = 'live' LIMIT 5) AS live \gset
SELECT idx_tup_fetch AS before FROM pg_stat_xact_user_tables WHERE relname = 'content_key' \gset
SET LOCAL ROLE :service;
SELECT results_eq(format('SELECT count(*) FROM pg_temp.give(''red-2'', ''live'', 1, %L)', :'live'),
                  'VALUES (5::bigint)', 'five of three thousand');
RESET ROLE;
SELECT cmp_ok((SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'content_key'),
              '<=', (:before + 5)::bigint, 'only these five are touched');

-- Periods -----------------------------------------------------------------------------------------

CREATE VIEW pg_temp.periods AS
    SELECT content_id, period_id, period_start, kids, first_seen_by FROM speke.v_period;
GRANT SELECT ON pg_temp.periods TO PUBLIC;
SET LOCAL ROLE :operator;
SELECT speke.client_set_enabled('red-1', true) \g /dev/null
SET LOCAL ROLE :service;
SELECT is(pg_temp.give_periods('rotating', pg_temp.kids(1, 2), ARRAY['p1', 'p2'],
                               ARRAY['2026-01-01T00:00:00Z', NULL], ARRAY[3, 1],
                               pg_temp.kids(2, 1, 2, 1)), 2::bigint, 'keys of two periods');
RESET ROLE;
SELECT set_eq('SELECT * FROM pg_temp.periods',
              $$ VALUES ('rotating', 'p1', '2026-01-01T00:00:00Z', pg_temp.kids(1, 2), 'red-1'),
                        ('rotating', 'p2', NULL, pg_temp.kids(1), 'red-1') $$,
              'the periods are kept, each with its keys in the order of the KIDs');

CREATE FUNCTION pg_temp.periods_written() RETURNS bigint LANGUAGE sql AS $$
    SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables
     WHERE relid = 'speke.content_period'::regclass $$;
CREATE FUNCTION pg_temp.periods_scanned() RETURNS bigint LANGUAGE sql AS $$
    SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relid = 'speke.content_period'::regclass $$;
SELECT pg_temp.periods_written() AS written, pg_temp.periods_scanned() AS scanned \gset
SET LOCAL ROLE :service;
SELECT is(pg_temp.give_periods('rotating', pg_temp.kids(1, 2), ARRAY['p2', 'p1', 'p2'],
                               ARRAY[NULL, '2026-01-01T00:00:00Z', NULL], ARRAY[1, 2, 1],
                               pg_temp.kids(1, 2, 1, 1)), 2::bigint, 'the same again, in another order');
SELECT is(pg_temp.give_periods('rotating', pg_temp.kids(1), '{}', '{}', '{}', '{}'), 1::bigint,
          'and without periods');
SELECT throws_ok($$ SELECT pg_temp.give_periods('rotating', pg_temp.kids(1), '{p1}', '{}', '{0}', '{}') $$,
                 '22023', NULL, 'a start for each period');
SELECT throws_ok($$ SELECT pg_temp.give_periods('rotating', pg_temp.kids(1), '{p1}', '{NULL}', '{}', '{}') $$,
                 '22023', NULL, 'a number of KIDs for each period');
SELECT throws_ok(format($$ SELECT pg_temp.give_periods('rotating', pg_temp.kids(1), '{x,y}', '{NULL,NULL}',
                                                       %L, pg_temp.kids(1)) $$, counts),
                 '22023', NULL, 'and KIDs in these numbers: ' || counts)
  FROM unnest(ARRAY['{1,1}', '{0,0}', '{2,-1}', '{-1,2}', '{NULL,0}']) AS counts;
SELECT is(pg_temp.give_periods('nothing', pg_temp.kids(1), '{p1}', '{NULL}', '{0}', '{}', '{}', '{}', false),
          0::bigint, 'nothing given out');
RESET ROLE;
SELECT is(pg_temp.periods_written(), :written::bigint, 'write nothing');
SELECT is(pg_temp.periods_scanned(), :scanned::bigint, 'and do not search the table');
SET LOCAL ROLE :service;
SELECT is(pg_temp.give_periods('rotating', pg_temp.kids(1, 2), '{p2,p2,p2}', ARRAY['', NULL, NULL], '{1,1,1}',
                               pg_temp.kids(1, 2, 1)), 2::bigint,
          'an empty start, and another key');
RESET ROLE;
SELECT set_eq('SELECT period_start, kids FROM pg_temp.periods WHERE period_id = ''p2''',
              $$ VALUES (NULL, pg_temp.kids(1)), ('', pg_temp.kids(1)), (NULL, pg_temp.kids(2)) $$,
              'make other periods');
SELECT is((SELECT count(*) FROM pg_temp.periods), 4::bigint, 'of which there are four');

-- Recipients --------------------------------------------------------------------------------------

SELECT results_eq('SELECT recipient_subjects, recipient_fingerprints FROM pg_temp.newest',
                  'VALUES (NULL::text[], NULL::text[])', 'keys that went out in the clear had no recipient');
SET LOCAL ROLE :service;
SELECT is(pg_temp.give_periods('rotating', pg_temp.kids(kid, 2), '{}', '{}', '{}', '{}',
                               ARRAY[sha256('a'), sha256('b')], ARRAY['CN=a', repeat('x', 9999)]),
          2::bigint, 'keys for two')
  FROM unnest(ARRAY[1, 60]) AS kid;
SELECT throws_ok($$ SELECT pg_temp.give_periods('rotating', pg_temp.kids(1), '{}', '{}', '{}', '{}',
                                                ARRAY[sha256('a')], '{}') $$,
                 '22023', NULL, 'a subject for each recipient');
RESET ROLE;
SELECT results_eq($$ SELECT kids, recipient_subjects, recipient_fingerprints FROM speke.v_audit
                      ORDER BY event_id DESC LIMIT 2 $$,
                  $$ SELECT pg_temp.kids(kid, 2), ARRAY['CN=a', repeat('x', 512)],
                            ARRAY[encode(sha256('a'), 'hex'), encode(sha256('b'), 'hex')]
                       FROM unnest(ARRAY[60, 1]) AS kid $$,
                  'whom keys were encrypted for is on record, new keys and old');
SELECT results_eq($$ SELECT recipient_subjects[1], recipient_fingerprints[2] FROM speke.v_release
                      WHERE kid = pg_temp.kid(60) $$,
                  $$ VALUES ('CN=a', encode(sha256('b'), 'hex')) $$, 'for each key');

-- The former acquire ------------------------------------------------------------------------------

SET LOCAL ROLE :service;
PREPARE former AS
    SELECT a.kek_version, a.scheme, a.created
      FROM speke.identify('red-1') i,
           speke.acquire(i.generation, i.client_id, i.tenant_id, 'red-1', '192.0.2.8', '2.0',
                         'rotating', pg_temp.kids(61, 1), '{a,b}',
                         ARRAY[decode(repeat('00', 44), 'hex'), decode(repeat('00', 44), 'hex')],
                         ARRAY[decode(repeat('00', 16), 'hex'), decode(repeat('00', 16), 'hex')],
                         i.kek_version, '{}') a;
SELECT results_eq('former', $$ VALUES (2, 'a', true), (2, 'cbcs', false) $$,
                  'a program of the version before gets its keys in order');
SELECT results_eq('former', $$ VALUES (2, 'a', false), (2, 'cbcs', false) $$, 'and again');
SELECT throws_ok($$ SELECT speke.acquire(0, 1, 1, '', NULL, NULL, 'x', pg_temp.kids(1), '{}', '{}',
                                         '{}', 1, '{}') $$, 'SK001', NULL, 'and is told, too');
RESET ROLE;
SELECT results_eq('SELECT kids, host(remote_addr), recipient_subjects FROM pg_temp.newest',
                  $$ VALUES (pg_temp.kids(61, 1), '192.0.2.8', NULL::text[]) $$,
                  'with an audit row');

SELECT * FROM finish();
ROLLBACK;
