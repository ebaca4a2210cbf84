-- SPDX-License-Identifier: Apache-2.0
-- The life of a key: selections, revocation, destruction, export, import.
\ir lib/start.psql
BEGIN;
SELECT * FROM no_plan();
\ir lib/acquire.psql

SET LOCAL ROLE :service;
SELECT * FROM pg_temp.give('red-1', 'film', 1, pg_temp.kids(1, 2)) \g /dev/null
SELECT * FROM pg_temp.give('red-1', 'fil_', 2, pg_temp.kids(3)) \g /dev/null
SELECT * FROM pg_temp.give('blue-1', 'film', 3, pg_temp.kids(1)) \g /dev/null
SELECT pg_temp.give_periods('channel', pg_temp.kids(4, 5), '{p,q}', '{2026,2027}', '{1,2}',
                            pg_temp.kids(4, 4, 5)) \g /dev/null
RESET ROLE;

-- Selections --------------------------------------------------------------------------------------

CREATE FUNCTION pg_temp.chosen(p_selection jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s/%s/%s', l.tenant, l.content_id, left(l.kid::text, 2)), ' '
                      ORDER BY l.tenant, l.content_id, l.kid)
      FROM speke.key_list(p_selection, NULL) AS l
$$;
SET LOCAL ROLE :auditor;
SELECT is(pg_temp.chosen(s.selection::jsonb), s.keys, 'selection ' || s.selection)
  FROM (VALUES
    ('{}', 'blue/film/01 red/channel/04 red/channel/05 red/fil_/03 red/film/01 red/film/02'),
    ('{"tenant": "blue"}', 'blue/film/01'),
    ('{"content_id": "film"}', 'blue/film/01 red/film/01 red/film/02'),
    ('{"content_id": "fil_"}', 'red/fil_/03'),
    ('{"content_like": "fil_"}', 'blue/film/01 red/fil_/03 red/film/01 red/film/02'),
    ('{"content_like": "fil\\_"}', 'red/fil_/03'),
    ('{"kids": ["02020202-0202-0202-0202-020202020202"]}', 'red/film/02'),
    ('{"kids": []}', NULL),
    ('{"period": "q"}', 'red/channel/04 red/channel/05'),
    ('{"period": "p"}', 'red/channel/04'),
    ('{"created_from": "2100-01-01"}', NULL),
    ('{"created_to": "2000-01-01"}', NULL),
    ('{"created_from": "2000-01-01", "created_to": "2100-01-01", "tenant": "blue"}', 'blue/film/01'),
    ('{"state": "active", "tenant": "blue"}', 'blue/film/01'),
    ('{"state": "revoked"}', NULL),
    ('{"kek_version": 1, "tenant": "blue"}', 'blue/film/01'),
    ('{"kek_version": 2}', NULL)) AS s (selection, keys);
SELECT throws_ok(format('SELECT * FROM speke.key_list(%L, 1)', selection), state, NULL,
                 'no selection: ' || selection)
  FROM (VALUES ('{"tenants": "red"}', 'SK010'), ('{"state": "gone"}', 'SK010'), ('[]', 'SK010'),
               ('"film"', 'SK010'), ('{"tenant": "none"}', 'SK002'),
               ('{"tenant": null}', 'SK002'), ('{"content_id": null}', 'SK010'),
               ('{"created_from": "x"}', '22007'), ('{"kek_version": "1 OR true"}', '22P02'),
               ('{"kids": ["x"]}', '22P02'), ('{"kids": "x"}', '22023')) AS s (selection, state);
SELECT is(pg_temp.chosen(jsonb_build_object('content_id', text)), NULL, 'no SQL in ' || text)
  FROM unnest(ARRAY[''' OR true --', 'film'') OR (''1'' = ''1', E'\\'' OR true --', '%s', '$1']) AS text;
SELECT is((SELECT string_agg(left(kid::text, 2), ' ') FROM speke.key_list('{"tenant": "red"}', 2)),
          '04 05', 'the newest, as many as asked for');
SELECT results_eq('SELECT keys, contents FROM speke.key_count(''{"tenant": "red"}'')',
                  'VALUES (5::bigint, 3::bigint)', 'key_count');
RESET ROLE;

-- Revoking, restoring, destroying -----------------------------------------------------------------

SET LOCAL ROLE :operator;
SELECT throws_ok('SELECT speke.key_revoke(''{}'', ''x'')', 'SK010', NULL,
                 'nobody revokes every key there is by saying nothing');
SELECT throws_ok('SELECT speke.key_destroy(''{"state": "active"}'', ''x'')', 'SK010', NULL,
                 'or destroys it');
SELECT is(speke.key_revoke('{"tenant": "red", "content_id": "film"}', 'leaked'), 2::bigint,
          'key_revoke tells how many');
SELECT is(speke.key_revoke('{"tenant": "red", "content_id": "film"}', 'again'), 0::bigint,
          'those that are revoked stay as they were');
RESET ROLE;
SELECT results_eq('SELECT event, tenant, operator, content_id, kids, detail FROM pg_temp.newest',
                  $$ VALUES ('admin', 'red', session_user::text COLLATE "default", 'film',
                             pg_temp.kids(1, 2), 'key_revoke: leaked') $$,
                  'the audit has who, which and why');
SET LOCAL ROLE :auditor;
SELECT results_eq('SELECT state, reason, revoked_at IS NOT NULL, destroyed_at
                     FROM speke.v_key WHERE tenant = ''red'' AND kid = pg_temp.kid(1)',
                  $$ VALUES ('revoked', 'leaked', true, NULL::timestamptz) $$, 'v_key tells it');
RESET ROLE;
SET LOCAL ROLE :service;
SELECT throws_ok('SELECT * FROM pg_temp.give(''red-1'', ''film'', 9, pg_temp.kids(1))', 'SK005', NULL,
                 'nobody gets a revoked key');
SELECT is((SELECT mark FROM pg_temp.give('blue-1', 'film', 9, pg_temp.kids(1))), 3,
          'the same KID of another tenant is another key');
RESET ROLE;
SET LOCAL ROLE :operator;
SELECT is(speke.key_restore('{"tenant": "red", "kids": ["01010101-0101-0101-0101-010101010101"]}',
                            'found again'), 1::bigint, 'key_restore');
RESET ROLE;
SET LOCAL ROLE :service;
SELECT is((SELECT mark FROM pg_temp.give('red-1', 'film', 9, pg_temp.kids(1))), 1,
          'a restored key is given out as it was');
RESET ROLE;
SET LOCAL ROLE :operator;
SELECT is(speke.key_destroy('{"tenant": "red", "content_id": "film"}', 'the end'), 2::bigint,
          'key_destroy takes active and revoked ones');
SELECT is(speke.key_destroy('{"tenant": "red", "content_id": "film"}', 'the end'), 0::bigint,
          'each once');
SELECT is(speke.key_restore('{"tenant": "red", "content_id": "film"}', 'no'), 0::bigint,
          'and nothing brings them back');
SELECT is(speke.key_revoke('{"tenant": "red", "content_id": "film"}', 'no'), 0::bigint,
          'nor are they revoked any more');
RESET ROLE;
SELECT results_eq('SELECT kid, sealed IS NULL, destroyed_at IS NOT NULL, reason
                     FROM speke.content_key WHERE content_id = ''film'' AND tenant_id = ' || :red || ' ORDER BY kid',
                  $$ VALUES (pg_temp.kid(1), true, true, 'the end'),
                            (pg_temp.kid(2), true, true, 'the end') $$,
                  'the rows stay, without the keys');
SET LOCAL ROLE :service;
SELECT throws_ok('SELECT * FROM pg_temp.give(''red-1'', ''film'', 9, pg_temp.kids(2))', 'SK005', NULL,
                 'no other key is made in place of a destroyed one');
RESET ROLE;

-- Retention ---------------------------------------------------------------------------------------

SET LOCAL ROLE :operator;
SELECT is(pg_temp.chosen('{"unused_for": "1 day"}'), NULL, 'new keys are in use');
RESET ROLE;
UPDATE speke.content_key SET created_at = now() - interval '500 days' WHERE kid IN (pg_temp.kid(3), pg_temp.kid(4));
SET LOCAL ROLE :operator;
SELECT throws_ok('SELECT * FROM speke.key_list(''{"unused_for": "400 days"}'', NULL)', 'SK011', NULL,
                 'an audit that does not reach back cannot tell');
RESET ROLE;
SELECT speke.audit_partition_create((now() - interval '450 days')::date) \g /dev/null
INSERT INTO speke.audit_event (at, tenant_id, event, content_id, kids)
SELECT now() - interval '450 days', :red, 'release', 'fil_', pg_temp.kids(3);
SET LOCAL ROLE :operator;
SELECT is(pg_temp.chosen('{"unused_for": "400 days"}'), NULL, 'old keys that were given out since are in use');
RESET ROLE;
UPDATE speke.content_key SET content_id = 'old', content_digest = sha256('old')
 WHERE kid = pg_temp.kid(3);
INSERT INTO speke.audit_event (at, tenant_id, event, content_id, kids)
SELECT now() - interval '450 days', :red, 'release', 'old', pg_temp.kids(3);
SET LOCAL ROLE :operator;
SELECT is(pg_temp.chosen('{"unused_for": "400 days"}'), 'red/old/03', 'others are not');
SELECT is(speke.key_revoke('{"tenant": "red", "unused_for": "400 days"}', 'old'), 1::bigint,
          'and can be revoked for it');
RESET ROLE;

-- Export ------------------------------------------------------------------------------------------

SET LOCAL ROLE :operator;
SELECT results_eq($$
    SELECT kid, content_id, get_byte(sealed, 0), periods
      FROM speke.key_export('{"tenant": "red", "content_id": "channel"}', NULL, NULL, NULL, 1,
                            'csv', '{}', '{}') $$,
    $$ VALUES (pg_temp.kid(4), 'channel', 0, '[
         {"id": "p", "index": null, "start": "2026", "end": null, "startOffset": null, "endOffset": null},
         {"id": "q", "index": null, "start": "2027", "end": null, "startOffset": null, "endOffset": null}
       ]'::jsonb) $$, 'key_export: a page, with the periods');
RESET ROLE;
SELECT results_eq('SELECT event, tenant, content_id, kids, detail, recipient_subjects FROM pg_temp.newest',
                  $$ VALUES ('export', 'red', 'channel', pg_temp.kids(4), 'key_export csv', NULL::text[]) $$,
                  'and only what is in the page is in the audit');
SET LOCAL ROLE :operator;
SELECT results_eq(format($$
    SELECT kid FROM speke.key_export('{"tenant": "red", "content_id": "channel"}', %s,
                                     sha256('channel'), pg_temp.kid(4), 10, 'cpix',
                                     ARRAY[sha256('der')], '{CN=x}') $$, :red),
    $$ VALUES (pg_temp.kid(5)) $$, 'the page after it');
SELECT is_empty($$ SELECT * FROM speke.key_export('{"tenant": "red", "content_id": "film"}', NULL,
                       NULL, NULL, 10, 'csv', '{}', '{}') $$, 'destroyed keys are not there');
RESET ROLE;
SELECT results_eq('SELECT kids, detail, recipient_subjects, recipient_fingerprints FROM pg_temp.newest',
                  $$ VALUES (pg_temp.kids(5), 'key_export cpix', ARRAY['CN=x'],
                             ARRAY[encode(sha256('der'), 'hex')]) $$,
                  'whom it was encrypted for, and nothing for nothing');

-- Import ------------------------------------------------------------------------------------------

-- Stages a key for each byte; its line is the byte, its sealed value begins with the mark.
CREATE FUNCTION pg_temp.stage(p_tenant integer, p_content text, p_mark integer, VARIADIC p_bytes integer[])
RETURNS void LANGUAGE sql AS $$
    SELECT speke.key_import_stage(p_tenant, 1, p_bytes::bigint[], array_fill(p_content, ARRAY[cardinality(p_bytes)]),
                                  pg_temp.kids(VARIADIC p_bytes),
                                  array_fill('cenc'::text, ARRAY[cardinality(p_bytes)]),
                                  array_fill(decode(repeat('22', 16), 'hex'), ARRAY[cardinality(p_bytes)]),
                                  array_fill(false, ARRAY[cardinality(p_bytes)]),
                                  (SELECT array_agg(set_byte(set_byte(decode(repeat('00', 44), 'hex'), 0, p_mark), 1, b))
                                     FROM unnest(p_bytes) AS b))
$$;
SET LOCAL ROLE :operator;
SELECT throws_ok('SELECT * FROM speke.key_import_begin(''none'')', 'SK002', NULL, 'no such tenant');
SELECT results_eq('SELECT tenant_id, kek_version, kek_check FROM speke.key_import_begin(''red'')',
                  format($$ VALUES (%s, 1, decode(repeat('11', 16), 'hex')) $$, :red),
                  'key_import_begin tells tenant and KEK');
SELECT pg_temp.stage(:red, 'new', 7, 20, 21) \g /dev/null
SELECT pg_temp.stage(:red, 'film', 7, 1) \g /dev/null
SELECT pg_temp.stage(:red, 'channel', 7, 4) \g /dev/null
SELECT throws_ok(format('SELECT speke.key_import_stage(%s, 2, ''{}'', ''{}'', ''{}'', ''{}'', ''{}'', ''{}'', ''{}'')', :red),
                 'SK012', NULL, 'not under a KEK that is not active');
SELECT throws_ok(format('SELECT speke.key_import_stage(%s, 1, ''{1}'', ''{}'', ''{}'', ''{}'', ''{}'', ''{}'', ''{}'')', :red),
                 '22023', NULL, 'lists of different lengths');
SELECT speke.key_import_stage_periods(:red, '{30,31}', '{new,new}', pg_temp.kids(21, 20), '{s,s}',
           '{NULL,NULL}', '{a,a}', '{NULL,NULL}', '{NULL,NULL}', '{NULL,NULL}') \g /dev/null
SELECT is_empty('SELECT * FROM speke.key_import_repeated(10)', 'nothing is staged twice');
SELECT results_eq('SELECT staged, inserted FROM speke.key_import_insert()',
                  'VALUES (4::bigint, 2::bigint)', 'key_import_insert');
SELECT results_eq('SELECT line, content_id, kid, get_byte(new_sealed, 0), get_byte(sealed, 0), state
                     FROM speke.key_import_existing(0, 10)',
                  $$ VALUES (1::bigint, 'film', pg_temp.kid(1), 7, NULL, 'destroyed'),
                            (4::bigint, 'channel', pg_temp.kid(4), 7, 0, 'active') $$,
                  'key_import_existing: a destroyed key is there, too');
SELECT results_eq('SELECT line FROM speke.key_import_existing(1, 10)', 'VALUES (4::bigint)',
                  'the next page');
SELECT speke.key_import_drop('{1}') \g /dev/null
SELECT results_eq('SELECT periods, missing_line FROM speke.key_import_finish(''x.csv'')',
                  'VALUES (1::bigint, NULL::bigint)', 'key_import_finish');
RESET ROLE;
SELECT is_empty('SELECT * FROM speke.key_import', 'the stage is empty');
SELECT results_eq('SELECT tenant, content_id, kid, created_by, state FROM speke.v_key WHERE content_id = ''new'' ORDER BY kid',
                  $$ VALUES ('red', 'new', pg_temp.kid(20), NULL, 'active'),
                            ('red', 'new', pg_temp.kid(21), NULL, 'active') $$,
                  'v_key has imported keys, of no client');
SELECT results_eq('SELECT period_id, period_start, kids, first_seen_by FROM speke.v_period WHERE content_id = ''new''',
                  $$ VALUES ('s', 'a', pg_temp.kids(20, 21), NULL) $$, 'and v_period their period');
SELECT results_eq('SELECT event, tenant, content_id, kids, detail FROM pg_temp.newest',
                  $$ VALUES ('import', 'red', 'new', pg_temp.kids(20, 21), 'key_import x.csv') $$,
                  'the audit has the keys that came, and no other');
SELECT is((SELECT get_byte(sealed, 0) FROM speke.content_key
            WHERE tenant_id = :red AND content_id = 'channel' AND kid = pg_temp.kid(4)), 0,
          'nothing was overwritten');
SELECT ok((SELECT sealed IS NULL FROM speke.content_key
            WHERE tenant_id = :red AND content_id = 'film' AND kid = pg_temp.kid(1)),
          'nor brought back');
SET LOCAL ROLE :operator;
SELECT * FROM speke.key_import_begin('red') \g /dev/null
SELECT pg_temp.stage(:red, 'new', 7, 22) \g /dev/null
SELECT pg_temp.stage(:red, 'new', 8, 22) \g /dev/null
SELECT results_eq('SELECT line, first_line, content_id, kid FROM speke.key_import_repeated(10)',
                  $$ VALUES (22::bigint, 22::bigint, 'new', pg_temp.kid(22)) $$, 'key_import_repeated');
SELECT * FROM speke.key_import_begin('red') \g /dev/null
SELECT speke.key_import_stage_periods(:red, '{30}', '{new}', pg_temp.kids(99), '{s}', '{NULL}',
           '{NULL}', '{NULL}', '{NULL}', '{NULL}') \g /dev/null
SELECT results_eq('SELECT periods, missing_line FROM speke.key_import_finish(''x.csv'')',
                  'VALUES (NULL::bigint, 30::bigint)', 'a period of a key that is not there');
SELECT speke.key_import_refused('red', 'x.csv') \g /dev/null
RESET ROLE;
SELECT results_eq('SELECT event, tenant, kids, detail FROM pg_temp.newest',
                  $$ VALUES ('import', 'red', '{}'::uuid[], 'key_import refused: x.csv') $$,
                  'key_import_refused');

SELECT * FROM finish();
ROLLBACK;
