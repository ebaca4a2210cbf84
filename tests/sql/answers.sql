-- SPDX-License-Identifier: Apache-2.0
-- The views that answer an auditor's questions: who got keys, what they are used for, what went wrong.
\ir lib/start.psql
BEGIN;
SELECT * FROM no_plan();
\ir lib/acquire.psql
-- A zone whose days begin at another time than those of UTC.
SET LOCAL timezone = 'Asia/Tokyo';

SELECT is_empty($$
    SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE c.relnamespace = 'speke'::regnamespace AND c.relkind = 'v' AND c.relname LIKE 'v\_%'
       AND a.attnum > 0 AND NOT a.attisdropped AND col_description(c.oid, a.attnum) IS NULL $$,
    'every column of a view that people read has a comment');

-- What happens: releases, one by another door, deliveries, an export, refusals ---------------------

SET LOCAL ROLE :service;
SELECT * FROM pg_temp.give('red-1', 'film', 1, pg_temp.kids(1, 2)) \g /dev/null
SELECT set_config('speke.via', 'cpix', true) \g /dev/null
SELECT * FROM pg_temp.give('red-2', 'film', 1, pg_temp.kids(2)) \g /dev/null
SELECT set_config('speke.via', '', true) \g /dev/null
SELECT * FROM pg_temp.give('blue-1', 'film', 1, pg_temp.kids(1)) \g /dev/null
SELECT count(*) FROM speke.player_generation() AS g,
       speke.player_acquire(g, :red, 'clearkey', ARRAY[sha256('film')], pg_temp.kids(2), '192.0.2.66',
                            'token alice') \g /dev/null
SELECT speke.refuse('red-1', '192.0.2.9', '2.0', 'film', pg_temp.kids(1), 403,
                    format('Content key %s is revoked', pg_temp.kid(n))) FROM generate_series(1, 3) AS n \g /dev/null
SELECT speke.refuse('nobody', '192.0.2.8', NULL, NULL, '{}', 403, 'Forbidden') \g /dev/null
SELECT speke.player_refused(:red, 401, 'token', 5, '192.0.2.77') \g /dev/null
SELECT speke.player_refused(0, 404, 'tenant', 7, NULL) \g /dev/null
RESET ROLE;
SET LOCAL ROLE :operator;
SELECT count(*) FROM speke.key_export('{"tenant": "red", "kids": ["01010101-0101-0101-0101-010101010101"]}',
                                      NULL, NULL, NULL, 9, 'cpix', ARRAY[sha256('der')], ARRAY['CN=safe']) \g /dev/null
SELECT speke.key_revoke('{"tenant": "red", "kids": ["02020202-0202-0202-0202-020202020202"]}', 'leaked') \g /dev/null
RESET ROLE;

SET LOCAL ROLE :auditor;
SELECT results_eq($$ SELECT event, via, tenant, client, host(remote_addr), kid, created, recipient_subjects,
                            operator IS NOT NULL FROM speke.v_release WHERE at >= now() AND tenant = 'red'
                      ORDER BY event_id, kid $$,
                  $$ VALUES ('release', NULL, 'red', 'red-1', '192.0.2.7', pg_temp.kid(1), true, NULL::text[], false),
                            ('release', NULL, 'red', 'red-1', '192.0.2.7', pg_temp.kid(2), true, NULL, false),
                            ('release', 'cpix', 'red', 'red-2', '192.0.2.7', pg_temp.kid(2), false, NULL, false),
                            ('delivery', 'clearkey', 'red', NULL, '192.0.2.66', pg_temp.kid(2), false, NULL, false),
                            ('export', NULL, 'red', NULL, NULL, pg_temp.kid(1), false, ARRAY['CN=safe'], true) $$,
                  'v_release: packagers by each door, players, exports');

SELECT results_eq($$ SELECT tenant, content_id, keys, active, revoked, destroyed, imported, periods, schemes
                       FROM speke.v_content WHERE content_digest = sha256('film') ORDER BY tenant $$,
                  $$ VALUES ('blue', 'film', 1::bigint, 1::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
                             ARRAY['s11']),
                            ('red', 'film', 2, 1, 1, 0, 0, 0, ARRAY['s11', 's12']) $$,
                  'v_content: keys by content');
SELECT results_eq($$ SELECT tenant, kek_version, kek_state, state, keys FROM speke.v_key_state
                      ORDER BY tenant, state $$,
                  $$ VALUES ('blue', 1, 'active', 'active', 1::bigint), ('red', 1, 'active', 'active', 1),
                            ('red', 1, 'active', 'revoked', 1) $$, 'v_key_state: keys by KEK and state');
SELECT results_eq('SELECT kid, contents, tenants, places FROM speke.v_kid_shared',
                  $$ VALUES (pg_temp.kid(1), 2::bigint, 2::bigint, ARRAY['blue: film', 'red: film']) $$,
                  'v_kid_shared: the same KID under two contents');
SELECT results_eq($$ SELECT kid, state, releases, deliveries, first_use = now(), last_use = now()
                       FROM speke.v_key_use WHERE tenant = 'red' ORDER BY kid $$,
                  $$ VALUES (pg_temp.kid(1), 'active', 1::bigint, 0::bigint, true, true),
                            (pg_temp.kid(2), 'revoked', 2, 1, true, true) $$,
                  'v_key_use: an export is no use');
SELECT results_eq($$ SELECT day, content_id, kid, releases, deliveries FROM speke.v_key_use_day
                      WHERE tenant = 'red' ORDER BY kid $$,
                  $$ VALUES ((now() AT TIME ZONE 'UTC')::date, 'film', pg_temp.kid(1), 1::bigint, 0::bigint),
                            ((now() AT TIME ZONE 'UTC')::date, 'film', pg_temp.kid(2), 2, 1) $$,
                  'v_key_use_day: the same by the day');
SELECT results_eq($$ SELECT asker, tenant, client, remote_user, status, reason, refusals, contents, addresses,
                            host(last_addr), day = (now() AT TIME ZONE 'UTC')::date
                       FROM speke.v_refusal ORDER BY asker, status, refusals $$,
                  $$ VALUES ('packager', NULL, NULL, 'nobody', 403, 'Forbidden', 1::bigint, 0::bigint, 1::bigint,
                             '192.0.2.8', true),
                            ('packager', 'red', 'red-1', 'red-1', 403, 'Content key <KID> is revoked', 3, 1, 1,
                             '192.0.2.9', true),
                            ('player', 'red', NULL, NULL, 401, 'token', 5, NULL, NULL, '192.0.2.77', true),
                            ('player', NULL, NULL, NULL, 404, 'tenant', 7, NULL, NULL, NULL, true) $$,
                  'v_refusal: who, why and how often, players too');
SELECT results_eq($$ SELECT hour, tenant, releases, keys_given, keys_made, clients, deliveries, refusals, players_refused
                       FROM speke.v_activity ORDER BY tenant $$,
                  $$ SELECT date_trunc('hour', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC', v.*
                       FROM (VALUES ('blue', 1::bigint, 1::bigint, 1::bigint, 1::bigint, 0::bigint, 0::bigint, 0::bigint),
                                    ('red', 2, 3, 2, 2, 1, 3, 5), (NULL, 0, 0, 0, 0, 0, 1, 7)) AS v $$,
                  'v_activity: by hour and tenant');
SELECT cmp_ok(operations, '>=', 2::bigint, 'v_activity: what operators did')
  FROM speke.v_activity WHERE tenant = 'red';
RESET ROLE;

-- Times that have no partition of their own, and other months ---------------------------------------

INSERT INTO speke.audit_event (at, event, tenant_id, content_id, kids)
VALUES ('1999-12-31T23:30Z', 'release', :red, 'film', pg_temp.kids(1)),
       ('infinity', 'release', :red, 'film', pg_temp.kids(1));
SET LOCAL ROLE :auditor;
SELECT results_eq($$ SELECT day, kid, releases FROM speke.v_key_use_day WHERE day < '2000-01-01' $$,
                  $$ VALUES ('1999-12-31'::date, pg_temp.kid(1), 1::bigint) $$,
                  'a row of a month without a partition is found');
SELECT results_eq($$ SELECT hour, releases FROM speke.v_activity WHERE hour < '2000-01-01Z' $$,
                  $$ VALUES ('1999-12-31T23:00Z'::timestamptz, 1::bigint) $$, 'in its hour, too');
SELECT results_eq($$ SELECT releases, first_use FROM speke.v_key_use WHERE tenant = 'red' AND kid = pg_temp.kid(1) $$,
                  $$ VALUES (3::bigint, '1999-12-31T23:30Z'::timestamptz) $$, 'and is the first use of the key');
SELECT results_eq($$ SELECT keys, audit_rows, audit_bytes IS NULL FROM speke.v_growth WHERE month = '1999-12-01' $$,
                  $$ VALUES (0::bigint, 1::bigint, true) $$, 'v_growth: a month without partition');
SELECT results_eq($$ SELECT keys, periods, audit_rows >= 10, audit_bytes > 0 FROM speke.v_growth
                      WHERE month = date_trunc('month', now() AT TIME ZONE 'UTC') $$,
                  $$ VALUES (3::bigint, 0::bigint, true, true) $$, 'v_growth: and this month');
SELECT results_eq($$ SELECT kind, of, bytes > 0 FROM speke.v_size WHERE name = 'content_key_identity' $$,
                  $$ VALUES ('index', 'speke.content_key', true) $$, 'v_size: an index');
SELECT results_eq($$ SELECT kind, of FROM speke.v_size WHERE name = 'audit_event_rest' $$,
                  $$ VALUES ('partition', 'speke.audit_event') $$, 'v_size: a partition');
SELECT results_eq($$ SELECT sum(bytes) FROM speke.v_size $$,
                  $$ SELECT sum(pg_total_relation_size(oid)) FROM pg_class
                      WHERE relnamespace = 'speke'::regnamespace AND relkind = 'r' $$, 'v_size: all in all');
RESET ROLE;

-- Rotations that never came -------------------------------------------------------------------------

SET LOCAL ROLE :auditor;
SELECT is(speke.time_or_null(text), time::timestamptz, format('time_or_null: "%s"', text))
  FROM (VALUES ('2030-01-01T00:00:00Z', '2030-01-01 00:00:00+00'), (E' 2030-01-01T00:00:00.5+01:00\n',
                '2029-12-31 23:00:00.5+00'), ('2030-01-01T00:00:00', '2030-01-01 00:00:00+00'),
               ('2030-01-01T24:00:00Z', '2030-01-02 00:00:00+00'), ('2030-02-31T00:00:00Z', NULL),
               ('999999-01-01T00:00:00Z', NULL), ('2030-01-01T00:00:00+99:00', NULL), ('now', NULL),
               ('infinity', NULL), ('2030-01-01', NULL), ('', NULL), (NULL, NULL)) AS t (text, time);
RESET ROLE;

-- A new period of a content, first seen so long ago; "end" is from now, too.
CREATE FUNCTION pg_temp.period(p_content text, p_ago interval, p_start interval DEFAULT NULL,
                               p_end interval DEFAULT NULL, p_offset text DEFAULT NULL) RETURNS void
LANGUAGE sql AS $$
    WITH texts AS (
        SELECT to_char(now() + p_start, 'YYYY-MM-DD"T"HH24:MI:SSTZH:TZM') AS s,
               to_char(now() + p_end, 'YYYY-MM-DD"T"HH24:MI:SSTZH:TZM') AS e, md5(random()::text) AS i
    )
    INSERT INTO speke.content_period (tenant_id, first_seen_by, first_seen_at, content_digest, period_digest,
                                      content_id, period_index, period_start, period_end, start_offset, kids)
    SELECT c.tenant_id, c.client_id, now() - p_ago, sha256(convert_to(p_content, 'UTF8')),
           speke.period_digest(NULL, t.i, t.s, t.e, p_offset, NULL, '{}'), p_content, t.i, t.s, t.e, p_offset, '{}'
      FROM speke.client c, texts t WHERE c.name = 'red-1'
$$;
SELECT pg_temp.period(v.content, v.ago::interval, v.start::interval, v.end::interval, v.start_offset) FROM (VALUES
    -- The last end has passed, an hour ago; there is one still to come; none but a later start.
    ('ended', '5h', '-5h', '-1h', NULL),
    ('goes on', '5h', '-5h', '-1h', NULL), ('goes on', '2h', '-1h', '1h', NULL),
    ('open', '5h', '-5h', '-1h', NULL), ('open', '2h', '-1h', NULL, NULL),
    -- Every hour, then nothing for four hours, or for two; too few to tell; all at once; by offset.
    ('stuck', '6h', NULL, NULL, NULL), ('stuck', '5h', NULL, NULL, NULL), ('stuck', '4h', NULL, NULL, NULL),
    ('slow', '5h', NULL, NULL, NULL), ('slow', '4h', NULL, NULL, NULL), ('slow', '2h', NULL, NULL, NULL),
    ('young', '9h', NULL, NULL, NULL), ('young', '8h', NULL, NULL, NULL),
    ('at once', '9h', NULL, NULL, NULL), ('at once', '9h', NULL, NULL, NULL), ('at once', '9h', NULL, NULL, NULL),
    ('vod', '9h', NULL, NULL, 'PT0S'), ('vod', '8h', NULL, NULL, 'PT1H'), ('vod', '7h', NULL, NULL, 'PT2H'))
    AS v (content, ago, start, "end", start_offset) \g /dev/null
INSERT INTO speke.audit_event (at, event, tenant_id, content_id, kids)
VALUES (now() - interval '2h', 'release', :red, 'ended', '{}'), (now() - interval '30 min', 'release', :red, 'stuck', '{}');
SET LOCAL ROLE :auditor;
SELECT results_eq($$ SELECT tenant, content_id, rule, date_trunc('second', overdue_for), now() - last_release_at, periods, usual_interval
                       FROM speke.v_rotation_overdue ORDER BY content_id $$,
                  $$ VALUES ('red', 'ended', 'end', interval '1h', NULL::interval, 1::bigint, NULL::interval),
                            ('red', 'stuck', 'interval', interval '1h', interval '30 min', 3, interval '1h') $$,
                  'v_rotation_overdue: what should have changed and did not, and whether it goes on');
RESET ROLE;

-- Many rows, and a condition on the time ------------------------------------------------------------

SELECT speke.audit_partition_create((now() - m * interval '1 month')::date) FROM generate_series(1, 3) AS m \g /dev/null
INSERT INTO speke.audit_event (at, event, tenant_id, client_id, status, content_id, kids)
SELECT now() - n * interval '8 minutes', CASE n % 9 WHEN 0 THEN 'refusal' ELSE 'release' END, :red, :red1, 200, 'film',
       pg_temp.kids(1) FROM generate_series(1, 15000) AS n;
ANALYZE speke.audit_event;
-- How many rows of the audit a query reads.
CREATE FUNCTION pg_temp.audit_rows_read(p_query text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    v_plan jsonb;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON, TIMING off) ' || p_query INTO v_plan;
    RETURN (SELECT sum(coalesce(((n -> 'Actual Rows')::numeric + coalesce((n -> 'Rows Removed by Filter')::numeric, 0)
                                 + coalesce((n -> 'Rows Removed by Index Recheck')::numeric, 0))
                                * (n -> 'Actual Loops')::numeric, 0))
              FROM jsonb_path_query(v_plan, 'strict $.**') AS n
             WHERE jsonb_typeof(n) = 'object' AND n ->> 'Relation Name' LIKE 'audit\_event\_%');
END
$$;
SELECT cmp_ok(pg_temp.audit_rows_read('SELECT * FROM speke.' || query), '<', 9000::numeric,
              query || ' reads the months it has to')
  FROM unnest(ARRAY[$$v_release WHERE at >= now() - interval '1 hour'$$,
                    $$v_refusal WHERE day = (now() AT TIME ZONE 'UTC')::date$$,
                    $$v_activity WHERE hour >= now() - interval '1 hour'$$,
                    $$v_key_use_day WHERE day = (now() AT TIME ZONE 'UTC')::date$$]) AS query;
SELECT cmp_ok(pg_temp.audit_rows_read('SELECT * FROM speke.v_key_use'), '>=', 15000::numeric,
              'v_key_use reads all');

SELECT * FROM finish();
ROLLBACK;
