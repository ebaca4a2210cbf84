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

-- Clients: changing what they may do --------------------------------------------------------------

SELECT generation AS before FROM speke.service_state() \gset
SET LOCAL ROLE :operator;
SELECT lives_ok($$ SELECT speke.client_set('red-1', '{"addresses": ["192.0.2.0/28", "2001:db8::/32"],
                   "fetch_only": true, "valid_until": "2999-01-02 03:04"}') $$, 'restrictions');
SELECT results_eq($$ SELECT addresses, fetch_only, valid_from, valid_until, in_force FROM speke.v_client
                      WHERE name = 'red-1' $$,
                  $$ VALUES (ARRAY['192.0.2.0/28', '2001:db8::/32']::cidr[], true, NULL::timestamptz,
                             timestamptz '2999-01-02 03:04Z', true) $$,
                  'are seen, times without a zone being UTC');
SELECT results_eq('SELECT event, tenant, client, detail FROM pg_temp.newest',
                  $$ VALUES ('admin', 'red', 'red-1', 'client_set ''red-1'' ' ||
                             '{"addresses": ["192.0.2.0/28", "2001:db8::/32"], "fetch_only": true, '
                             '"valid_until": "2999-01-02 03:04"}') $$, 'and are on record');
SELECT lives_ok($$ SELECT speke.client_set('red-1', '{"valid_until": null, "fetch_only": false}') $$, 'lifted');
SELECT results_eq($$ SELECT addresses IS NULL, fetch_only, valid_until FROM speke.v_client
                      WHERE name = 'red-1' $$, 'VALUES (false, false, NULL::timestamptz)',
                  'and what was not named stays');
SELECT throws_ok(format('SELECT speke.client_set(%L, %L)', client, changes), state, NULL,
                 'not: ' || coalesce(changes, 'NULL'))
  FROM (VALUES ('nobody', '{"fetch_only": true}', 'SK002'), ('red-1', '{}', '22023'),
               ('red-1', NULL, '22023'), ('red-1', '[]', '22023'),
               ('red-1', '{"fetch_only": true, "enabled": true}', '22023'),
               ('red-1', '{"fetch_only": null}', '23502'), ('red-1', '{"addresses": []}', '23514'),
               ('red-1', '{"addresses": [null]}', '23514'),
               ('red-1', '{"addresses": ["192.0.2.7/24"]}', '22P02'),
               ('red-1', '{"addresses": ["localhost"]}', '22P02'),
               ('red-1', '{"valid_from": "2030-01-01", "valid_until": "2029-01-01"}', '23514'))
       AS bad (client, changes, state);
SET LOCAL ROLE :service;
SELECT cmp_ok((SELECT generation FROM speke.service_state()), '>', :before::bigint, 'processes are told');

-- Addresses: acquire() is called from 192.0.2.7 ----------------------------------------------------

RESET ROLE;
SELECT is(speke.address_within(address, ARRAY['192.0.2.0/28', '198.51.100.9', '2001:db8::/32']::cidr[]),
          within, 'within: ' || coalesce(address, 'NULL'))
  FROM (VALUES ('192.0.2.7', true), ('192.0.2.15', true), ('192.0.2.16', false), ('198.51.100.9', true),
               ('198.51.100.8', false), ('2001:db8:1::1', true), ('2001:db9::1', false),
               ('::ffff:192.0.2.7', true), ('::ffff:192.0.2.16', false), ('::192.0.2.7', false),
               ('192.0.2.0/24', false), ('', false), ('unix:', false), (NULL, false))
       AS asked (address, within);

SET LOCAL ROLE :service;
SELECT lives_ok($$ SELECT * FROM pg_temp.give('red-1', 'address', 1, pg_temp.kids(1, 2)) $$,
                'from an allowed address keys are made');
SELECT lives_ok($$ SELECT * FROM pg_temp.give('red-1', 'address', 1, pg_temp.kids(1, 2)) $$, 'and fetched');
SET LOCAL ROLE :operator;
SELECT speke.client_set('red-1', '{"addresses": ["192.0.2.8", "2001:db8::/32"]}') \g /dev/null
SET LOCAL ROLE :service;
SELECT throws_ok(format($$ SELECT * FROM pg_temp.give('red-1', 'address', 1, pg_temp.kids(%s)) $$, kid),
                 'SK008', 'Client not allowed from this address', 'from another neither')
  FROM unnest(ARRAY[1, 40]) AS kid;
SELECT lives_ok($$ SELECT * FROM pg_temp.give('red-2', 'address', 1, pg_temp.kids(1)) $$,
                'which is for that client alone');
SELECT is(speke.refuse('red-1', address, '2.0', NULL, '{}', 400, 'x'), known,
          'a refusal tells a client at home from one that is not: ' || coalesce(address, 'NULL'))
  FROM (VALUES ('192.0.2.8', true), ('192.0.2.7', false), (NULL, false)) AS asked (address, known);
RESET ROLE;
SELECT is_empty('SELECT FROM speke.content_key WHERE kid = pg_temp.kid(40)', 'nothing was made');

-- Rights ------------------------------------------------------------------------------------------

SET LOCAL ROLE :operator;
SELECT speke.client_set('red-1', '{"addresses": null, "fetch_only": true}') \g /dev/null
SET LOCAL ROLE :service;
SELECT results_eq($$ SELECT created FROM pg_temp.give('red-1', 'address', 1, pg_temp.kids(1, 2)) $$,
                  'VALUES (false), (false)', 'who may only fetch gets what exists');
SELECT throws_ok($$ SELECT * FROM pg_temp.give('red-1', 'address', 1, pg_temp.kids(1, 41, 42)) $$, 'SK006',
                 'Content key 29292929-2929-2929-2929-292929292929 does not exist, and the client may not make keys',
                 'and nothing when a key is missing');
SELECT results_eq($$ SELECT created FROM pg_temp.give('red-1', 'address', 1, pg_temp.kids(1, 41), false) $$,
                  'VALUES (false), (false)', 'without candidates it is told what is missing, as ever');
SELECT lives_ok($$ SELECT * FROM pg_temp.give('red-2', 'address', 1, pg_temp.kids(43)) $$,
                'others of the tenant make keys');
RESET ROLE;
SELECT is_empty('SELECT FROM speke.content_key WHERE kid IN (pg_temp.kid(41), pg_temp.kid(42))',
                'nothing was made');

-- Time --------------------------------------------------------------------------------------------

SET LOCAL ROLE :operator;
SELECT speke.client_set('red-1', format('{"fetch_only": false, "valid_until": "%s"}', now() + interval '1 s')::jsonb) \g /dev/null
SET LOCAL ROLE :service;
SELECT generation AS now FROM speke.service_state() \gset
PREPARE ask AS SELECT * FROM speke.acquire(:now, :red1, :red, 'red-1', '192.0.2.7', '2.0', 'address',
                                           pg_temp.kids(1), '{}', '{}', '{}', 1, '{}');
SELECT lives_ok('ask', 'a client whose time has not ended');
RESET ROLE;
-- As time does it: without a word to the processes.
ALTER TABLE speke.client DISABLE TRIGGER client_changes_config;
UPDATE speke.client SET valid_until = now() WHERE name = 'red-1';
ALTER TABLE speke.client ENABLE TRIGGER client_changes_config;
SET LOCAL ROLE :service;
SELECT throws_ok('ask', 'SK001', NULL, 'once it has, it is to be identified again');
SELECT throws_ok($$ SELECT * FROM speke.client_configuration('red-1') $$, 'SK008',
                 'Client not allowed since ' || to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                 'and is told');
SELECT is_empty($$ SELECT * FROM speke.identify('red-1') $$, 'the former way: it is unknown');
SELECT is(speke.refuse('red-1', '192.0.2.7', '2.0', NULL, '{}', 400, 'x'), false, 'so it is when refused');
SET LOCAL ROLE :operator;
SELECT results_eq($$ SELECT in_force FROM speke.v_client WHERE name IN ('red-1', 'red-2') ORDER BY name $$,
                  'VALUES (false), (true)', 'which the operator sees');
SELECT speke.client_set('red-1', '{"valid_until": null, "valid_from": "2999-12-31"}') \g /dev/null
SET LOCAL ROLE :service;
SELECT throws_ok($$ SELECT * FROM speke.client_configuration('red-1') $$, 'SK008',
                 'Client not allowed before 2999-12-31T00:00:00Z', 'a client whose time is to come');
SET LOCAL ROLE :operator;
SELECT speke.client_set('red-1', format('{"valid_from": "%s"}', now())::jsonb) \g /dev/null
SET LOCAL ROLE :service;
SELECT lives_ok($$ SELECT * FROM pg_temp.give('red-1', 'address', 1, pg_temp.kids(1)) $$, 'and has come');
RESET ROLE;
UPDATE speke.client SET valid_until = now() + interval '1 s', enabled = false WHERE name = 'red-1';
SET LOCAL ROLE :service;
SELECT is_empty($$ SELECT * FROM speke.client_configuration('red-1') $$, 'a disabled one is unknown all the same');
RESET ROLE;
UPDATE speke.client SET valid_from = NULL, valid_until = NULL, enabled = true WHERE name = 'red-1';

-- Settings of limits ------------------------------------------------------------------------------

CREATE VIEW pg_temp.limits AS
    SELECT tenant, read_only, keys_per_minute, new_keys_per_minute, keys_total, keys, released, created
      FROM speke.v_limit;
GRANT SELECT ON pg_temp.limits TO PUBLIC;
SELECT count(*) AS red_keys FROM speke.content_key WHERE tenant_id = :red \gset

SET LOCAL ROLE :operator;
SELECT speke.setting_set('red', NULL, 'versions', '2.0') \g /dev/null
SELECT is_empty('SELECT * FROM pg_temp.limits', 'other settings are no limits');
SELECT speke.setting_set('red', NULL, 'keys_total', '100') \g /dev/null
SELECT results_eq('SELECT * FROM pg_temp.limits',
                  format($$ VALUES ('red', false, NULL::bigint, NULL::bigint, 100::bigint, %s::bigint, 0::bigint, 0::bigint) $$,
                         :red_keys), 'with a number of keys in all, those that exist are counted');
SELECT speke.setting_set('red', NULL, 'new_keys_per_minute', '10') \g /dev/null
SELECT speke.setting_set('red', NULL, 'read_only', 'on') \g /dev/null
SELECT speke.setting_set('red', NULL, 'keys_per_minute', '20') \g /dev/null
SELECT results_eq('SELECT * FROM pg_temp.limits',
                  format($$ VALUES ('red', true, 20::bigint, 10::bigint, 100::bigint, %s::bigint, 0::bigint, 0::bigint) $$,
                         :red_keys), 'all of them');
RESET ROLE;
SELECT results_eq('SELECT metered FROM speke.tenant WHERE name IN (''blue'', ''red'') ORDER BY name',
                  'VALUES (false), (true)', 'releases of that tenant are counted');
SET LOCAL ROLE :operator;
SELECT speke.setting_set('red', NULL, name, '0') FROM unnest(ARRAY['keys_per_minute', 'keys_total']) AS name \g /dev/null
SELECT speke.setting_set('red', NULL, 'read_only', 'off') \g /dev/null
SELECT results_eq('SELECT keys_per_minute, new_keys_per_minute, keys_total, keys FROM pg_temp.limits',
                  'VALUES (NULL::bigint, 10::bigint, NULL::bigint, NULL::bigint)', '0 lifts a limit');
SELECT speke.setting_unset('red', NULL, 'new_keys_per_minute') \g /dev/null
SELECT is_empty('SELECT * FROM pg_temp.limits', 'and unset, too');
SELECT throws_ok($$ SELECT speke.setting_set('red', NULL, 'keys_total', 'many') $$, '22P02', NULL, 'a number');
SELECT throws_ok($$ SELECT speke.setting_set('red', NULL, 'keys_total', '-1') $$, '23514', NULL, 'of keys');
RESET ROLE;
SELECT is((SELECT bool_or(metered) FROM speke.tenant), false, 'nothing is counted any more');

-- Read-only ---------------------------------------------------------------------------------------

SET LOCAL ROLE :operator;
SELECT speke.setting_set('red', NULL, 'read_only', 'on') \g /dev/null
SET LOCAL ROLE :service;
SELECT results_eq($$ SELECT created FROM pg_temp.give('red-2', 'address', 1, pg_temp.kids(1, 2)) $$,
                  'VALUES (false), (false)', 'a read-only tenant is given what exists');
SELECT throws_ok($$ SELECT * FROM pg_temp.give('red-2', 'address', 1, pg_temp.kids(1, 44)) $$, 'SK006',
                 'Content key 2c2c2c2c-2c2c-2c2c-2c2c-2c2c2c2c2c2c does not exist, and the tenant may not make keys',
                 'and no key is made');
SELECT lives_ok($$ SELECT * FROM pg_temp.give('blue-1', 'address', 1, pg_temp.kids(1, 44)) $$,
                'but those of others');
SET LOCAL ROLE :operator;
SELECT speke.setting_unset('red', NULL, 'read_only') \g /dev/null

-- Quotas ------------------------------------------------------------------------------------------

-- Not across the end of a minute.
SELECT pg_sleep(CASE WHEN extract(second FROM clock_timestamp()) > 50
                     THEN 60.1 - extract(second FROM clock_timestamp()) ELSE 0 END) \g /dev/null
CREATE FUNCTION pg_temp.quota(p_sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_message text;
    v_detail  text;
BEGIN
    EXECUTE p_sql;
    RETURN 'given';
EXCEPTION
    WHEN SQLSTATE 'SK007' THEN
        GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL;
        RETURN v_message || '; ' || CASE WHEN v_detail::integer = 3600 THEN 'an hour'
                                         WHEN v_detail::integer BETWEEN 1 AND 60 THEN 'a minute'
                                         ELSE v_detail END;
END $$;
RESET ROLE;
SELECT count(*) AS red_keys FROM speke.content_key WHERE tenant_id = :red \gset
SET LOCAL ROLE :operator;
SELECT speke.setting_set('red', NULL, 'new_keys_per_minute', '3') \g /dev/null
SET LOCAL ROLE :service;
SELECT is(pg_temp.quota($$ SELECT * FROM pg_temp.give('red-1', 'quota', 1, pg_temp.kids(1, 2)) $$), 'given',
          'two of three');
SELECT is(pg_temp.quota($$ SELECT * FROM pg_temp.give('red-2', 'quota', 1, pg_temp.kids(3, 4)) $$),
          'Quota of 3 new keys a minute exceeded: the request needs 2; a minute', 'two more are too many');
SELECT is(pg_temp.quota($$ SELECT * FROM pg_temp.give('red-2', 'quota', 1, pg_temp.kids(1, 3, 2)) $$), 'given',
          'only new ones count');
SELECT is(pg_temp.quota($$ SELECT * FROM pg_temp.give('red-2', 'quota', 1, pg_temp.kids(4)) $$),
          'Quota of 3 new keys a minute exceeded: the request needs 1; a minute', 'now it is used up');
SELECT is(pg_temp.quota($$ SELECT * FROM pg_temp.give('red-2', 'quota', 1, pg_temp.kids(4, 5, 6, 7)) $$),
          'Quota of 3 new keys a minute exceeded: the request needs 4; an hour', 'more than there can ever be');
SELECT is(pg_temp.quota($$ SELECT * FROM pg_temp.give('red-2', 'quota', 1, pg_temp.kids(1, 2, 3)) $$), 'given',
          'what exists is given out');
SELECT is(pg_temp.quota($$ SELECT * FROM pg_temp.give('blue-1', 'quota', 1, pg_temp.kids(1, 2, 3, 4)) $$), 'given',
          'and others have no quota');
RESET ROLE;
SELECT results_eq('SELECT created, released FROM pg_temp.limits', 'VALUES (3::bigint, 0::bigint)', 'three are counted');
SELECT is((SELECT count(*) FROM speke.content_key WHERE tenant_id = :red), (:red_keys + 3)::bigint, 'and made');
SELECT is((SELECT cardinality(kids) FROM speke.audit_event WHERE content_id = 'quota' AND created_kids = pg_temp.kids(3)),
          3, 'the audit says so');
SELECT ok((SELECT bool_and(at > now()) FROM speke.audit_event
            WHERE content_id = 'quota' AND tenant_id = :red AND created_kids <> '{}'),
          'with the time at which it was counted');
UPDATE speke.tenant_limit SET minute = minute - interval '1 minute';
SET LOCAL ROLE :service;
SELECT is(pg_temp.quota($$ SELECT * FROM pg_temp.give('red-2', 'quota', 1, pg_temp.kids(4, 5)) $$), 'given',
          'the next minute has its own');
RESET ROLE;
SELECT results_eq('SELECT created, released FROM pg_temp.limits', 'VALUES (2::bigint, 0::bigint)', 'counted anew');
UPDATE speke.tenant_limit SET minute = minute + interval '1 hour', created = 3;
SET LOCAL ROLE :service;
SELECT throws_ok($$ SELECT * FROM pg_temp.give('red-2', 'quota', 1, pg_temp.kids(6)) $$, 'SK007', NULL,
                 'a clock that was set back gives nothing away');

SET LOCAL ROLE :operator;
SELECT speke.setting_unset('red', NULL, 'new_keys_per_minute') \g /dev/null
SELECT speke.setting_set('red', NULL, 'keys_total', (:red_keys + 7)::text) \g /dev/null
SET LOCAL ROLE :service;
SELECT is(pg_temp.quota($$ SELECT * FROM pg_temp.give('red-2', 'quota', 1, pg_temp.kids(6, 7, 8)) $$),
          format('Quota of %s keys in all exceeded: the request needs 3; an hour', :red_keys + 7), 'too many in all');
SELECT is(pg_temp.quota($$ SELECT * FROM pg_temp.give('red-2', 'quota', 1, pg_temp.kids(6, 7)) $$), 'given', 'as many as fit');
SELECT is(pg_temp.quota($$ SELECT * FROM pg_temp.give('red-2', 'quota', 1, pg_temp.kids(1, 8)) $$),
          format('Quota of %s keys in all exceeded: the request needs 1; an hour', :red_keys + 7), 'then none');
RESET ROLE;
SELECT results_eq('SELECT keys, keys_total FROM pg_temp.limits', format('VALUES (%s::bigint, %1$s::bigint)', :red_keys + 7), 'counted');
INSERT INTO speke.content_key (tenant_id, created_by, kek_version, kid, content_digest, explicit_iv, sealed, scheme, content_id)
SELECT tenant_id, created_by, kek_version, gen_random_uuid(), content_digest, explicit_iv, sealed, scheme, content_id
  FROM speke.content_key WHERE content_id = 'quota' AND kid IN (pg_temp.kid(1), pg_temp.kid(2));
SELECT is((SELECT keys FROM pg_temp.limits), (:red_keys + 9)::bigint, 'whoever adds keys');
DELETE FROM speke.content_key WHERE content_id = 'quota' AND kid = pg_temp.kid(2);
SELECT is((SELECT keys FROM pg_temp.limits), (:red_keys + 8)::bigint, 'or removes them');

SET LOCAL ROLE :operator;
SELECT speke.setting_set('red', NULL, 'keys_per_minute', '5') \g /dev/null
SELECT speke.setting_unset('red', NULL, 'keys_total') \g /dev/null
SET LOCAL ROLE :service;
SELECT is(pg_temp.quota($$ SELECT * FROM pg_temp.give('red-2', 'quota', 1, pg_temp.kids(1, 3, 30)) $$), 'given',
          'keys that are given out: old ones count and new ones');
SELECT is(pg_temp.quota($$ SELECT * FROM pg_temp.give('red-2', 'quota', 1, pg_temp.kids(1, 77), false) $$), 'given',
          'without candidates what exists');
SELECT is(pg_temp.quota($$ SELECT * FROM pg_temp.give('red-2', 'quota', 1, pg_temp.kids(1, 3)) $$),
          'Quota of 5 keys a minute exceeded: the request needs 2; a minute', 'two are too many');
SELECT is(pg_temp.quota($$ SELECT * FROM pg_temp.give('red-2', 'quota', 1, pg_temp.kids(1)) $$), 'given', 'one fits');
SELECT is(pg_temp.quota($$ SELECT * FROM pg_temp.give('red-2', 'quota', 1, pg_temp.kids(1)) $$),
          'Quota of 5 keys a minute exceeded: the request needs 1; a minute', 'no more');
RESET ROLE;
SELECT results_eq('SELECT released, created FROM pg_temp.limits', 'VALUES (5::bigint, 3::bigint)', 'five are counted');
SELECT is((SELECT sum(cardinality(kids)) FROM speke.audit_event
            WHERE event = 'release' AND tenant_id = :red AND event_id > (SELECT max(event_id) FROM speke.audit_event
                                                                          WHERE detail LIKE 'setting_unset%')),
          5::bigint, 'and are on record');
UPDATE speke.content_key SET revoked_at = now() WHERE content_id = 'quota' AND kid = pg_temp.kid(3);
SET LOCAL ROLE :service;
SELECT throws_ok($$ SELECT * FROM pg_temp.give('red-2', 'quota', 1, pg_temp.kids(3)) $$, 'SK005', NULL,
                 'a revoked key is said to be that, quota or not');

-- Two tenants -------------------------------------------------------------------------------------

RESET ROLE;
DELETE FROM speke.tenant_setting;
SELECT generation AS now FROM speke.config_generation \gset
SELECT count(*) AS events FROM speke.audit_event \gset
CREATE FUNCTION pg_temp.forged(p_generation bigint, p_client integer, p_tenant integer, p_user text,
                               p_makes boolean) RETURNS text LANGUAGE sql AS $$
    SELECT format('SELECT * FROM speke.acquire(%L, %L, %L, %L, %L, %L, %L, %L, %L, %L, %L, 1, %L'
                  || repeat(', ''{}''', 10) || ')',
                  p_generation, p_client, p_tenant, p_user, '192.0.2.7', '2.0', 'same', pg_temp.kids(1, 90),
                  CASE WHEN p_makes THEN '{cenc,cenc}' ELSE '{}' END,
                  CASE WHEN p_makes THEN ARRAY[decode(repeat('00', 44), 'hex'), decode(repeat('00', 44), 'hex')]
                       ELSE '{}' END,
                  CASE WHEN p_makes THEN ARRAY[decode(repeat('00', 16), 'hex'), decode(repeat('00', 16), 'hex')]
                       ELSE '{}' END, '{}')
$$;
SET LOCAL ROLE :service;
SELECT lives_ok($$ SELECT * FROM pg_temp.give('red-1', 'same', 10, pg_temp.kids(1)) $$, 'the same content and KID');
SELECT lives_ok($$ SELECT * FROM pg_temp.give('blue-1', 'same', 20, pg_temp.kids(1)) $$, 'of two tenants');
SELECT results_eq($$ SELECT mark FROM pg_temp.give('red-2', 'same', 30, pg_temp.kids(1)) $$, 'VALUES (10)',
                  'are two keys');
SELECT results_eq($$ SELECT mark FROM pg_temp.give('blue-1', 'same', 30, pg_temp.kids(1)) $$, 'VALUES (20)',
                  'each its tenant''s');
SELECT throws_ok(pg_temp.forged(:now, client, tenant, remote_user, makes), 'SK001', NULL,
                 format('client %s, tenant %s, %s: nothing', client, tenant, remote_user))
  FROM (VALUES (:red1, :blue), (:red2, :blue), (:blue1, :red), (:red1, NULL), (NULL, :red), (NULL, NULL),
               (0, :red), (:red1, 0), (:red, :red1 + 1000)) AS pair (client, tenant),
       unnest(ARRAY['red-1', 'blue-1']) AS remote_user, unnest(ARRAY[true, false]) AS makes;
SELECT throws_ok(pg_temp.forged(generation, :red1, :red, 'red-1', true), 'SK001', NULL, 'nor with another generation')
  FROM unnest(ARRAY[NULL, 0, :now - 1, :now + 1]) AS generation;
RESET ROLE;
SELECT is((SELECT count(*) FROM speke.audit_event), (:events + 4)::bigint, 'and no release of it is on record');
SELECT is_empty('SELECT FROM speke.content_key WHERE kid = pg_temp.kid(90)', 'nor a key made');

SELECT * FROM finish();
ROLLBACK;
