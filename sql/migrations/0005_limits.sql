-- SPDX-License-Identifier: Apache-2.0
--
-- Schema "speke" of speke-fcgi, migration 5: what tenants and clients may do, and the states of a key.
--
--     content_key             gets the times at which a key was revoked and destroyed, and why
--
--     for speke_service:      acquire as it was, which now refuses what is withdrawn
--
-- Errors with a meaning, besides those of migrations 2 and 4. Their message is for the client:
--
--     SK005  acquire: a key is revoked or destroyed

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
               AND (SELECT count(*) FROM found) = cardinality(p_kids)
            RETURNING a.event_id
        )
        SELECT f.sealed, f.kek_version, f.explicit_iv, f.scheme, false
          FROM found f, audited
         ORDER BY f.place;
    IF NOT FOUND THEN
        -- Something is missing or withdrawn. The candidates were sealed under the KEK that was
        -- active then.
        PERFORM FROM speke.client_in_force c
          WHERE c.client_id = p_client_id
            AND c.tenant_id = p_tenant_id
            AND c.generation = p_generation;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the configuration changed: identify the client again'
                USING ERRCODE = 'SK001';
        END IF;

        PERFORM speke.refuse_withdrawn(p_tenant_id, v_digest, p_kids);
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
                       (event, status, tenant_id, client_id, remote_user, remote_addr,
                        speke_version, content_id, kids, created_kids, systems,
                        recipient_fingerprints, recipient_subjects)
                SELECT 'release', 200, p_tenant_id, p_client_id, p_remote_user,
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
    'Gives out the keys of one content, one row for each KID in the order asked, writes the audit row, and keeps the periods that are new. Makes missing keys from the candidates; without candidates (an empty p_sealed) the row of a missing key is NULL, and when none exists there are no rows. The first p_period_kid_counts[1] of p_period_kids belong to the first period and so on. SK001: the configuration changed. SK005: a key is revoked or destroyed, nothing is given out or made';


-- Rights ------------------------------------------------------------------------------------------

REVOKE ALL ON ALL TABLES IN SCHEMA speke FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA speke FROM PUBLIC;

INSERT INTO speke.schema_version (version, name) VALUES (5, 'limits');

COMMIT;
