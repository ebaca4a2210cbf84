-- SPDX-License-Identifier: Apache-2.0
--
-- Schema "speke" of speke-fcgi, migration 11: views that answer an auditor's and a DBA's questions.
-- README.md has a query for each.
--
--     who got keys            v_release, now with players, exports and the door
--     which keys there are    v_content, v_key_state; content_digest in v_key and v_period
--     what they are used for  v_key_use, v_key_use_day
--     what went wrong         v_refusal, v_rotation_overdue, v_kid_shared
--     how much of it          v_activity, v_growth, v_size
--
--     for auditors, operators:  all of these; time_or_null, which v_rotation_overdue calls
--
-- The audit may be large. v_release, v_key_use_day, v_refusal, v_activity read no more of it than a
-- condition on at, day or hour asks for; of the others, the comment says so when they read a lot.

BEGIN;

DO $$
BEGIN
    -- As the owner of the schema, whoever that is.
    PERFORM pg_catalog.set_config('role', pg_catalog.pg_get_userbyid(nspowner), true)
       FROM pg_catalog.pg_namespace WHERE nspname = 'speke';
END
$$;


-- Who got keys ------------------------------------------------------------------------------------

CREATE OR REPLACE VIEW speke.v_release AS
    SELECT a.event_id, a.at, t.name AS tenant, c.name AS client, a.remote_addr, a.speke_version,
           a.content_id, given.kid, given.kid = ANY (a.created_kids) AS created, a.systems,
           a.recipient_subjects,
           (SELECT array_agg(encode(f.fingerprint, 'hex') ORDER BY f.place)
              FROM unnest(a.recipient_fingerprints) WITH ORDINALITY AS f (fingerprint, place))
               AS recipient_fingerprints,
           a.event, a.via, a.operator, a.agent, a.detail
      FROM speke.audit_event a
     CROSS JOIN LATERAL unnest(a.kids) AS given (kid)
      LEFT JOIN speke.tenant t ON t.tenant_id = a.tenant_id
      LEFT JOIN speke.client c ON c.client_id = a.client_id
     WHERE a.event IN ('release', 'delivery', 'export');
COMMENT ON VIEW speke.v_release IS
    'Who got which key, when, by which door and for whose certificate: one row for each KID given to a packager (event release), a player (delivery) or an operator (export). Give it a range of "at"';
COMMENT ON COLUMN speke.v_release.client IS
    'The packager; NULL for a player, of whom "detail" tells, and for an operator';
COMMENT ON COLUMN speke.v_release.kid IS 'The key';
COMMENT ON COLUMN speke.v_release.created IS 'true: this request made the key';
COMMENT ON COLUMN speke.v_release.recipient_fingerprints IS
    'SHA-256, in hexadecimal, of the certificates that the key was encrypted for; NULL: it went out in the clear';


-- Which keys there are ----------------------------------------------------------------------------

CREATE OR REPLACE VIEW speke.v_key AS
    SELECT t.name AS tenant, k.content_id, k.kid, k.scheme, k.kek_version, k.created_at,
           c.name AS created_by, k.state, k.revoked_at, k.destroyed_at, k.reason, k.content_digest
      FROM speke.key_and_state k
      JOIN speke.tenant t ON t.tenant_id = k.tenant_id
      LEFT JOIN speke.client c ON c.client_id = k.created_by;
COMMENT ON COLUMN speke.v_key.content_digest IS
    'sha256(convert_to(content_id, ''UTF8'')): with a condition on it and on the tenant the index is used, with one on content_id it is not';

CREATE OR REPLACE VIEW speke.v_period AS
    SELECT t.name AS tenant, p.content_id, p.period_id, p.period_index, p.period_start,
           p.period_end, p.start_offset, p.end_offset, p.kids, p.first_seen_at,
           c.name AS first_seen_by, p.content_digest
      FROM speke.content_period p
      JOIN speke.tenant t ON t.tenant_id = p.tenant_id
      LEFT JOIN speke.client c ON c.client_id = p.first_seen_by;
COMMENT ON COLUMN speke.v_period.content_digest IS 'As in v_key';

CREATE VIEW speke.v_content AS
    SELECT c.tenant, c.content_id, c.keys, c.active, c.revoked, c.destroyed, c.imported,
           (SELECT count(*)
              FROM speke.content_period p
             WHERE p.tenant_id = c.tenant_id AND p.content_digest = c.content_digest) AS periods,
           c.schemes, c.first_key_at, c.last_key_at, c.content_digest
      FROM (SELECT t.name AS tenant, k.tenant_id, k.content_id, k.content_digest,
                   count(*) AS keys,
                   count(*) FILTER (WHERE k.state = 'active') AS active,
                   count(*) FILTER (WHERE k.state = 'revoked') AS revoked,
                   count(*) FILTER (WHERE k.state = 'destroyed') AS destroyed,
                   count(*) FILTER (WHERE k.created_by IS NULL) AS imported,
                   array_agg(DISTINCT k.scheme) AS schemes,
                   min(k.created_at) AS first_key_at, max(k.created_at) AS last_key_at
              FROM speke.key_and_state k
              JOIN speke.tenant t ON t.tenant_id = k.tenant_id
             GROUP BY t.name, k.tenant_id, k.content_digest, k.content_id) AS c;
COMMENT ON VIEW speke.v_content IS
    'Contents and their keys. Reads the keys of the tenant, or of all; those of one content alone with a condition on tenant and content_digest';
COMMENT ON COLUMN speke.v_content.keys IS 'Keys that it has, in any state';
COMMENT ON COLUMN speke.v_content.active IS 'Those that are given out';
COMMENT ON COLUMN speke.v_content.revoked IS 'Those that were revoked and not destroyed';
COMMENT ON COLUMN speke.v_content.destroyed IS 'Those whose value is gone';
COMMENT ON COLUMN speke.v_content.imported IS 'Those that no client asked for: they came by an import';
COMMENT ON COLUMN speke.v_content.periods IS 'Content key periods that were named with its keys';
COMMENT ON COLUMN speke.v_content.schemes IS 'The encryption schemes of its keys; empty in SPEKE v1';
COMMENT ON COLUMN speke.v_content.first_key_at IS 'When its first key was made';
COMMENT ON COLUMN speke.v_content.last_key_at IS 'When its newest key was made';
COMMENT ON COLUMN speke.v_content.content_digest IS 'As in v_key';

CREATE VIEW speke.v_key_state AS
    SELECT t.name AS tenant, k.kek_version, e.state AS kek_state, k.state, k.keys, k.first_key_at,
           k.last_key_at
      FROM (SELECT s.tenant_id, s.kek_version, s.state, count(*) AS keys,
                   min(s.created_at) AS first_key_at, max(s.created_at) AS last_key_at
              FROM speke.key_and_state s
             GROUP BY s.tenant_id, s.kek_version, s.state) AS k
      JOIN speke.tenant t ON t.tenant_id = k.tenant_id
      JOIN speke.kek_version e ON e.kek_version = k.kek_version;
COMMENT ON VIEW speke.v_key_state IS
    'How many keys there are, by tenant, KEK and state; reads the whole table of keys';
COMMENT ON COLUMN speke.v_key_state.kek_version IS
    'The KEK that they are sealed under; of destroyed keys: were';
COMMENT ON COLUMN speke.v_key_state.kek_state IS 'State of this KEK';
COMMENT ON COLUMN speke.v_key_state.state IS 'State of the keys: active, revoked, destroyed';
COMMENT ON COLUMN speke.v_key_state.keys IS 'How many';
COMMENT ON COLUMN speke.v_key_state.first_key_at IS 'When the oldest of them was made';
COMMENT ON COLUMN speke.v_key_state.last_key_at IS 'When the newest of them was made';

CREATE VIEW speke.v_kid_shared AS
    SELECT k.kid, count(*) AS contents, count(DISTINCT k.tenant_id) AS tenants,
           array_agg(format('%s: %s', t.name, k.content_id) ORDER BY t.name, k.content_id) AS places,
           min(k.created_at) AS first_key_at, max(k.created_at) AS last_key_at
      FROM speke.content_key k
      JOIN speke.tenant t ON t.tenant_id = k.tenant_id
     WHERE k.kid IN (SELECT c.kid FROM speke.content_key c GROUP BY c.kid HAVING count(*) > 1)
     GROUP BY k.kid;
COMMENT ON VIEW speke.v_kid_shared IS
    'The same KID under two contents or more. Each has a key of its own, and a player that goes by the KID alone cannot tell them apart; usually a packager makes its KIDs badly. Reads the whole table of keys';
COMMENT ON COLUMN speke.v_kid_shared.contents IS 'Under how many contents';
COMMENT ON COLUMN speke.v_kid_shared.tenants IS 'Of how many tenants';
COMMENT ON COLUMN speke.v_kid_shared.places IS 'Which ones, each as "tenant: content id"';
COMMENT ON COLUMN speke.v_kid_shared.first_key_at IS 'When the first key under the KID was made';
COMMENT ON COLUMN speke.v_kid_shared.last_key_at IS 'When the last one was';


-- The audit, day by day -----------------------------------------------------------------------------

-- For each stretch of time the views below look into the audit once, with its two ends: the index on
-- the time and the partitions then serve for any range, also of a view that counts.
CREATE VIEW speke.audit_month AS
    SELECT m.month AS from_utc, m.month + interval '1 month' AS to_utc
      FROM (SELECT make_timestamp(left(d.digits, -3)::integer, right(d.digits, 2)::integer, 1, 0, 0, 0)
                   AS month
              FROM pg_inherits i
              JOIN pg_class c ON c.oid = i.inhrelid
             CROSS JOIN LATERAL substring(c.relname FROM '^audit_event_([0-9]+_[0-9]{2})$')
                   AS d (digits)
             WHERE i.inhparent = 'speke.audit_event'::regclass AND d.digits IS NOT NULL
             UNION
            SELECT date_trunc('month', r.at AT TIME ZONE 'UTC')
              FROM speke.audit_event_rest r
             WHERE isfinite(r.at)) AS m;
COMMENT ON VIEW speke.audit_month IS
    'Months that the audit may have rows of, in UTC; for the views';
COMMENT ON COLUMN speke.audit_month.from_utc IS 'Beginning';
COMMENT ON COLUMN speke.audit_month.to_utc IS 'Beginning of the month that follows';

CREATE VIEW speke.audit_day AS
    SELECT g.day::date AS day, g.day AT TIME ZONE 'UTC' AS from_at,
           (g.day + interval '1 day') AT TIME ZONE 'UTC' AS to_at
      FROM speke.audit_month m
     CROSS JOIN LATERAL generate_series(m.from_utc, m.to_utc - interval '1 day', interval '1 day')
           AS g (day);
COMMENT ON VIEW speke.audit_day IS 'Days that the audit may have rows of; for the views';
COMMENT ON COLUMN speke.audit_day.day IS 'The day, of UTC';
COMMENT ON COLUMN speke.audit_day.from_at IS 'Beginning';
COMMENT ON COLUMN speke.audit_day.to_at IS 'Beginning of the next';

CREATE VIEW speke.v_key_use AS
    SELECT t.name AS tenant, k.content_id, k.kid, k.state, k.created_at, u.first_use, u.last_use,
           coalesce(u.releases, 0) AS releases, coalesce(u.deliveries, 0) AS deliveries,
           k.content_digest
      FROM speke.key_and_state k
      JOIN speke.tenant t ON t.tenant_id = k.tenant_id
      LEFT JOIN (SELECT a.tenant_id, a.content_id, given.kid, min(a.at) AS first_use,
                        max(a.at) AS last_use,
                        count(*) FILTER (WHERE a.event = 'release') AS releases,
                        count(*) FILTER (WHERE a.event = 'delivery') AS deliveries
                   FROM speke.audit_event a
                  CROSS JOIN LATERAL unnest(a.kids) AS given (kid)
                  WHERE a.event IN ('release', 'delivery')
                  GROUP BY a.tenant_id, a.content_id, given.kid) AS u
        ON u.tenant_id = k.tenant_id AND u.content_id = k.content_id AND u.kid = k.kid;
COMMENT ON VIEW speke.v_key_use IS
    'First and last use of each key, as far as the audit reaches back; NULL: not used since. Use is to be given to a packager or a player. Reads the whole audit: v_key_use_day reads a part of it';
COMMENT ON COLUMN speke.v_key_use.first_use IS 'When it was given out first';
COMMENT ON COLUMN speke.v_key_use.last_use IS 'When it was given out last';
COMMENT ON COLUMN speke.v_key_use.releases IS 'How often to packagers';
COMMENT ON COLUMN speke.v_key_use.deliveries IS 'How often to players';
COMMENT ON COLUMN speke.v_key_use.content_digest IS 'As in v_key';

CREATE VIEW speke.v_key_use_day AS
    SELECT d.day, t.name AS tenant, u.content_id, u.kid, u.first_use, u.last_use, u.releases,
           u.deliveries
      FROM speke.audit_day d
     CROSS JOIN LATERAL (SELECT a.tenant_id, a.content_id, given.kid, min(a.at) AS first_use,
                                max(a.at) AS last_use,
                                count(*) FILTER (WHERE a.event = 'release') AS releases,
                                count(*) FILTER (WHERE a.event = 'delivery') AS deliveries
                           FROM speke.audit_event a
                          CROSS JOIN LATERAL unnest(a.kids) AS given (kid)
                          WHERE a.event IN ('release', 'delivery')
                            AND a.at >= d.from_at AND a.at < d.to_at
                          GROUP BY a.tenant_id, a.content_id, given.kid) AS u
      LEFT JOIN speke.tenant t ON t.tenant_id = u.tenant_id;
COMMENT ON VIEW speke.v_key_use_day IS
    'Use of keys, one row for each key and day on which it was given out. Reads the days that are asked for';
COMMENT ON COLUMN speke.v_key_use_day.day IS 'The day, of UTC';
COMMENT ON COLUMN speke.v_key_use_day.first_use IS 'When it was given out first on that day';
COMMENT ON COLUMN speke.v_key_use_day.last_use IS 'When it was given out last on that day';
COMMENT ON COLUMN speke.v_key_use_day.releases IS 'How often to packagers';
COMMENT ON COLUMN speke.v_key_use_day.deliveries IS 'How often to players';

CREATE VIEW speke.v_refusal AS
    SELECT d.day, r.asker, t.name AS tenant, c.name AS client, r.remote_user, r.via, r.status,
           r.reason, r.refusals, r.contents, r.addresses, r.last_addr, r.first_at, r.last_at
      FROM speke.audit_day d
     CROSS JOIN LATERAL (
            SELECT 'packager' AS asker, a.tenant_id, a.client_id, a.remote_user, a.via, a.status,
                   regexp_replace(a.detail, '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '<KID>',
                                  'gi') AS reason,
                   count(*) AS refusals, count(DISTINCT a.content_id) AS contents,
                   count(DISTINCT a.remote_addr) AS addresses,
                   (array_agg(a.remote_addr ORDER BY a.at DESC))[1] AS last_addr,
                   min(a.at) AS first_at, max(a.at) AS last_at
              FROM speke.audit_event a
             WHERE a.event = 'refusal' AND a.at >= d.from_at AND a.at < d.to_at
             GROUP BY a.tenant_id, a.client_id, a.remote_user, a.via, a.status, reason
             UNION ALL
            SELECT 'player', p.tenant_id, NULL, NULL, NULL, p.status, p.reason,
                   sum(p.count)::bigint, NULL, NULL,
                   (array_agg(p.last_addr ORDER BY p.last_at DESC))[1], min(p.first_at),
                   max(p.last_at)
              FROM speke.player_refusal p
             WHERE p.hour >= d.from_at AND p.hour < d.to_at
             GROUP BY p.tenant_id, p.status, p.reason) AS r
      LEFT JOIN speke.tenant t ON t.tenant_id = r.tenant_id
      LEFT JOIN speke.client c ON c.client_id = r.client_id;
COMMENT ON VIEW speke.v_refusal IS
    'Who was refused, and why: packagers and players, counted by day. Reads the days that are asked for';
COMMENT ON COLUMN speke.v_refusal.day IS 'The day, of UTC';
COMMENT ON COLUMN speke.v_refusal.asker IS
    'packager, or player; of players it is only counted how many were turned away';
COMMENT ON COLUMN speke.v_refusal.tenant IS 'NULL when the client is not known, or there is no such tenant';
COMMENT ON COLUMN speke.v_refusal.client IS 'The client; NULL when it is not known, and for players';
COMMENT ON COLUMN speke.v_refusal.reason IS 'What was wrong; KIDs in it are written as <KID>';
COMMENT ON COLUMN speke.v_refusal.refusals IS 'How often';
COMMENT ON COLUMN speke.v_refusal.contents IS 'For how many contents; NULL for players';
COMMENT ON COLUMN speke.v_refusal.addresses IS 'From how many addresses; NULL for players';
COMMENT ON COLUMN speke.v_refusal.last_addr IS 'The address that was the last one';
COMMENT ON COLUMN speke.v_refusal.first_at IS 'The first time on that day';
COMMENT ON COLUMN speke.v_refusal.last_at IS 'The last time on that day';

CREATE VIEW speke.v_activity AS
    SELECT h.from_at AS hour, t.name AS tenant, u.releases, u.keys_given, u.keys_made, u.clients,
           u.deliveries, u.refusals, u.players_refused, u.operations
      FROM (SELECT g.hour AT TIME ZONE 'UTC' AS from_at,
                   (g.hour + interval '1 hour') AT TIME ZONE 'UTC' AS to_at
              FROM speke.audit_month m
             CROSS JOIN LATERAL generate_series(m.from_utc, m.to_utc - interval '1 hour',
                                                interval '1 hour') AS g (hour)) AS h
     CROSS JOIN LATERAL (
            SELECT e.tenant_id,
                   count(*) FILTER (WHERE e.event = 'release') AS releases,
                   coalesce(sum(e.given) FILTER (WHERE e.event = 'release'), 0)::bigint AS keys_given,
                   coalesce(sum(e.made) FILTER (WHERE e.event = 'release'), 0)::bigint AS keys_made,
                   count(DISTINCT e.client_id) FILTER (WHERE e.event = 'release') AS clients,
                   count(*) FILTER (WHERE e.event = 'delivery') AS deliveries,
                   count(*) FILTER (WHERE e.event = 'refusal') AS refusals,
                   coalesce(sum(e.given) FILTER (WHERE e.event = 'player'), 0)::bigint
                       AS players_refused,
                   count(*) FILTER (WHERE e.event NOT IN ('release', 'delivery', 'refusal',
                                                          'player')) AS operations
              FROM (SELECT a.tenant_id, a.client_id, a.event, cardinality(a.kids) AS given,
                           cardinality(a.created_kids) AS made
                      FROM speke.audit_event a
                     WHERE a.at >= h.from_at AND a.at < h.to_at
                     UNION ALL
                    SELECT nullif(p.tenant_id, 0), NULL, 'player', p.count, 0
                      FROM speke.player_refusal p
                     WHERE p.hour >= h.from_at AND p.hour < h.to_at) AS e
             GROUP BY e.tenant_id) AS u
      LEFT JOIN speke.tenant t ON t.tenant_id = u.tenant_id;
COMMENT ON VIEW speke.v_activity IS
    'What happened in each hour, for each tenant; no row where nothing did. Reads the hours that are asked for';
COMMENT ON COLUMN speke.v_activity.hour IS 'Beginning of the hour';
COMMENT ON COLUMN speke.v_activity.tenant IS
    'NULL for what belongs to no tenant: unknown clients, work on KEKs';
COMMENT ON COLUMN speke.v_activity.releases IS 'Requests of packagers that were given keys';
COMMENT ON COLUMN speke.v_activity.keys_given IS 'Keys in them';
COMMENT ON COLUMN speke.v_activity.keys_made IS 'Those of the keys that they made';
COMMENT ON COLUMN speke.v_activity.clients IS 'How many clients these requests were of';
COMMENT ON COLUMN speke.v_activity.deliveries IS 'Contents that players were given keys of';
COMMENT ON COLUMN speke.v_activity.refusals IS 'Requests of packagers that were refused';
COMMENT ON COLUMN speke.v_activity.players_refused IS 'Players that were turned away';
COMMENT ON COLUMN speke.v_activity.operations IS 'What operators did: admin, kek, import, export';


-- Rotations that never came -----------------------------------------------------------------------

CREATE FUNCTION speke.time_or_null(p_text text) RETURNS timestamptz
LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, speke, pg_temp
SET timezone = 'UTC' -- for times without a zone
AS $$
BEGIN
    -- Not what PostgreSQL takes besides, such as "now".
    IF p_text ~ '^\s*\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?\s*$' THEN
        RETURN p_text::timestamptz;
    END IF;
    RETURN NULL;
EXCEPTION
    WHEN datetime_field_overflow OR invalid_datetime_format OR invalid_time_zone_displacement_value THEN
        RETURN NULL;
END
$$;
COMMENT ON FUNCTION speke.time_or_null IS
    'A time as XML has it (xs:dateTime), without a zone that of UTC; NULL for what is none';

CREATE VIEW speke.v_rotation_overdue AS
    SELECT t.name AS tenant, o.content_id, o.rule, o.due_at, now() - o.due_at AS overdue_for,
           (SELECT max(a.at)
              FROM speke.audit_event a
             WHERE a.at >= o.due_at AND a.event = 'release' AND a.tenant_id = o.tenant_id
               AND a.content_id = o.content_id) AS last_release_at,
           o.periods, o.last_period_at, o.usual_interval, o.content_digest
      FROM (SELECT r.*, CASE r.rule WHEN 'end' THEN r.last_end
                                    WHEN 'interval' THEN r.last_period_at + 3 * r.usual_interval
                        END AS due_at
              FROM (SELECT c.*, CASE WHEN c.last_end > coalesce(c.last_start, '-infinity') THEN 'end'
                                     WHEN c.changes >= 2 THEN 'interval' END AS rule
                      FROM (SELECT s.tenant_id, s.content_digest, s.content_id,
                                   sum(s.periods)::bigint AS periods,
                                   max(s.last_start) AS last_start, max(s.last_end) AS last_end,
                                   max(s.first_seen_at) AS last_period_at,
                                   count(s.interval) AS changes,
                                   percentile_cont(0.5) WITHIN GROUP (ORDER BY s.interval)
                                       AS usual_interval
                              FROM (SELECT p.tenant_id, p.content_digest, p.content_id,
                                           p.first_seen_at, count(*) AS periods,
                                           max(speke.time_or_null(p.period_start)) AS last_start,
                                           max(speke.time_or_null(p.period_end)) AS last_end,
                                           p.first_seen_at
                                           - lag(p.first_seen_at)
                                             OVER (PARTITION BY p.tenant_id, p.content_digest,
                                                                p.content_id
                                                   ORDER BY p.first_seen_at) AS interval
                                      FROM speke.content_period p
                                     WHERE p.start_offset IS NULL AND p.end_offset IS NULL
                                     GROUP BY p.tenant_id, p.content_digest, p.content_id,
                                              p.first_seen_at) AS s
                             GROUP BY s.tenant_id, s.content_digest, s.content_id) AS c) AS r) AS o
      JOIN speke.tenant t ON t.tenant_id = o.tenant_id
     WHERE o.due_at < now();
COMMENT ON VIEW speke.v_rotation_overdue IS
    'Contents whose key period should have changed and did not. Rule "end": the latest period end that was named has passed, and no period was named that starts then or later. Rule "interval", where the latest period has no end: since the content''s last new period more than three times its usual interval has passed, which is the median of the times between its new periods, of which there must have been three at different times. Periods by offset (VOD) do not rotate and are left out. A content that has ended is here, too: last_release_at tells it apart. Give it a range of due_at';
COMMENT ON COLUMN speke.v_rotation_overdue.rule IS 'By which rule it is here: end or interval';
COMMENT ON COLUMN speke.v_rotation_overdue.due_at IS 'When a new period should have been there';
COMMENT ON COLUMN speke.v_rotation_overdue.overdue_for IS 'How long ago that was';
COMMENT ON COLUMN speke.v_rotation_overdue.last_release_at IS
    'When keys of the content were given to a packager last since then: it goes on and does not rotate. NULL: they were not: the content has ended, or its packager is silent';
COMMENT ON COLUMN speke.v_rotation_overdue.periods IS 'How many periods the content has';
COMMENT ON COLUMN speke.v_rotation_overdue.last_period_at IS
    'When a period that was new was named last';
COMMENT ON COLUMN speke.v_rotation_overdue.usual_interval IS
    'Median of the times between new periods; NULL when all came at one time';
COMMENT ON COLUMN speke.v_rotation_overdue.content_digest IS 'As in v_key';


-- How much of it ----------------------------------------------------------------------------------

CREATE VIEW speke.v_growth AS
    SELECT g.month::date AS month, sum(g.keys)::bigint AS keys, sum(g.periods)::bigint AS periods,
           sum(g.audit_rows)::bigint AS audit_rows,
           pg_total_relation_size(to_regclass(format('speke.audit_event_%s',
                                                     to_char(g.month, 'FMYYYY_MM')))) AS audit_bytes
      FROM (SELECT date_trunc('month', k.created_at AT TIME ZONE 'UTC') AS month, count(*) AS keys,
                   0 AS periods, 0 AS audit_rows
              FROM speke.content_key k
             GROUP BY month
             UNION ALL
            SELECT date_trunc('month', p.first_seen_at AT TIME ZONE 'UTC') AS month, 0, count(*), 0
              FROM speke.content_period p
             GROUP BY month
             UNION ALL
            SELECT m.from_utc, 0, 0, a.rows
              FROM speke.audit_month m
             CROSS JOIN LATERAL (SELECT count(*) AS rows
                                   FROM speke.audit_event e
                                  WHERE e.at >= m.from_utc AT TIME ZONE 'UTC'
                                    AND e.at < m.to_utc AT TIME ZONE 'UTC') AS a
             WHERE a.rows > 0) AS g
     GROUP BY g.month;
COMMENT ON VIEW speke.v_growth IS
    'What came in each month; reads the tables of keys and periods whole, of the audit the months asked for. Archived months of the audit are in v_audit_archive';
COMMENT ON COLUMN speke.v_growth.month IS 'First day of the month, of UTC';
COMMENT ON COLUMN speke.v_growth.keys IS 'Keys that were made or imported';
COMMENT ON COLUMN speke.v_growth.periods IS 'Periods that were named first';
COMMENT ON COLUMN speke.v_growth.audit_rows IS 'Rows of the audit';
COMMENT ON COLUMN speke.v_growth.audit_bytes IS
    'Size of the audit''s partition with its indexes; NULL when the month has none';

CREATE VIEW speke.v_size AS
    SELECT c.relname AS name,
           CASE WHEN c.relkind = 'i' THEN 'index'
                WHEN c.relispartition THEN 'partition'
                ELSE 'table' END AS kind,
           coalesce(x.indrelid, i.inhparent)::regclass::text AS of,
           CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint END AS rows_estimate,
           pg_table_size(c.oid) AS bytes
      FROM pg_class c
      LEFT JOIN pg_index x ON x.indexrelid = c.oid
      LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
     WHERE c.relnamespace = 'speke'::regnamespace AND c.relkind IN ('r', 'i');
COMMENT ON VIEW speke.v_size IS
    'Size of each table, partition and index. Their sum is that of the schema';
COMMENT ON COLUMN speke.v_size.name IS 'Name of the relation';
COMMENT ON COLUMN speke.v_size.kind IS 'table, partition or index';
COMMENT ON COLUMN speke.v_size.of IS 'Table of an index; what a partition is a part of';
COMMENT ON COLUMN speke.v_size.rows_estimate IS
    'Rows as of the last VACUUM or ANALYZE; NULL before the first';
COMMENT ON COLUMN speke.v_size.bytes IS 'Bytes on disk, those of TOAST among them; of tables without their indexes';


-- Comments ----------------------------------------------------------------------------------------

-- A column of a view means what the column of the same name means in the table that it is of.
DO $$
DECLARE
    v_column record;
BEGIN
    FOR v_column IN
        SELECT v.oid::regclass AS view, a.attname AS name, col_description(t.oid, b.attnum) AS text
          FROM (VALUES ('v_tenant', 'tenant'), ('v_client', 'client'), ('v_kek', 'kek_version'),
                       ('v_kek_use', 'kek_version'), ('v_key', 'content_key'),
                       ('v_period', 'content_period'), ('v_setting', 'tenant_setting'),
                       ('v_limit', 'tenant_limit'), ('v_audit', 'audit_event'),
                       ('v_release', 'audit_event'), ('v_audit_event', 'audit_event'),
                       ('v_audit_seal', 'audit_seal'), ('v_audit_archive', 'audit_archive'),
                       ('v_token_key', 'token_key'), ('v_player_refusal', 'player_refusal'),
                       ('v_licence', 'content_key'), ('v_licence', 'content_period'),
                       ('v_schema_version', 'schema_version'), ('v_digest_user', 'digest_user'),
                       ('v_key_use', 'content_key'), ('v_key_use_day', 'content_key'),
                       ('v_content', 'content_key'), ('v_kid_shared', 'content_key'),
                       ('v_refusal', 'audit_event'), ('v_rotation_overdue', 'content_key'))
               AS m (view, of)
          JOIN pg_class v ON v.oid = to_regclass('speke.' || m.view)
          JOIN pg_class t ON t.oid = to_regclass('speke.' || m.of)
          JOIN pg_attribute a ON a.attrelid = v.oid AND a.attnum > 0
          JOIN pg_attribute b ON b.attrelid = t.oid AND b.attname = a.attname
         WHERE col_description(v.oid, a.attnum) IS NULL
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', v_column.view, v_column.name, v_column.text);
    END LOOP;
    -- The rest are names in place of numbers.
    FOR v_column IN
        SELECT v.oid::regclass AS view, a.attname AS name, m.text
          FROM (VALUES ('tenant', 'Name of the tenant'), ('client', 'Name of the client'),
                       ('created_by', 'Name of the client that asked for it first; NULL: imported'),
                       ('first_seen_by',
                        'Name of the client that named the period first; NULL: imported'),
                       ('state', 'active, revoked (given to nobody) or destroyed (its value is gone)'),
                       ('keys', 'Keys that are sealed under it'),
                       ('in_force', 'true: it may ask now'),
                       ('check_value', 'See the table kek_version; in hexadecimal'),
                       ('fingerprint', 'SHA-256 of the 65 bytes of a public key, in hexadecimal'),
                       ('recipient_fingerprints', 'As in v_release'),
                       ('partition', 'Partition that the row is in'),
                       ('track_types', 'Intended track types of the usage rules that were named with the key'))
               AS m (name, text)
          JOIN pg_class v ON v.relnamespace = 'speke'::regnamespace AND v.relkind = 'v'
           AND v.relname LIKE 'v\_%'
          JOIN pg_attribute a ON a.attrelid = v.oid AND a.attname = m.name
         WHERE col_description(v.oid, a.attnum) IS NULL
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', v_column.view, v_column.name, v_column.text);
    END LOOP;
END
$$;
COMMENT ON COLUMN speke.v_audit.recipient_fingerprints IS 'As in v_release';
COMMENT ON COLUMN speke.v_licence.state IS 'in use, revoked or destroyed';


-- Rights ------------------------------------------------------------------------------------------

REVOKE ALL ON ALL TABLES IN SCHEMA speke FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA speke FROM PUBLIC;

DO $$
BEGIN
    IF current_user = 'speke_owner' THEN
        GRANT SELECT ON speke.v_content, speke.v_key_state, speke.v_kid_shared, speke.v_key_use,
            speke.v_key_use_day, speke.v_refusal, speke.v_activity, speke.v_rotation_overdue,
            speke.v_growth, speke.v_size TO speke_auditor, speke_operator;
        GRANT EXECUTE ON FUNCTION speke.time_or_null TO speke_auditor, speke_operator;
    END IF;
END
$$;

INSERT INTO speke.schema_version (version, name) VALUES (11, 'views');

COMMIT;
