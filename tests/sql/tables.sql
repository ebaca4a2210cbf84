-- SPDX-License-Identifier: Apache-2.0
-- Tables: documented, constrained, guarded.
\ir lib/start.psql
BEGIN;
SELECT * FROM no_plan();

-- But for the partitions of the audit, which are named after months.
SELECT set_eq($$ SELECT relname::text FROM pg_class
                  WHERE relnamespace = 'speke'::regnamespace AND relkind IN ('r', 'p')
                    AND NOT relispartition $$,
              ARRAY['tenant', 'tenant_limit', 'client', 'kek_version', 'content_key', 'audit_event', 'digest_user',
                    'config_generation', 'schema_version', 'tenant_setting', 'content_period',
                    'audit_seal', 'audit_archive', 'key_import', 'content_rule',
                    'token_key', 'player_refusal'],
              'the tables');

-- Comments ----------------------------------------------------------------------------------------

SELECT is_empty($$
    SELECT c.oid::regclass FROM pg_class c
     WHERE c.relnamespace = 'speke'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p')
       AND obj_description(c.oid, 'pg_class') IS NULL $$, 'every table and view has a comment');
SELECT is_empty($$
    SELECT c.oid::regclass, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE c.relnamespace = 'speke'::regnamespace AND c.relkind IN ('r', 'p')
       AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
       AND col_description(c.oid, a.attnum) IS NULL $$, 'every column of a table has a comment');
SELECT is_empty($$
    SELECT p.oid::regprocedure FROM pg_proc p
     WHERE p.pronamespace = 'speke'::regnamespace
       AND obj_description(p.oid, 'pg_proc') IS NULL $$, 'every function has a comment');
SELECT is_empty($$
    SELECT conname FROM pg_constraint
     WHERE connamespace = 'speke'::regnamespace
       AND conname ~ '(_pkey|_fkey|_key|_check|_excl)[0-9]*$' $$,
    'every constraint has a name that somebody gave it');
SELECT is_empty($$
    SELECT c.oid::regclass FROM pg_class c
     WHERE c.relnamespace = 'speke'::regnamespace AND c.relkind IN ('r', 'p')
       AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p') $$,
    'every table has a primary key');

-- Everybody else ----------------------------------------------------------------------------------

SELECT is_empty($$
    SELECT oid::regprocedure FROM pg_proc
     WHERE pronamespace = 'speke'::regnamespace AND has_function_privilege('public', oid, 'EXECUTE') $$,
    'the public may execute no function');
SELECT is_empty($$
    SELECT oid::regclass FROM pg_class
     WHERE relnamespace = 'speke'::regnamespace AND relkind IN ('r', 'v', 'm', 'p')
       AND has_table_privilege('public', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE') $$,
    'and has no right on any table or view');

-- Identity of a key -------------------------------------------------------------------------------

SELECT col_is_pk('speke', 'content_key', ARRAY['tenant_id', 'content_digest', 'kid'],
                 'tenant, content and KID, in this order, are the identity of a key');

INSERT INTO speke.tenant (name) VALUES ('t') RETURNING tenant_id \gset
INSERT INTO speke.tenant (name) VALUES ('other') RETURNING tenant_id AS other_id \gset
INSERT INTO speke.client (tenant_id, name) VALUES (:tenant_id, 'c') RETURNING client_id \gset
INSERT INTO speke.kek_version (kek_version, state, check_value)
VALUES (1, 'active', decode(repeat('11', 16), 'hex'));

PREPARE put (integer, text, bytea, bytea, text, bytea, integer) AS
    INSERT INTO speke.content_key (tenant_id, created_by, kek_version, kid, content_digest,
                                   explicit_iv, sealed, scheme, content_id)
    VALUES ($1, :client_id, $7, '00000000-0000-0000-0000-000000000001', $6, $3, $4, $5, $2);
CREATE FUNCTION pg_temp.put(p_tenant integer, p_content text DEFAULT 'x', p_iv integer DEFAULT 16,
                            p_sealed integer DEFAULT 44, p_scheme text DEFAULT 'cenc',
                            p_digest bytea DEFAULT NULL, p_kek integer DEFAULT 1)
RETURNS text LANGUAGE sql AS $$
    SELECT format('EXECUTE put (%s, %L, %L, %L, %L, %L, %s)', p_tenant, p_content,
                  decode(repeat('00', p_iv), 'hex'), decode(repeat('00', p_sealed), 'hex'),
                  p_scheme, coalesce(p_digest, sha256(convert_to(p_content, 'UTF8'))), p_kek)
$$;

SELECT lives_ok(pg_temp.put(:tenant_id), 'a key is kept');
SELECT throws_ok(pg_temp.put(:tenant_id), '23505', NULL, 'a second value for one identity is not');
SELECT lives_ok(pg_temp.put(:tenant_id, repeat(U&'\+01F511', 1024)),
                'a content id of 1024 four-byte characters is kept');
SELECT throws_ok(pg_temp.put(:tenant_id, repeat('x', 4097)), '23514', NULL, 'a longer one is not');
SELECT throws_ok(pg_temp.put(:tenant_id, ''), '23514', NULL, 'nor is an empty one');
SELECT throws_ok(pg_temp.put(:tenant_id, 'y', 15), '23514', NULL, 'an IV has 16 bytes');
SELECT throws_ok(pg_temp.put(:tenant_id, 'y', 16, 16), '23514', NULL,
                 'what is not sealed has not the length of what is');
SELECT throws_ok(pg_temp.put(:tenant_id, 'y', 16, 44, repeat('s', 65)), '23514', NULL,
                 'a scheme has at most 64 bytes');
SELECT throws_ok(pg_temp.put(:tenant_id, 'y', 16, 44, '', sha256('z')), '23514', NULL,
                 'the digest must be that of the content id');
SELECT throws_ok(pg_temp.put(:tenant_id, 'y', 16, 44, '', NULL, 2), '23503', NULL,
                 'the KEK version must exist');
SELECT throws_ok(pg_temp.put(:other_id, 'y'), '23503', NULL,
                 'a key is made by a client of its own tenant');

-- What is in use stays ----------------------------------------------------------------------------

SELECT throws_ok('DELETE FROM speke.tenant WHERE name = ''t''', '23503', NULL,
                 'a tenant with keys cannot be deleted');
SELECT throws_ok('DELETE FROM speke.client', '23503', NULL,
                 'nor a client that made a key');
SELECT throws_ok('DELETE FROM speke.kek_version', '23503', NULL,
                 'nor a KEK version that a key is sealed under');
SELECT throws_ok('TRUNCATE speke.tenant', '0A000', NULL, 'nor all tenants at once');

SELECT throws_ok($$ INSERT INTO speke.kek_version (kek_version, state, check_value)
                    VALUES (2, 'active', decode(repeat('22', 16), 'hex')) $$, '23505', NULL,
                 'there is one active KEK');
SELECT lives_ok($$ INSERT INTO speke.kek_version (kek_version, state, check_value)
                   VALUES (2, 'retiring', decode(repeat('22', 16), 'hex')),
                          (3, 'retiring', decode(repeat('22', 16), 'hex')) $$,
                'and may be several others');
SELECT throws_ok($$ INSERT INTO speke.kek_version (kek_version, state, check_value)
                    VALUES (4, 'retired', decode(repeat('22', 15), 'hex')) $$, '23514', NULL,
                 'a check value has 16 bytes');
SELECT throws_ok($$ INSERT INTO speke.kek_version (kek_version, state, check_value)
                    VALUES (0, 'retired', decode(repeat('22', 16), 'hex')) $$, '23514', NULL,
                 'KEK versions begin at 1');

-- Append only -------------------------------------------------------------------------------------

INSERT INTO speke.audit_event (event, detail) VALUES ('admin', 'first');
SELECT throws_ok('UPDATE speke.audit_event SET detail = ''other''', '42501', NULL,
                 'an audit row cannot be changed, not even by its owner');
SELECT throws_ok('DELETE FROM speke.audit_event', '42501', NULL, 'nor deleted');
SELECT throws_ok('TRUNCATE speke.audit_event', '42501', NULL, 'nor truncated away');
\if :has_roles
    SET LOCAL session_replication_role = replica;
    SELECT throws_ok('DELETE FROM speke.audit_event', '42501', NULL,
                     'nor with triggers switched off for the session');
    SET LOCAL session_replication_role = origin;
\endif
SELECT results_eq('SELECT detail FROM speke.audit_event', ARRAY['first'], 'it is still there');
SELECT throws_ok('INSERT INTO speke.audit_event (event) VALUES (''party'')', '23514', NULL,
                 'an event is of a known kind');

-- Generation of the configuration -----------------------------------------------------------------

CREATE TEMP TABLE seen AS SELECT generation FROM speke.config_generation;
CREATE FUNCTION pg_temp.grown() RETURNS boolean LANGUAGE sql AS $$
    WITH now AS (SELECT generation FROM speke.config_generation),
         old AS (UPDATE seen SET generation = now.generation FROM now
                 RETURNING (SELECT s.generation FROM seen s) AS before, now.generation AS after)
    SELECT after > before FROM old
$$;
UPDATE speke.tenant SET enabled = false WHERE name = 't';
SELECT ok(pg_temp.grown(), 'a change of a tenant makes the generation grow');
UPDATE speke.client SET enabled = false WHERE name = 'c';
SELECT ok(pg_temp.grown(), 'so does one of a client');
UPDATE speke.kek_version SET state = 'retired' WHERE kek_version = 3;
SELECT ok(pg_temp.grown(), 'so does one of a KEK version');
INSERT INTO speke.tenant_setting (tenant_id, name, value) VALUES (:tenant_id, 'a', '1');
SELECT ok(pg_temp.grown(), 'so does a setting');
DELETE FROM speke.tenant_setting;
SELECT ok(pg_temp.grown(), 'and the end of one');
INSERT INTO speke.schema_version (version, name) VALUES (1000, 'test');
SELECT ok(pg_temp.grown(), 'so does a migration');
INSERT INTO speke.audit_event (event) VALUES ('admin');
SELECT ok(NOT pg_temp.grown(), 'an audit row does not');
SELECT throws_ok('INSERT INTO speke.config_generation (only_row, generation) VALUES (false, 9)',
                 '23514', NULL, 'there is one generation');

-- Settings ----------------------------------------------------------------------------------------

CREATE FUNCTION pg_temp.setting(p_name text, p_value text DEFAULT '', p_system uuid DEFAULT NULL)
RETURNS text LANGUAGE sql AS $$
    SELECT format('INSERT INTO speke.tenant_setting (tenant_id, system, name, value)
                   SELECT tenant_id, %L, %L, %L FROM speke.tenant WHERE name = ''t''',
                  p_system, p_name, p_value)
$$;
SELECT lives_ok(pg_temp.setting('playready.la-url_2'), 'a setting of the tenant');
SELECT throws_ok(pg_temp.setting('playready.la-url_2', 'x'), '23505', NULL, 'is there once');
\set system '''9a04f079-9840-4286-ab92-e65be0885f95'''
SELECT lives_ok(pg_temp.setting('playready.la-url_2', '', :system), 'beside one of a system');
SELECT throws_ok(pg_temp.setting('playready.la-url_2', '', :system), '23505', NULL,
                 'which is there once, too');
SELECT throws_ok(pg_temp.setting(name), '23514', NULL, 'no setting has the name ' || replace(name, E'\n', '\n'))
  FROM unnest(ARRAY['', 'A', 'a b', '-a', 'ä', repeat('a', 65), E'a\nb']) AS name;
SELECT lives_ok(pg_temp.setting('long', repeat('x', 65536)), 'a value has room');
SELECT throws_ok(pg_temp.setting('longer', repeat('x', 65537)), '23514', NULL, 'though not endless');

-- Periods -----------------------------------------------------------------------------------------

SELECT col_is_pk('speke', 'content_period', ARRAY['tenant_id', 'content_digest', 'period_digest'],
                 'a content has a period once');
SELECT throws_ok(format($$
    INSERT INTO speke.content_period (tenant_id, first_seen_by, content_digest, period_digest,
                                      content_id, period_id, kids)
    VALUES (%s, %s, sha256('x'), %s, 'x', 'p', '{}') $$, tenant, :client_id, digest), state, NULL, what)
  FROM (VALUES (:tenant_id, $$ sha256('x') $$, '23514', 'the digest must be that of the period'),
               (:other_id, $$ speke.period_digest('p', NULL, NULL, NULL, NULL, NULL, '{}') $$,
                '23503', 'a period is named by a client of its own tenant'))
       AS bad (tenant, digest, state, what);
SELECT is((SELECT count(DISTINCT speke.period_digest(a, b, NULL, NULL, NULL, c, k))
             FROM unnest(ARRAY[NULL, '', 'NULL', ',', '"']) AS a, unnest(ARRAY[NULL, '', ',']) AS b,
                  unnest(ARRAY[NULL, '}{']) AS c,
                  unnest(ARRAY['{}', '{00000000-0000-0000-0000-000000000001}']::text[]) AS t,
                  LATERAL (SELECT t::uuid[] AS k) AS l), 60::bigint,
          'texts that differ give digests that differ');

-- Digest users ------------------------------------------------------------------------------------

PREPARE put_user (text, text, text) AS
    INSERT INTO speke.digest_user (username, realm, ha1_md5, ha1_sha256) VALUES ($1, 'speke', $2, $3);
SELECT throws_ok('EXECUTE put_user (''a'', NULL, NULL)', '23514', NULL, 'a user has an HA1');
SELECT throws_ok('EXECUTE put_user (''a'', ''secret'', NULL)', '23514', NULL,
                 'a password is no HA1');
SELECT throws_ok(format('EXECUTE put_user (%L, %L, NULL)', 'a:b', repeat('0a', 16)), '23514', NULL,
                 'a user name holds no colon');
SELECT lives_ok(format('EXECUTE put_user (%L, %L, %L)', 'a', repeat('0a', 16), repeat('0b', 32)),
                'MD5 and SHA-256 may both be there');

SELECT results_eq('SELECT version, name FROM speke.schema_version WHERE version < 1000 ORDER BY 1',
                  $$ VALUES (1, 'tables'), (2, 'functions'), (3, 'views'), (4, 'tenants'),
                            (5, 'limits'), (6, 'keks'), (7, 'audit'), (8, 'keys'),
                            (9, 'players'), (10, 'fetch'), (11, 'views') $$,
                  'the migrations are on record');

SELECT * FROM finish();
ROLLBACK;
