-- SPDX-License-Identifier: Apache-2.0
-- The audit by month, its seal, and archives. What a seal proves is shown in test_audit_seal.py.
\ir lib/start.psql
BEGIN;
SELECT * FROM no_plan();
\ir lib/acquire.psql
SET LOCAL timezone = 'Asia/Tokyo'; -- months are those of UTC all the same

SELECT 'speke.' || speke.audit_partition_name((now() AT TIME ZONE 'UTC')::date) AS here \gset

-- Partitions --------------------------------------------------------------------------------------

SELECT is(count(to_regclass('speke.' || speke.audit_partition_name(
              (date_trunc('month', now() AT TIME ZONE 'UTC') + n * interval '1 month')::date))), 4::bigint,
          'this month and three more have a partition')
  FROM generate_series(0, 3) AS n;
SET LOCAL ROLE :service;
SELECT * FROM pg_temp.give('red-1', 'film', 1, pg_temp.kids(1, 2)) \g /dev/null
RESET ROLE;
SELECT is((SELECT tableoid::regclass FROM speke.audit_event WHERE event = 'release'), :'here'::regclass,
          'a release is in the partition of its month');

INSERT INTO speke.audit_event (at, event, detail)
VALUES ('2031-03-31T23:59:59.999999Z', 'admin', 'march'), ('2031-04-01T00:00Z', 'admin', 'april');
SELECT is(tableoid::regclass, 'speke.audit_event_rest'::regclass,
          'a row of a month without a partition is in the default one')
  FROM speke.audit_event WHERE detail = 'march';
SET LOCAL ROLE :operator;
SELECT is(speke.audit_partition_create('2031-03-05'), 'audit_event_2031_03', 'the month gets one');
SELECT is(speke.audit_partition_create('2031-03-31'), NULL, 'once');
RESET ROLE;
SELECT results_eq($$ SELECT detail, tableoid::regclass::text FROM speke.audit_event
                      WHERE at > '2031-01-01' ORDER BY at $$,
                  $$ VALUES ('march', 'speke.audit_event_2031_03'), ('april', 'speke.audit_event_rest') $$,
                  'and the row that was waiting');
SELECT is_empty($$ SELECT c.oid::regclass FROM pg_class c
                    WHERE c.relnamespace = 'speke'::regnamespace AND c.relkind IN ('r', 'p')
                      AND c.relname ~ '^audit_'
                      AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgenabled = 'A'
                                         AND t.tgname = 'audit_event_append_only') $$,
                'every table of the audit has the trigger, future partitions too');
SELECT throws_ok(format('%s %s', verb, part), '42501', NULL::text, format('%s %s is refused', verb, part))
  FROM unnest(ARRAY['TRUNCATE', 'DELETE FROM']) AS verb,
       unnest(ARRAY['speke.audit_event_2031_03', 'speke.audit_event_rest', 'speke.audit_event',
                    'speke.audit_seal', 'speke.audit_archive', :'here']) AS part;
SELECT throws_ok('UPDATE speke.audit_event_2031_03 SET detail = ''other''', '42501', NULL,
                 'so is an UPDATE of a partition');

SELECT lives_ok(format('INSERT INTO speke.audit_event (event, via) VALUES (%L, %L)', kind, via),
                kind || ' is a kind of event')
  FROM (VALUES ('delivery', 'key'), ('delivery', 'clearkey'), ('release', 'vod-drm'), ('kek', NULL),
               ('import', NULL), ('export', 'cpix')) AS v (kind, via);
SELECT throws_ok('INSERT INTO speke.audit_event (event, via) VALUES (''release'', ''A door'')', '23514',
                 NULL, 'a door has a plain name');

-- Operators ---------------------------------------------------------------------------------------

SET LOCAL application_name = 'spekectl jane@host kek create';
SELECT speke.audit_operator('import', :red, NULL, 'film', pg_temp.kids(7), 'key_import 1') AS id \gset
SELECT results_eq('SELECT event, tenant, content_id, kids, operator, agent, detail FROM speke.v_audit
                    WHERE event_id = ' || :'id',
                  $$ VALUES ('import', 'red', 'film', pg_temp.kids(7), session_user::text COLLATE "default",
                             'spekectl jane@host kek create', 'key_import 1') $$,
                  'who did what with which program');

-- A new column must be known to audit_leaf(), to v_audit_event and to spekectl (audit_record.c).
SELECT columns_are('speke', 'audit_event', ARRAY[
    'event_id', 'xact', 'at', 'tenant_id', 'client_id', 'status', 'event', 'via', 'remote_user',
    'remote_addr', 'speke_version', 'content_id', 'kids', 'created_kids', 'systems', 'operator',
    'agent', 'detail', 'recipient_fingerprints', 'recipient_subjects'], 'the columns that are hashed');

-- The seal ----------------------------------------------------------------------------------------
-- Rows of this transaction are not committed, so none can be sealed yet.

SET LOCAL ROLE :service;
SELECT is(speke.audit_seal(), 0, 'the service may seal; what is not committed is left for later');
RESET ROLE;
SELECT is_empty('SELECT * FROM speke.audit_seal', 'and an empty seal is not made');

-- As if the last seal had been made in another cluster: all that is there is sealed.
DO $$
DECLARE
    v_last speke.audit_seal;
    v_new  speke.audit_seal;
BEGIN
    v_new.cluster := 7;
    v_new.xact_offset := 0;
    v_new.upto_xact := 9000000000;
    v_new.upto_event_id := 1;
    v_new.first_at := now();
    v_new.last_at := now();
    PERFORM speke.audit_seal_put(v_last, v_new, ARRAY[(SELECT min(event_id) FROM speke.audit_event)],
                                 sha256('a row'));
END
$$;
SELECT count(*) - 1 AS rest FROM speke.audit_event \gset
SELECT is(speke.audit_seal(), :rest, 'the first seal in another cluster covers all that no seal covers');
SELECT results_eq('SELECT seal_no, row_count, upto_xact, xact_offset, octet_length(leaves) FROM speke.audit_seal
                    WHERE seal_no > 1',
                  format('VALUES (2::bigint, %s, 9000000000, 9000000000, 32 * %s)', :rest, :rest),
                  'transactions of this one count on from there');
SELECT is((SELECT previous FROM speke.audit_seal WHERE seal_no = 2),
          (SELECT hash FROM speke.audit_seal WHERE seal_no = 1), 'a seal names the hash of the one before');
INSERT INTO speke.audit_event (event, detail) VALUES ('admin', 'afterwards');
SELECT ok((SELECT xact > 9000000000 FROM speke.audit_event WHERE detail = 'afterwards'),
          'rows that follow are beyond what is sealed');
SELECT is((SELECT substr(s.leaves, (32 * (u.n - 1) + 1)::integer, 32) FROM speke.audit_seal s,
                  unnest(s.event_ids) WITH ORDINALITY AS u (id, n) WHERE s.seal_no = 2 AND u.id = :id),
          (SELECT speke.audit_leaf(e) FROM speke.audit_event e WHERE event_id = :id),
          'and has the hash of each of its rows');

-- Archives ----------------------------------------------------------------------------------------

SET LOCAL ROLE :operator;
SELECT throws_ok('SELECT speke.audit_archive_record((now() AT TIME ZONE ''UTC'')::date, 0, sha256(''''), ''f'', sha256(''''))',
                 'SK015', NULL, 'a month that is not over cannot be archived');
RESET ROLE;
INSERT INTO speke.audit_event (at, event) VALUES ('2020-01-31T23:59Z', 'admin');
SET LOCAL ROLE :operator;
SELECT throws_ok('SELECT speke.audit_archive_record(''2020-01-01'', 1, sha256(''''), ''f'', sha256(''''))',
                 'SK016', NULL, 'nor one with rows that are not sealed');
SELECT throws_ok('SELECT speke.audit_archive_record(''2020-02-01'', 1, sha256(''''), ''f'', sha256(''''))',
                 'SK017', NULL, 'nor by whoever has not its rows');
SELECT is(speke.audit_archive_record('2020-02-01', 0, sha256(''), 'f', sha256('x')), 1,
          'one without rows can');
RESET ROLE;
SELECT results_eq('SELECT month, row_count, file_name, file_sha256 FROM speke.v_audit_archive',
                  $$ VALUES ('2020-02-01'::date, 0::bigint, 'f', sha256('x')) $$, 'it is on record');
SELECT matches(detail, '^audit_archive_record 2020-02: 0 rows [0-9a-f]{64} in file [0-9a-f]{64} f$',
               'in the audit too') FROM pg_temp.newest;
SELECT throws_ok('SELECT speke.audit_archive_drop(99)', 'SK018', NULL, 'no such archive');
INSERT INTO speke.audit_event (at, event) VALUES ('2020-02-29T12:00Z', 'admin');
SELECT throws_ok('SELECT speke.audit_archive_drop(1)', 'SK018', NULL, 'a row that came later is not lost');

SELECT * FROM finish();
ROLLBACK;
