-- SPDX-License-Identifier: Apache-2.0
--
-- Schema "speke" of speke-fcgi, migration 5: what tenants and clients may do, and the states of a key.
--
--     content_key             gets the times at which a key was revoked and destroyed, and why
--     client                  gets addresses, rights and the time for which it is valid
--     tenant_limit            what a tenant may use up, and what it has; for those with such settings
--
--     for speke_service:      acquire, refuse and client_configuration as they were, which now obey
--     for speke_operator:     client_set
--     for auditors:           v_limit; more columns in v_client
--
-- Errors with a meaning, besides those of migrations 2 and 4. Their message is for the client:
--
--     SK005  acquire: a key is revoked or destroyed
--     SK006  acquire: a key does not exist, and the client or its tenant may not make any
--     SK007  acquire: a quota is used up; DETAIL is the number of seconds to wait
--     SK008  acquire: the client may not ask from this address;
--            client_configuration: its time has not come yet, or has ended

BEGIN;

DO $$
BEGIN
    -- As the owner of the schema, whoever that is.
    PERFORM pg_catalog.set_config('role', pg_catalog.pg_get_userbyid(nspowner), true)
       FROM pg_catalog.pg_namespace WHERE nspname = 'speke';
END
$$;


-- States of a key ---------------------------------------------------------------------------------

ALTER TABLE speke.content_key
    ADD COLUMN revoked_at timestamptz,
    ADD COLUMN destroyed_at timestamptz,
    ADD COLUMN reason text,
    ALTER COLUMN sealed DROP NOT NULL,
    ADD CONSTRAINT content_key_sealed_until_destroyed
        CHECK ((sealed IS NULL) = (destroyed_at IS NOT NULL)),
    ADD CONSTRAINT content_key_reason
        CHECK (reason IS NULL
               OR (revoked_at IS NOT NULL OR destroyed_at IS NOT NULL)
                  AND char_length(reason) BETWEEN 1 AND 1024);
COMMENT ON TABLE speke.content_key IS
    'Content keys. One identity (tenant, content id, KID) has one key for ever; the service inserts and reads and never updates. A destroyed key keeps its row, so that no other is made in its place.';
COMMENT ON COLUMN speke.content_key.revoked_at IS
    'When it was revoked, from which time on it is given to nobody; NULL: it is not';
COMMENT ON COLUMN speke.content_key.destroyed_at IS
    'When its value was removed for ever; NULL: it is there';
COMMENT ON COLUMN speke.content_key.reason IS 'Why it was revoked or destroyed; NULL: nobody said';
COMMENT ON COLUMN speke.content_key.sealed IS
    'AES-256-GCM: nonce 12 bytes, encrypted key 16, tag 16; tenant, KEK version, KID, scheme and content id are bound to it, so that a row moved or edited does not open. NULL: destroyed';

CREATE FUNCTION speke.refuse_withdrawn(p_tenant_id integer, p_digest bytea, p_kids uuid[])
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_kid       uuid;
    v_destroyed boolean;
BEGIN
    SELECT k.kid, k.destroyed_at IS NOT NULL INTO v_kid, v_destroyed
      FROM unnest(p_kids) WITH ORDINALITY AS asked (kid, place)
     CROSS JOIN LATERAL (SELECT *
                           FROM speke.content_key c
                          WHERE c.tenant_id = p_tenant_id
                            AND c.content_digest = p_digest
                            AND c.kid = asked.kid
                          LIMIT 1) AS k
     WHERE k.revoked_at IS NOT NULL OR k.destroyed_at IS NOT NULL
     ORDER BY asked.place
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'Content key % is %', v_kid,
                        CASE WHEN v_destroyed THEN 'destroyed' ELSE 'revoked' END
            USING ERRCODE = 'SK005';
    END IF;
END
$$;
COMMENT ON FUNCTION speke.refuse_withdrawn IS
    'Raises SK005 for the first of these keys that is revoked or destroyed; for acquire()';


-- Clients -----------------------------------------------------------------------------------------

ALTER TABLE speke.client
    ADD COLUMN addresses cidr[],
    ADD COLUMN fetch_only boolean NOT NULL DEFAULT false,
    ADD COLUMN valid_from timestamptz,
    ADD COLUMN valid_until timestamptz,
    ADD CONSTRAINT client_addresses
        CHECK (cardinality(addresses) BETWEEN 1 AND 64 AND array_position(addresses, NULL) IS NULL),
    ADD CONSTRAINT client_validity CHECK (valid_from < valid_until);
COMMENT ON COLUMN speke.client.addresses IS
    'The networks that it may ask from, as the web server tells the address; NULL: from anywhere';
COMMENT ON COLUMN speke.client.fetch_only IS 'true: it gets keys that exist and makes none';
COMMENT ON COLUMN speke.client.valid_from IS 'It is refused before; NULL: it never was';
COMMENT ON COLUMN speke.client.valid_until IS 'It is refused from then on; NULL: it never is';

ALTER TABLE speke.tenant ADD COLUMN metered boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN speke.tenant.metered IS
    'true: every release is counted, as tenant_limit has keys_per_minute; kept by its trigger';

CREATE OR REPLACE VIEW speke.client_in_force AS
    SELECT c.name, c.client_id, t.tenant_id, t.name AS tenant, g.generation, c.addresses,
           c.fetch_only, t.metered
      FROM speke.client c
      JOIN speke.tenant t ON t.tenant_id = c.tenant_id
     CROSS JOIN speke.config_generation g
     WHERE c.enabled AND t.enabled AND g.only_row
       AND (c.valid_from IS NULL OR c.valid_from <= now())
       AND (c.valid_until IS NULL OR c.valid_until > now());

CREATE FUNCTION speke.address_within(p_address text, p_networks cidr[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_address inet := speke.inet_or_null(p_address);
BEGIN
    -- What a socket for both families says of an IPv4 address (RFC 4291 2.5.5.2).
    IF v_address <<= '::ffff:0:0/96' THEN
        v_address := substr(host(v_address), length('::ffff:') + 1)::inet;
    END IF;
    RETURN coalesce(v_address <<= ANY (p_networks), false);
END
$$;
COMMENT ON FUNCTION speke.address_within IS
    'Whether an address is in one of the networks; what is no address is in none';

CREATE OR REPLACE FUNCTION speke.client_configuration(p_user text)
RETURNS TABLE (client_id integer, tenant_id integer, tenant text, kek_version integer,
               kek_check bytea, generation bigint, setting_system text, setting_name text,
               setting_value text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_from  timestamptz;
    v_until timestamptz;
BEGIN
    RETURN QUERY
        SELECT c.client_id, c.tenant_id, c.tenant, k.kek_version, k.check_value, c.generation,
               coalesce(s.system::text, ''), s.name, s.value
          FROM speke.client_in_force c
          LEFT JOIN speke.kek_version k ON k.state = 'active'
          LEFT JOIN speke.tenant_setting s ON s.tenant_id = c.tenant_id
         WHERE c.name = p_user
         ORDER BY s.system NULLS FIRST, s.name COLLATE "C";
    IF FOUND THEN
        RETURN;
    END IF;
    SELECT c.valid_from, c.valid_until INTO v_from, v_until
      FROM speke.client c
      JOIN speke.tenant t ON t.tenant_id = c.tenant_id
     WHERE c.name = p_user AND c.enabled AND t.enabled;
    IF v_from > now() THEN
        RAISE EXCEPTION 'Client not allowed before %', speke.utc_text(v_from)
            USING ERRCODE = 'SK008';
    ELSIF v_until <= now() THEN
        RAISE EXCEPTION 'Client not allowed since %', speke.utc_text(v_until)
            USING ERRCODE = 'SK008';
    END IF;
END
$$;
COMMENT ON FUNCTION speke.client_configuration IS
    'The client with this REMOTE_USER, the active KEK (NULL if none) and the settings of its tenant: one row for each setting, one with NULL when there is none. No row: the client is unknown, or it or its tenant is disabled. SK008: its time has not come yet or has ended';

CREATE FUNCTION speke.utc_text(p_time timestamptz) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, speke, pg_temp
AS $$
    SELECT to_char(p_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
$$;
COMMENT ON FUNCTION speke.utc_text IS 'A time as ISO 8601 has it';

CREATE OR REPLACE FUNCTION speke.refuse(
    p_remote_user text, p_remote_addr text, p_speke_version text, p_content_id text,
    p_kids uuid[], p_status integer, p_detail text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_client_id integer;
    v_tenant_id integer;
BEGIN
    SELECT c.client_id, c.tenant_id INTO v_client_id, v_tenant_id
      FROM speke.client c WHERE c.name = p_remote_user;
    INSERT INTO speke.audit_event
           (event, status, tenant_id, client_id, remote_user, remote_addr, speke_version,
            content_id, kids, detail)
    VALUES ('refusal', p_status, v_tenant_id, v_client_id, left(p_remote_user, 255),
            speke.inet_or_null(p_remote_addr), left(p_speke_version, 32),
            left(p_content_id, 1024), p_kids, left(p_detail, 1024));
    RETURN EXISTS (SELECT FROM speke.client_in_force c
                    WHERE c.client_id = v_client_id
                      AND (c.addresses IS NULL
                           OR speke.address_within(p_remote_addr, c.addresses)));
END
$$;
COMMENT ON FUNCTION speke.refuse IS
    'Writes the audit row of a refused request. False: the client is unknown, disabled, or not allowed now or from this address';

CREATE FUNCTION speke.client_set(p_name text, p_changes jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
SET timezone = 'UTC' -- for times without a zone
AS $$
DECLARE
    v_asked     speke.client;
    v_tenant_id integer;
    v_client_id integer;
BEGIN
    IF jsonb_typeof(p_changes) IS DISTINCT FROM 'object' OR p_changes = '{}'
       OR p_changes - ARRAY['addresses', 'fetch_only', 'valid_from', 'valid_until'] <> '{}' THEN
        RAISE EXCEPTION 'client_set: no changes, or others than of addresses, fetch_only, valid_from and valid_until'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    v_asked := jsonb_populate_record(NULL::speke.client, p_changes);
    UPDATE speke.client c
       SET addresses = CASE WHEN p_changes ? 'addresses' THEN v_asked.addresses
                            ELSE c.addresses END,
           fetch_only = CASE WHEN p_changes ? 'fetch_only' THEN v_asked.fetch_only
                             ELSE c.fetch_only END,
           valid_from = CASE WHEN p_changes ? 'valid_from' THEN v_asked.valid_from
                             ELSE c.valid_from END,
           valid_until = CASE WHEN p_changes ? 'valid_until' THEN v_asked.valid_until
                              ELSE c.valid_until END
     WHERE c.name = p_name
    RETURNING c.tenant_id, c.client_id INTO v_tenant_id, v_client_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no client "%"', p_name USING ERRCODE = 'SK002';
    END IF;
    PERFORM speke.audit_admin(v_tenant_id, v_client_id,
                              format('client_set %L %s', p_name, p_changes));
END
$$;
COMMENT ON FUNCTION speke.client_set IS
    'Changes what a client may do: members "addresses" (an array of networks), "fetch_only", "valid_from" and "valid_until" of a JSON object, null to lift a restriction; what is not named stays. The service obeys from its next request on. SK002: no such client';


-- What a tenant may use up ------------------------------------------------------------------------

CREATE TABLE speke.tenant_limit (
    tenant_id           integer     NOT NULL,
    read_only           boolean     NOT NULL,
    keys_per_minute     bigint,
    new_keys_per_minute bigint,
    keys_total          bigint,
    keys                bigint,
    minute              timestamptz NOT NULL DEFAULT '-infinity',
    released            bigint      NOT NULL DEFAULT 0,
    created             bigint      NOT NULL DEFAULT 0,
    CONSTRAINT tenant_limit_pk PRIMARY KEY (tenant_id),
    CONSTRAINT tenant_limit_tenant_fk FOREIGN KEY (tenant_id) REFERENCES speke.tenant (tenant_id),
    CONSTRAINT tenant_limit_positive
        CHECK (keys_per_minute > 0 AND new_keys_per_minute > 0 AND keys_total > 0),
    CONSTRAINT tenant_limit_keys_counted CHECK (keys_total IS NULL OR keys IS NOT NULL)
) WITH (fillfactor = 50); -- room for a new version of a row beside the old one
COMMENT ON TABLE speke.tenant_limit IS
    'One row for each tenant that has a setting of these names, and what it has used up. A request that counts holds the lock of its row until it commits, so that what is counted is exact; requests of a tenant without a row wait for nobody.';
COMMENT ON COLUMN speke.tenant_limit.tenant_id IS 'Whose limits they are';
COMMENT ON COLUMN speke.tenant_limit.read_only IS 'true: existing keys are given out, none is made';
COMMENT ON COLUMN speke.tenant_limit.keys_per_minute IS
    'Most keys given out in a minute; NULL, here and below: any number';
COMMENT ON COLUMN speke.tenant_limit.new_keys_per_minute IS 'Most keys made in a minute';
COMMENT ON COLUMN speke.tenant_limit.keys_total IS 'Most keys that there may be';
COMMENT ON COLUMN speke.tenant_limit.keys IS
    'Keys that there are, revoked and destroyed ones among them; kept while keys_total is set';
COMMENT ON COLUMN speke.tenant_limit.minute IS
    'The minute of the clock that the following two are for; 0 in any other';
COMMENT ON COLUMN speke.tenant_limit.released IS 'Keys given out in it, while keys_per_minute is set';
COMMENT ON COLUMN speke.tenant_limit.created IS 'Keys made in it';

CREATE FUNCTION speke.limits_of(p_tenant_id integer) RETURNS speke.tenant_limit
LANGUAGE sql STABLE SET search_path = pg_catalog, speke, pg_temp
AS $$
    SELECT ROW(p_tenant_id,
               coalesce(bool_or(s.value = 'on') FILTER (WHERE s.name = 'read_only'), false),
               nullif(max(s.value::bigint) FILTER (WHERE s.name = 'keys_per_minute'), 0),
               nullif(max(s.value::bigint) FILTER (WHERE s.name = 'new_keys_per_minute'), 0),
               nullif(max(s.value::bigint) FILTER (WHERE s.name = 'keys_total'), 0),
               NULL, '-infinity', 0, 0)::speke.tenant_limit
      FROM speke.tenant_setting s
     WHERE s.tenant_id = p_tenant_id AND s.system IS NULL
       AND s.name IN ('read_only', 'keys_per_minute', 'new_keys_per_minute', 'keys_total')
$$;
COMMENT ON FUNCTION speke.limits_of IS
    'The limits that a tenant''s settings ask for, as a row of tenant_limit; for limits_follow()';

CREATE FUNCTION speke.count_keys(p_tenant_id integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, speke, pg_temp
-- Shorter than deadlock_timeout: whoever makes keys meanwhile is not the one that is given up.
SET lock_timeout = '500ms'
AS $$
BEGIN
    -- Nobody makes keys while they are counted, and who did so has committed.
    LOCK TABLE speke.content_key IN SHARE MODE;
    RETURN (SELECT count(*) FROM speke.content_key k WHERE k.tenant_id = p_tenant_id);
EXCEPTION
    WHEN lock_not_available THEN
        RAISE EXCEPTION 'keys are being written in a long transaction, so that they cannot be counted now: try again'
            USING ERRCODE = 'lock_not_available';
END
$$;
COMMENT ON FUNCTION speke.count_keys IS
    'Counts a tenant''s keys exactly, to go on from there; until the end of the transaction no keys are made';

CREATE FUNCTION speke.limits_follow() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_tenant_id integer := coalesce(NEW.tenant_id, OLD.tenant_id);
    v_limit     speke.tenant_limit;
BEGIN
    PERFORM FROM speke.tenant t WHERE t.tenant_id = v_tenant_id FOR NO KEY UPDATE;
    v_limit := speke.limits_of(v_tenant_id);
    IF NOT v_limit.read_only
       AND num_nonnulls(v_limit.keys_per_minute, v_limit.new_keys_per_minute,
                        v_limit.keys_total) = 0 THEN
        DELETE FROM speke.tenant_limit l WHERE l.tenant_id = v_tenant_id;
    ELSE
        -- The row before the table of keys, in the order in which acquire() locks them.
        INSERT INTO speke.tenant_limit AS l (tenant_id, read_only)
        VALUES (v_tenant_id, v_limit.read_only)
        ON CONFLICT ON CONSTRAINT tenant_limit_pk DO UPDATE SET read_only = excluded.read_only
        RETURNING l.keys INTO v_limit.keys;
        IF v_limit.keys_total IS NULL THEN
            v_limit.keys := NULL;
        ELSIF v_limit.keys IS NULL THEN
            v_limit.keys := speke.count_keys(v_tenant_id);
        END IF;
        UPDATE speke.tenant_limit l
           SET keys_per_minute = v_limit.keys_per_minute,
               new_keys_per_minute = v_limit.new_keys_per_minute,
               keys_total = v_limit.keys_total,
               keys = v_limit.keys
         WHERE l.tenant_id = v_tenant_id;
    END IF;
    UPDATE speke.tenant t
       SET metered = v_limit.keys_per_minute IS NOT NULL
     WHERE t.tenant_id = v_tenant_id
       AND t.metered <> (v_limit.keys_per_minute IS NOT NULL);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION speke.limits_follow IS 'Keeps tenant_limit as the settings of the tenant are';
CREATE TRIGGER tenant_setting_limits
    AFTER INSERT OR UPDATE OR DELETE ON speke.tenant_setting
    FOR EACH ROW EXECUTE FUNCTION speke.limits_follow();

CREATE FUNCTION speke.keys_counted() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, speke, pg_temp
AS $$
BEGIN
    UPDATE speke.tenant_limit l
       SET keys = l.keys + CASE TG_OP WHEN 'INSERT' THEN c.count ELSE -c.count END
      FROM (SELECT k.tenant_id, count(*) AS count FROM changed k GROUP BY k.tenant_id) AS c
     WHERE l.tenant_id = c.tenant_id AND l.keys IS NOT NULL;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION speke.keys_counted IS 'Keeps tenant_limit.keys, whoever adds keys';
CREATE TRIGGER content_key_added
    AFTER INSERT ON speke.content_key REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION speke.keys_counted();
CREATE TRIGGER content_key_removed
    AFTER DELETE ON speke.content_key REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION speke.keys_counted();

CREATE FUNCTION speke.refuse_quota(
    p_limit bigint, p_what text, p_asked bigint, p_seconds integer)
RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_hour CONSTANT integer := 3600; -- waiting alone does not help
BEGIN
    RAISE EXCEPTION 'Quota of % % exceeded: the request needs %', p_limit, p_what, p_asked
        USING ERRCODE = 'SK007',
              DETAIL = CASE WHEN p_asked > p_limit THEN v_hour ELSE coalesce(p_seconds, v_hour) END;
END
$$;
COMMENT ON FUNCTION speke.refuse_quota IS
    'Raises SK007; p_seconds: how long until it is worth while to ask again, NULL: it is not';

CREATE FUNCTION speke.missing_keys(p_tenant_id integer, p_digest bytea, p_kids uuid[])
RETURNS uuid[]
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_missing   uuid[];
    v_withdrawn boolean;
BEGIN
    SELECT coalesce(array_agg(asked.kid ORDER BY asked.place)
                    FILTER (WHERE k.tenant_id IS NULL), '{}'),
           bool_or(k.revoked_at IS NOT NULL OR k.destroyed_at IS NOT NULL)
      INTO v_missing, v_withdrawn
      FROM unnest(p_kids) WITH ORDINALITY AS asked (kid, place)
      LEFT JOIN LATERAL (SELECT *
                           FROM speke.content_key c
                          WHERE c.tenant_id = p_tenant_id
                            AND c.content_digest = p_digest
                            AND c.kid = asked.kid
                          LIMIT 1) AS k ON true;
    IF v_withdrawn THEN
        PERFORM speke.refuse_withdrawn(p_tenant_id, p_digest, p_kids);
    END IF;
    RETURN v_missing;
END
$$;
COMMENT ON FUNCTION speke.missing_keys IS
    'Those of the KIDs that the content has no key for; SK005 when a key is revoked or destroyed';

CREATE FUNCTION speke.admit(
    p_tenant_id integer, p_digest bytea, p_kids uuid[], p_makes boolean, p_fetch_only boolean)
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_missing uuid[] := speke.missing_keys(p_tenant_id, p_digest, p_kids);
    v_at      timestamptz := now();
    v_minute  timestamptz;
    v_left    integer; -- seconds of the minute
    v_created bigint;
    v_given   bigint;
    v_limit   speke.tenant_limit;
BEGIN
    SELECT l.* INTO v_limit FROM speke.tenant_limit l WHERE l.tenant_id = p_tenant_id FOR UPDATE;
    IF FOUND THEN
        -- The others of the tenant wait from here on. What they did before is to be seen now, and
        -- the audit row gets the time at which it is this request's turn.
        v_missing := speke.missing_keys(p_tenant_id, p_digest, p_kids);
        v_at := clock_timestamp();
    END IF;
    IF p_makes AND v_missing <> '{}' AND (p_fetch_only OR v_limit.read_only) THEN
        RAISE EXCEPTION 'Content key % does not exist, and the % may not make keys', v_missing[1],
                        CASE WHEN p_fetch_only THEN 'client' ELSE 'tenant' END
            USING ERRCODE = 'SK006';
    END IF;
    IF v_limit.tenant_id IS NULL THEN
        RETURN v_at;
    END IF;

    v_created := CASE WHEN p_makes THEN cardinality(v_missing) ELSE 0 END;
    v_given := cardinality(p_kids) - cardinality(v_missing) + v_created;
    -- Should the clock have been set back, the minute goes on.
    v_minute := greatest(date_trunc('minute', v_at), v_limit.minute);
    v_left := ceil(extract(epoch FROM v_minute + interval '1 minute' - v_at));
    IF v_minute > v_limit.minute THEN
        v_limit.released := 0;
        v_limit.created := 0;
    END IF;
    IF v_limit.released + v_given > v_limit.keys_per_minute THEN
        PERFORM speke.refuse_quota(v_limit.keys_per_minute, 'keys a minute', v_given, v_left);
    END IF;
    IF v_created > 0 AND v_limit.created + v_created > v_limit.new_keys_per_minute THEN
        PERFORM speke.refuse_quota(v_limit.new_keys_per_minute, 'new keys a minute', v_created,
                                   v_left);
    END IF;
    IF v_created > 0 AND v_limit.keys + v_created > v_limit.keys_total THEN
        PERFORM speke.refuse_quota(v_limit.keys_total, 'keys in all', v_created, NULL);
    END IF;
    UPDATE speke.tenant_limit l
       SET minute = v_minute,
           released = v_limit.released
                      + CASE WHEN v_limit.keys_per_minute IS NULL THEN 0 ELSE v_given END,
           created = v_limit.created + v_created
     WHERE l.tenant_id = p_tenant_id;
    RETURN v_at;
END
$$;
COMMENT ON FUNCTION speke.admit IS
    'Whether a tenant may be given these keys and, with p_makes, have the missing ones made; counts them, and returns the time to put on record; for acquire(). SK005, SK006, SK007';


-- Acquiring keys ----------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION speke.acquire(
    p_generation bigint, p_client_id integer, p_tenant_id integer,
    p_remote_user text, p_remote_addr text, p_speke_version text, p_content_id text,
    p_kids uuid[], p_schemes text[], p_sealed bytea[], p_ivs bytea[], p_kek_version integer,
    p_systems uuid[],
    p_period_ids text[], p_period_indexes text[], p_period_starts text[], p_period_ends text[],
    p_period_start_offsets text[], p_period_end_offsets text[],
    p_period_kid_counts integer[], p_period_kids uuid[],
    p_recipient_fingerprints bytea[], p_recipient_subjects text[])
RETURNS TABLE (sealed bytea, kek_version integer, explicit_iv bytea, scheme text, created boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
-- A connection plans these statements once. One plan for every number of KIDs: left to itself,
-- PostgreSQL would plan short lists anew each time, which costs more than running them. And a plan
-- that is made while the tables are still small must be right when they have grown.
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    v_digest  CONSTANT bytea := sha256(convert_to(p_content_id, 'UTF8'));
    v_created uuid[] := '{}';
    v_client  record;
    v_at      timestamptz;
    v_fingerprints bytea[]; -- NULL when the keys go out in the clear
    v_subjects     text[];
BEGIN
    IF cardinality(p_kids) = 0 THEN
        RAISE EXCEPTION 'acquire: no KIDs' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF cardinality(p_recipient_fingerprints) <> cardinality(p_recipient_subjects) THEN
        RAISE EXCEPTION 'acquire: lists of different lengths'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF cardinality(p_recipient_fingerprints) > 0 THEN
        v_fingerprints := p_recipient_fingerprints;
        v_subjects := ARRAY(SELECT left(u.subject, 512)
                              FROM unnest(p_recipient_subjects) WITH ORDINALITY
                                   AS u (subject, place)
                             ORDER BY u.place);
    END IF;

    -- The usual case, all keys there, in one statement: no audit row, no key. The LATERAL with its
    -- LIMIT makes it one look into the index for each KID, however many keys the content has: a
    -- live channel that changes keys gathers tens of thousands under one content id.
    RETURN QUERY
        WITH found AS (
            SELECT asked.place, k.sealed, k.kek_version, k.explicit_iv, k.scheme
              FROM unnest(p_kids) WITH ORDINALITY AS asked (kid, place)
             CROSS JOIN LATERAL (SELECT *
                                   FROM speke.content_key
                                  WHERE tenant_id = p_tenant_id
                                    AND content_digest = v_digest
                                    AND kid = asked.kid
                                  LIMIT 1) AS k
             WHERE k.revoked_at IS NULL AND k.destroyed_at IS NULL
        ), audited AS (
            INSERT INTO speke.audit_event AS a
                   (event, status, tenant_id, client_id, remote_user, remote_addr, speke_version,
                    content_id, kids, systems, recipient_fingerprints, recipient_subjects)
            SELECT 'release', 200, c.tenant_id, c.client_id, p_remote_user,
                   speke.inet_or_null(p_remote_addr), p_speke_version, p_content_id, p_kids,
                   p_systems, v_fingerprints, v_subjects
              FROM speke.client_in_force c
             WHERE c.client_id = p_client_id
               AND c.tenant_id = p_tenant_id
               AND c.generation = p_generation
               AND NOT c.metered
               AND (c.addresses IS NULL OR speke.address_within(p_remote_addr, c.addresses))
               AND (SELECT count(*) FROM found) = cardinality(p_kids)
            RETURNING a.event_id
        )
        SELECT f.sealed, f.kek_version, f.explicit_iv, f.scheme, false
          FROM found f, audited
         ORDER BY f.place;
    IF NOT FOUND THEN
        -- Something is missing or withdrawn, or what is given out is counted. The candidates were
        -- sealed under the KEK that was active then.
        SELECT c.addresses, c.fetch_only INTO v_client FROM speke.client_in_force c
          WHERE c.client_id = p_client_id
            AND c.tenant_id = p_tenant_id
            AND c.generation = p_generation;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the configuration changed: identify the client again'
                USING ERRCODE = 'SK001';
        END IF;
        IF v_client.addresses IS NOT NULL
           AND NOT speke.address_within(p_remote_addr, v_client.addresses) THEN
            RAISE EXCEPTION 'Client not allowed from this address' USING ERRCODE = 'SK008';
        END IF;

        v_at := speke.admit(p_tenant_id, v_digest, p_kids, cardinality(p_sealed) > 0,
                            v_client.fetch_only);
        IF cardinality(p_sealed) > 0 THEN
            v_created := speke.insert_missing(p_client_id, p_tenant_id, p_content_id, v_digest,
                                              p_kids, p_schemes, p_sealed, p_ivs,
                                              p_kek_version);
        END IF;

        -- A new statement, so it sees what others committed while this one waited for them.
        RETURN QUERY
            WITH found AS (
                SELECT asked.place, asked.kid, k.sealed, k.kek_version, k.explicit_iv, k.scheme,
                       k.revoked_at IS NOT NULL OR k.destroyed_at IS NOT NULL AS withdrawn
                  FROM unnest(p_kids) WITH ORDINALITY AS asked (kid, place)
                  LEFT JOIN LATERAL (SELECT *
                                       FROM speke.content_key
                                      WHERE tenant_id = p_tenant_id
                                        AND content_digest = v_digest
                                        AND kid = asked.kid
                                      LIMIT 1) AS k ON true
            ), given AS (
                SELECT coalesce(array_agg(f.kid ORDER BY f.place)
                                FILTER (WHERE f.sealed IS NOT NULL), '{}') AS kids,
                       bool_or(f.withdrawn) AS withdrawn
                  FROM found f
            ), audited AS (
                INSERT INTO speke.audit_event AS a
                       (at, event, status, tenant_id, client_id, remote_user, remote_addr,
                        speke_version, content_id, kids, created_kids, systems,
                        recipient_fingerprints, recipient_subjects)
                SELECT v_at, 'release', 200, p_tenant_id, p_client_id, p_remote_user,
                       speke.inet_or_null(p_remote_addr), p_speke_version, p_content_id, g.kids,
                       v_created, p_systems, v_fingerprints, v_subjects
                  FROM given g
                 WHERE g.kids <> '{}' AND NOT g.withdrawn
                RETURNING a.event_id
            )
            SELECT f.sealed, f.kek_version, f.explicit_iv, f.scheme, f.kid = ANY (v_created)
              FROM found f, audited
             ORDER BY f.place;
        IF NOT FOUND THEN
            PERFORM speke.refuse_withdrawn(p_tenant_id, v_digest, p_kids); -- meanwhile
            RETURN;
        END IF;
    END IF;

    -- Given out, by one statement or the other.
    IF FOUND AND cardinality(p_period_ids) > 0 THEN
        PERFORM speke.note_periods(p_client_id, p_tenant_id, p_content_id, v_digest,
                                   p_period_ids, p_period_indexes, p_period_starts,
                                   p_period_ends, p_period_start_offsets,
                                   p_period_end_offsets, p_period_kid_counts, p_period_kids);
    END IF;
END
$$;
COMMENT ON FUNCTION speke.acquire(
    bigint, integer, integer, text, text, text, text, uuid[], text[],
    bytea[], bytea[], integer, uuid[], text[], text[], text[], text[], text[], text[], integer[],
    uuid[], bytea[], text[]) IS
    'Gives out the keys of one content, one row for each KID in the order asked, writes the audit row, and keeps the periods that are new. Makes missing keys from the candidates; without candidates (an empty p_sealed) the row of a missing key is NULL, and when none exists there are no rows. The first p_period_kid_counts[1] of p_period_kids belong to the first period and so on. SK001: the configuration changed. SK005: a key is revoked or destroyed. SK006: a key may not be made. SK007: a quota is used up. SK008: not from this address. Nothing is given out or made then';


-- Views -------------------------------------------------------------------------------------------

CREATE OR REPLACE VIEW speke.v_client AS
    SELECT c.client_id, c.name, t.name AS tenant,
           c.enabled AND t.enabled
           AND coalesce(c.valid_from <= now(), true) AND coalesce(c.valid_until > now(), true)
               AS in_force,
           c.enabled, c.created_at, c.disabled_at, c.addresses, c.fetch_only, c.valid_from,
           c.valid_until
      FROM speke.client c
      JOIN speke.tenant t ON t.tenant_id = c.tenant_id;
COMMENT ON VIEW speke.v_client IS
    'Clients; in_force: neither the client nor its tenant is disabled, and its time is now';

CREATE VIEW speke.v_limit AS
    SELECT t.name AS tenant, l.read_only, l.keys_per_minute, l.new_keys_per_minute, l.keys_total,
           l.keys, now.minute,
           CASE WHEN l.minute = now.minute THEN l.released ELSE 0 END AS released,
           CASE WHEN l.minute = now.minute THEN l.created ELSE 0 END AS created
      FROM speke.tenant_limit l
      JOIN speke.tenant t ON t.tenant_id = l.tenant_id
     CROSS JOIN (SELECT date_trunc('minute', statement_timestamp()) AS minute) AS now;
COMMENT ON VIEW speke.v_limit IS
    'Tenants with quotas or read-only, and what they used up: keys in all, keys given out (while keys_per_minute is set) and made in this minute';


-- Rights ------------------------------------------------------------------------------------------

REVOKE ALL ON ALL TABLES IN SCHEMA speke FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA speke FROM PUBLIC;

DO $$
BEGIN
    IF current_user = 'speke_owner' THEN
        GRANT EXECUTE ON FUNCTION speke.client_set TO speke_operator;
        GRANT SELECT ON speke.v_limit TO speke_auditor, speke_operator;
    END IF;
END
$$;

INSERT INTO speke.schema_version (version, name) VALUES (5, 'limits');

COMMIT;
