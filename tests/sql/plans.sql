-- SPDX-License-Identifier: Apache-2.0
-- What acquire() reads of a table of 200 000 keys: each key by the index, and nothing else. Plans are
-- made once for a connection, so the first call is made while the table is as good as empty.
-- bench/ten-million shows the plan itself with ten million keys.
\ir lib/start.psql
BEGIN;
SELECT * FROM no_plan();
\ir lib/acquire.psql

SELECT pg_temp.give('red-1', 'film', 1, pg_temp.kids(1, 2)) \g /dev/null

-- Many contents, and one with many keys, as a live channel has. Triggers have their own tests.
ALTER TABLE speke.content_key DISABLE TRIGGER USER;
INSERT INTO speke.content_key (tenant_id, created_by, kek_version, kid, content_digest, explicit_iv, sealed,
                               scheme, content_id)
SELECT :red, :red1, 1, md5(n::text)::uuid, sha256(convert_to(c.id, 'UTF8')), decode(md5(n::text), 'hex'),
       decode(repeat('00', 44), 'hex'), 'cbcs', c.id
  FROM generate_series(1, 200000) AS n,
       LATERAL (SELECT CASE WHEN n % 4 = 0 THEN 'channel' ELSE 'film-' || n / 10 END AS id) AS c;
ALTER TABLE speke.content_key ENABLE TRIGGER USER;

-- How a table was read in this transaction so far.
CREATE VIEW pg_temp.reads AS
    SELECT seq_scan, idx_scan, idx_tup_fetch FROM pg_stat_xact_user_tables
     WHERE relid = 'speke.content_key'::regclass;
CREATE TEMP TABLE before AS SELECT * FROM pg_temp.reads;
CREATE FUNCTION pg_temp.read() RETURNS text LANGUAGE sql AS $$
    WITH now AS (SELECT * FROM pg_temp.reads), old AS (SELECT * FROM before), put AS (
        UPDATE before SET (seq_scan, idx_scan, idx_tup_fetch) = (SELECT * FROM now))
    SELECT format('%s sequential, %s by index, %s rows', now.seq_scan - old.seq_scan,
                  now.idx_scan - old.idx_scan, now.idx_tup_fetch - old.idx_tup_fetch) FROM now, old
$$;
SELECT pg_temp.read() \g /dev/null

SELECT pg_temp.give('red-1', 'film', 2, pg_temp.kids(1, 2)) \g /dev/null
SELECT is(pg_temp.read(), '0 sequential, 2 by index, 2 rows', 'a fetch of two keys');
SELECT pg_temp.give('red-1', 'channel', 2, ARRAY[md5('4')::uuid, md5('100000')::uuid, md5('200000')::uuid],
                    false) \g /dev/null
SELECT is(pg_temp.read(), '0 sequential, 3 by index, 3 rows', 'a fetch of three keys of a content with 50 000');
SELECT pg_temp.give('red-1', 'channel', 3, ARRAY[md5('4')::uuid, pg_temp.kid(9)]) \g /dev/null
SELECT matches(pg_temp.read(), '^0 sequential, ', 'one that makes a key reads nothing whole either');
SELECT count(*) FROM speke.player_generation() AS g,
       speke.player_acquire(g, :red, 'key', ARRAY[sha256('channel')], ARRAY[md5('4')::uuid], NULL, NULL) \g /dev/null
SELECT is(pg_temp.read(), '0 sequential, 1 by index, 1 rows', 'a player''s');
SELECT count(*) FROM speke.rewrap_batch(2, :red, sha256('channel'), '00000000-0000-0000-0000-000000000000', 10) \g /dev/null
SELECT is(pg_temp.read(), '0 sequential, 1 by index, 10 rows', 'a batch of keys to seal anew');

SELECT * FROM finish();
ROLLBACK;
