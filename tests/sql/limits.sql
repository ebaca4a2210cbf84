-- SPDX-License-Identifier: Apache-2.0
-- What tenants and clients may do, and keys that are withdrawn.
\ir lib/start.psql
BEGIN;
SELECT * FROM no_plan();
\ir lib/acquire.psql

-- Withdrawn keys ----------------------------------------------------------------------------------

SET LOCAL ROLE :service;
SELECT lives_ok($$ SELECT * FROM pg_temp.give('red-1', 'film', 1, pg_temp.kids(1, 2, 3)) $$, 'three keys');
SELECT lives_ok($$ SELECT * FROM pg_temp.give('blue-1', 'film', 1, pg_temp.kids(1, 2, 3)) $$,
                'of another tenant, too');
RESET ROLE;
PREPARE change (text, integer) AS
    UPDATE speke.content_key
       SET revoked_at = CASE WHEN $1 IN ('revoke', 'both') THEN now() END,
           destroyed_at = CASE WHEN $1 IN ('destroy', 'both') THEN now() END,
           sealed = CASE WHEN $1 IN ('destroy', 'both') THEN NULL ELSE sealed END,
           reason = 'leaked'
     WHERE tenant_id = :red AND kid = pg_temp.kid($2);
EXECUTE change ('revoke', 2);
SELECT count(*) AS releases FROM speke.audit_event \gset

SET LOCAL ROLE :service;
SELECT throws_ok($$ SELECT * FROM pg_temp.give('red-1', 'film', 1, pg_temp.kids(1, 2, 3)) $$, 'SK005',
                 'Content key 02020202-0202-0202-0202-020202020202 is revoked',
                 'a revoked key is refused, and the others with it');
SELECT throws_ok($$ SELECT * FROM pg_temp.give('red-2', 'film', 1, pg_temp.kids(9, 2)) $$, 'SK005',
                 NULL, 'also beside one that is missing');
SELECT throws_ok($$ SELECT * FROM pg_temp.give('red-2', 'film', 1, pg_temp.kids(2), false) $$, 'SK005',
                 NULL, 'and without candidates');
SELECT throws_ok($$ SELECT speke.acquire(i.generation, i.client_id, i.tenant_id, 'red-1', NULL, NULL,
                                         'film', pg_temp.kids(2), '{}', '{}', '{}', 1, '{}')
                      FROM speke.identify('red-1') i $$, 'SK005', NULL,
                 'and by the function for the version before');
SELECT lives_ok($$ SELECT * FROM pg_temp.give('red-1', 'film', 1, pg_temp.kids(3, 1)) $$,
                'the others alone are given out');
SELECT lives_ok($$ SELECT * FROM pg_temp.give('red-1', 'other', 1, pg_temp.kids(2)) $$,
                'and the KID under another content');
SELECT results_eq($$ SELECT created FROM pg_temp.give('blue-1', 'film', 2, pg_temp.kids(2)) $$,
                  'VALUES (false)', 'and of another tenant');
RESET ROLE;
SELECT is((SELECT count(*) FROM speke.audit_event), (:releases + 3)::bigint, 'each of which is on record');
SELECT is_empty('SELECT FROM speke.content_key WHERE kid = pg_temp.kid(9)', 'and no key is made');

EXECUTE change ('destroy', 3);
EXECUTE change ('both', 1);
SET LOCAL ROLE :service;
SELECT throws_ok(format($$ SELECT * FROM pg_temp.give('red-1', 'film', 1, pg_temp.kids(%s)) $$, kid),
                 'SK005', 'Content key ' || pg_temp.kid(kid) || ' is destroyed',
                 'a destroyed key is refused, revoked before or not')
  FROM unnest(ARRAY[3, 1]) AS kid;
SELECT throws_ok($$ SELECT * FROM pg_temp.give('red-1', 'film', 1, pg_temp.kids(2, 3)) $$, 'SK005',
                 'Content key 02020202-0202-0202-0202-020202020202 is revoked',
                 'the first that is withdrawn is named');
RESET ROLE;
SELECT is((SELECT count(*) FROM speke.content_key WHERE tenant_id = :red AND content_id = 'film'),
          3::bigint, 'and no other is made in its place');

SELECT throws_ok(format($$ UPDATE speke.content_key SET %s WHERE kid = pg_temp.kid(2) AND revoked_at
                           IS NOT NULL $$, change),
                 '23514', NULL, 'a key is not left with ' || left(change, 40))
  FROM unnest(ARRAY['sealed = NULL', 'destroyed_at = now()', $$ reason = '' $$,
                    'revoked_at = NULL', $$ reason = repeat('x', 1025) $$]) AS change;

SELECT * FROM finish();
ROLLBACK;
