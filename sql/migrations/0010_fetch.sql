-- SPDX-License-Identifier: Apache-2.0
--
-- Schema "speke" of speke-fcgi, migration 10: packagers that fetch a content's keys, and licence
-- services.
--
--     content_rule            the usage rules that packagers named with their keys
--     audit_event             "via" gets its default, the parameter speke.via
--
--     for speke_service:      note_rules, content_keys, content_periods
--     for speke_licence:      v_licence, the schedule of keys for licence services
--
-- Errors with a meaning:
--
--     SK001  content_keys, content_periods: the configuration changed; identify and ask once more

BEGIN;

DO $$
BEGIN
    -- As the owner of the schema, whoever that is.
    PERFORM pg_catalog.set_config('role', pg_catalog.pg_get_userbyid(nspowner), true)
       FROM pg_catalog.pg_namespace WHERE nspname = 'speke';
END
$$;


-- Usage rules -------------------------------------------------------------------------------------

CREATE TABLE speke.content_rule (
    tenant_id      integer NOT NULL,
    place          integer NOT NULL,
    kid            uuid    NOT NULL,
    content_digest bytea   NOT NULL,
    track_type     text,
    filters        text    NOT NULL,
    CONSTRAINT content_rule_identity PRIMARY KEY (tenant_id, content_digest, kid, place),
    CONSTRAINT content_rule_key_fk FOREIGN KEY (tenant_id, content_digest, kid)
        REFERENCES speke.content_key (tenant_id, content_digest, kid),
    CONSTRAINT content_rule_filters_length CHECK (octet_length(filters) <= 65536)
);
COMMENT ON TABLE speke.content_rule IS
    'Usage rules, as the request that made a key named them; what a packager that fetches the key is told. Later requests may name others, which are echoed and not kept.';
COMMENT ON COLUMN speke.content_rule.tenant_id IS 'Whose key it is';
COMMENT ON COLUMN speke.content_rule.place IS 'Place among the rules of the request, from 1 on';
COMMENT ON COLUMN speke.content_rule.kid IS 'The key that the rule is for';
COMMENT ON COLUMN speke.content_rule.content_digest IS 'SHA-256 of the content id as UTF-8';
COMMENT ON COLUMN speke.content_rule.track_type IS
    'ContentKeyUsageRule@intendedTrackType; NULL when it was not there';
COMMENT ON COLUMN speke.content_rule.filters IS
    'The filters in it as CPIX elements with the prefix cpix, but KeyPeriodFilter: periods are in content_period';

CREATE FUNCTION speke.note_rules(
    p_tenant_id integer, p_content_id text, p_kid uuid, p_kids uuid[], p_tracks text[],
    p_filters text[])
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
BEGIN
    IF cardinality(p_tracks) <> cardinality(p_kids) OR cardinality(p_filters) <> cardinality(p_kids)
    THEN
        RAISE EXCEPTION 'note_rules: lists of different lengths'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO speke.content_rule (tenant_id, place, kid, content_digest, track_type, filters)
    SELECT p_tenant_id, r.place, r.kid, sha256(convert_to(p_content_id, 'UTF8')), r.track_type,
           r.filters
      FROM unnest(p_kids, p_tracks, p_filters) WITH ORDINALITY
           AS r (kid, track_type, filters, place)
     WHERE r.kid = p_kid
     ORDER BY r.place
    ON CONFLICT ON CONSTRAINT content_rule_identity DO NOTHING;
    RETURN true;
END
$$;
COMMENT ON FUNCTION speke.note_rules IS
    'Keeps the usage rules of a key that was just made, those of the lists that are for its KID; called in the statement that calls acquire(). True';

-- The door by which a request came, when it is none of SPEKE's: the service sets it for its statement.
ALTER TABLE speke.audit_event
    ALTER COLUMN via SET DEFAULT nullif(current_setting('speke.via', true), '');


-- What a content has ------------------------------------------------------------------------------

CREATE FUNCTION speke.check_client(p_generation bigint, p_client_id integer, p_tenant_id integer)
RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, speke, pg_temp
AS $$
BEGIN
    PERFORM FROM speke.client_in_force c
      WHERE c.client_id = p_client_id
        AND c.tenant_id = p_tenant_id
        AND c.generation = p_generation;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the configuration changed: identify the client again'
            USING ERRCODE = 'SK001';
    END IF;
END
$$;
COMMENT ON FUNCTION speke.check_client IS
    'Raises SK001 unless the client is one of the tenant, in force, under this generation of the configuration';

CREATE FUNCTION speke.content_keys(
    p_generation bigint, p_client_id integer, p_tenant_id integer, p_content_id text,
    p_kids uuid[], p_most integer)
RETURNS TABLE (kid uuid, scheme text, track_type text, filters text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    v_digest CONSTANT bytea := sha256(convert_to(p_content_id, 'UTF8'));
BEGIN
    PERFORM speke.check_client(p_generation, p_client_id, p_tenant_id);
    RETURN QUERY
        SELECT k.kid, k.scheme, r.track_type, r.filters
          FROM (SELECT c.kid, c.scheme, c.created_at
                  FROM speke.content_key c
                 WHERE c.tenant_id = p_tenant_id
                   AND c.content_digest = v_digest
                   AND c.revoked_at IS NULL
                   AND c.destroyed_at IS NULL
                   AND (cardinality(p_kids) = 0 OR c.kid = ANY (p_kids))
                 LIMIT p_most) AS k
          LEFT JOIN LATERAL (SELECT *
                               FROM speke.content_rule
                              WHERE tenant_id = p_tenant_id
                                AND content_digest = v_digest
                                AND kid = k.kid) AS r ON true
         ORDER BY k.created_at, k.kid, r.place;
END
$$;
COMMENT ON FUNCTION speke.content_keys IS
    'Which keys a content has, at most p_most of them, or those of p_kids: a row for each of a key''s usage rules, or one with NULL; without the keys themselves, which acquire() gives out. Revoked and destroyed ones are left out';

CREATE FUNCTION speke.content_periods(
    p_generation bigint, p_client_id integer, p_tenant_id integer, p_content_id text,
    p_kids uuid[])
RETURNS TABLE (kid uuid, period_id text, period_index text, period_start text, period_end text,
               start_offset text, end_offset text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    v_digest CONSTANT bytea := sha256(convert_to(p_content_id, 'UTF8'));
BEGIN
    PERFORM speke.check_client(p_generation, p_client_id, p_tenant_id);
    RETURN QUERY
        SELECT of_period.kid, p.period_id, p.period_index, p.period_start, p.period_end,
               p.start_offset, p.end_offset
          FROM speke.content_period p
         CROSS JOIN LATERAL unnest(p.kids) AS of_period (kid)
         WHERE p.tenant_id = p_tenant_id
           AND p.content_digest = v_digest
           AND p.kids && p_kids
           AND of_period.kid = ANY (p_kids)
         ORDER BY p.first_seen_at, p.period_digest, of_period.kid;
END
$$;
COMMENT ON FUNCTION speke.content_periods IS
    'The periods that packagers named with these keys of a content: a row for each key of each';


CREATE VIEW speke.v_licence AS
    SELECT t.name AS tenant, k.content_id, k.kid, k.scheme, k.created_at,
           CASE WHEN k.destroyed_at IS NOT NULL THEN 'destroyed'
                WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                ELSE 'in use' END AS state,
           (SELECT array_agg(r.track_type ORDER BY r.place)
              FROM speke.content_rule r
             WHERE r.tenant_id = k.tenant_id AND r.content_digest = k.content_digest
               AND r.kid = k.kid) AS track_types,
           p.period_id, p.period_index, p.period_start, p.period_end, p.start_offset, p.end_offset
      FROM speke.content_key k
      JOIN speke.tenant t ON t.tenant_id = k.tenant_id
      LEFT JOIN speke.content_period p
        ON p.tenant_id = k.tenant_id AND p.content_digest = k.content_digest AND k.kid = ANY (p.kids);
COMMENT ON VIEW speke.v_licence IS
    'For licence services: what a KID belongs to, its tracks, and when it is in force; a row for each period of a key, one with NULL for a key without. The keys themselves are fetched over HTTP, under a client of the service''s own';


-- Rights ------------------------------------------------------------------------------------------

REVOKE ALL ON ALL TABLES IN SCHEMA speke FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA speke FROM PUBLIC;

DO $$
BEGIN
    IF current_user = 'speke_owner' THEN
        GRANT EXECUTE ON FUNCTION speke.content_keys, speke.content_periods, speke.note_rules
            TO speke_service;
        GRANT SELECT ON speke.v_licence TO speke_auditor, speke_operator;
        -- roles.sql of the versions before did not make it; "spekectl db init" has run it again.
        IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'speke_licence') THEN
            GRANT USAGE ON SCHEMA speke TO speke_licence;
            GRANT SELECT ON speke.v_licence TO speke_licence;
        END IF;
    END IF;
END
$$;

INSERT INTO speke.schema_version (version, name) VALUES (10, 'fetch');

COMMIT;
