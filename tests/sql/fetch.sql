-- SPDX-License-Identifier: Apache-2.0
-- What a content has, for those who fetch: keys, usage rules, periods; and the door in the audit.
\ir lib/start.psql
BEGIN;
SELECT * FROM no_plan();
\ir lib/acquire.psql

CREATE FUNCTION pg_temp.has(p_client text, p_content text, p_kids uuid[] DEFAULT '{}', p_most integer DEFAULT 100)
RETURNS TABLE (kid uuid, scheme text, track_type text, filters text) LANGUAGE sql AS $$
    SELECT k.* FROM speke.identify(p_client) c,
           speke.content_keys(c.generation, c.client_id, c.tenant_id, p_content, p_kids, p_most) AS k
$$;
CREATE FUNCTION pg_temp.rules(p_tenant integer, p_kid integer) RETURNS boolean LANGUAGE sql AS $$
    SELECT speke.note_rules(p_tenant, 'film', pg_temp.kid(p_kid), pg_temp.kids(1, 2, 1),
                            ARRAY['SD', 'AUDIO', NULL], ARRAY['<v/>', '<a/>', ''])
$$;

SET LOCAL ROLE :service;
SELECT is_empty($$ SELECT * FROM pg_temp.has('red-1', 'film') $$, 'a content without keys has none');
SELECT lives_ok($$ SELECT * FROM pg_temp.give('red-1', 'film', 1, pg_temp.kids(1, 2, 3)) $$, 'three keys');
SELECT lives_ok($$ SELECT * FROM pg_temp.give('blue-1', 'film', 1, pg_temp.kids(9)) $$, 'one of another tenant');
SELECT is(pg_temp.rules(:red, 1), true, 'rules of a key are kept');
SELECT is(pg_temp.rules(:red, 2), true, 'of another, too');
SELECT is(pg_temp.rules(:red, 1), true, 'a second time changes nothing');
SELECT set_eq($$ SELECT * FROM pg_temp.has('red-2', 'film') $$,
              $$ VALUES (pg_temp.kid(1), 's11', 'SD', '<v/>'), (pg_temp.kid(1), 's11', NULL, ''),
                        (pg_temp.kid(2), 's12', 'AUDIO', '<a/>'), (pg_temp.kid(3), 's13', NULL, NULL) $$,
              'every client of the tenant sees the keys with their rules');
SELECT set_eq($$ SELECT DISTINCT kid FROM pg_temp.has('red-1', 'film', pg_temp.kids(2, 7)) $$,
              $$ VALUES (pg_temp.kid(2)) $$, 'or those that it names');
SELECT is((SELECT count(DISTINCT kid) FROM pg_temp.has('red-1', 'film', '{}', 2)), 2::bigint, 'or as many as it takes');
SELECT set_eq($$ SELECT kid FROM pg_temp.has('blue-1', 'film') $$, $$ VALUES (pg_temp.kid(9)) $$,
              'another tenant sees its own alone');
SELECT throws_ok(format($$ SELECT * FROM speke.identify('blue-1') c,
                                         speke.content_keys(c.generation, c.client_id, %s, 'film', '{}', 9) $$, :red),
                 'SK001', NULL, 'a client of one tenant gets nothing of another');
SELECT throws_ok($$ SELECT * FROM speke.identify('red-1') c,
                                  speke.content_keys(c.generation - 1, c.client_id, c.tenant_id, 'film', '{}', 9) $$,
                 'SK001', NULL, 'nor under a configuration that has changed');
SELECT throws_ok($$ SELECT * FROM speke.identify('red-1') c,
                                  speke.content_periods(c.generation - 1, c.client_id, c.tenant_id, 'film', '{}') $$,
                 'SK001', NULL, 'which holds for periods, too');
SELECT throws_ok(format($$ SELECT speke.note_rules(%s, 'film', pg_temp.kid(8), pg_temp.kids(8), ARRAY['SD'], ARRAY['']) $$,
                        :red), '23503', NULL, 'a key that is not there gets no rules');
SELECT throws_ok(format($$ SELECT speke.note_rules(%s, 'film', pg_temp.kid(1), pg_temp.kids(1), '{}', ARRAY['']) $$, :red),
                 '22023', NULL, 'lists of different lengths are none');

-- Periods -----------------------------------------------------------------------------------------

SELECT is(pg_temp.give_periods('live', pg_temp.kids(1, 2, 3), ARRAY['p1', 'p2'], ARRAY['2030-01-01T00:00:00Z', NULL],
                               ARRAY[2, 1], pg_temp.kids(1, 2, 3)), 3::bigint, 'keys of two periods');
SELECT set_eq($$ SELECT p.kid, p.period_id, p.period_start FROM speke.identify('red-1') c,
                        speke.content_periods(c.generation, c.client_id, c.tenant_id, 'live', pg_temp.kids(1, 3)) p $$,
              $$ VALUES (pg_temp.kid(1), 'p1', '2030-01-01T00:00:00Z'), (pg_temp.kid(3), 'p2', NULL) $$,
              'the periods of the keys that are asked for');

-- Withdrawn keys ----------------------------------------------------------------------------------

RESET ROLE;
UPDATE speke.content_key SET revoked_at = now() WHERE tenant_id = :red AND kid = pg_temp.kid(3);
SET LOCAL ROLE :service;
SELECT is((SELECT count(*) FROM pg_temp.has('red-1', 'film') WHERE kid = pg_temp.kid(3)), 0::bigint,
          'a revoked key is none');

-- The door ----------------------------------------------------------------------------------------

SELECT set_config('speke.via', 'cpix', true) \g /dev/null
SELECT lives_ok($$ SELECT * FROM pg_temp.give('red-1', 'film', 1, pg_temp.kids(1)) $$, 'a release by another door');
SELECT set_config('speke.via', '', true) \g /dev/null
SELECT lives_ok($$ SELECT * FROM pg_temp.give('red-1', 'film', 1, pg_temp.kids(1)) $$, 'and one by SPEKE''s');
RESET ROLE;
SELECT results_eq($$ SELECT via FROM speke.audit_event ORDER BY event_id DESC LIMIT 2 $$,
                  $$ VALUES (NULL), ('cpix') $$, 'the audit names the door');

-- Licence services --------------------------------------------------------------------------------

SELECT set_eq($$ SELECT tenant, kid, scheme, state, track_types, period_id, period_start FROM speke.v_licence
                  WHERE content_id IN ('film', 'live') AND kid IN (pg_temp.kid(1), pg_temp.kid(3)) $$,
              $$ VALUES ('red', pg_temp.kid(1), 's11', 'in use', ARRAY['SD', NULL], NULL, NULL),
                        ('red', pg_temp.kid(3), 's13', 'revoked', NULL, NULL, NULL),
                        ('red', pg_temp.kid(1), 'cbcs', 'in use', NULL, 'p1', '2030-01-01T00:00:00Z'),
                        ('red', pg_temp.kid(3), 'cbcs', 'revoked', NULL, 'p2', NULL) $$,
              'v_licence has schedule and state of every key');

SELECT * FROM finish();
ROLLBACK;
