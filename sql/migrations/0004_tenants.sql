-- SPDX-License-Identifier: Apache-2.0
--
-- Schema "speke" of speke-fcgi, migration 4: settings of tenants, content key periods, and the
-- recipients of encrypted keys.
--
--     tenant_setting          how a tenant wants to be served; the program has a default for each
--     content_period          the periods that packagers named with their keys
--     audit_event             gets the recipients
--
--     for speke_service:      client_configuration, and acquire with more parameters
--     for speke_operator:     setting_set, setting_unset
--     for auditors:           v_setting, v_period; recipients in v_audit and v_release
--
-- identify() and acquire() with its former parameters stay as they were for their callers. Errors
-- with a meaning, besides those of migration 2:
--
--     SK002  no tenant of that name; the tenant has no such setting
--     SK004  the tenant has as many settings as it may

BEGIN;

DO $$
BEGIN
    -- As the owner of the schema, whoever that is.
    PERFORM pg_catalog.set_config('role', pg_catalog.pg_get_userbyid(nspowner), true)
       FROM pg_catalog.pg_namespace WHERE nspname = 'speke';
END
$$;


-- Settings ----------------------------------------------------------------------------------------

CREATE TABLE speke.tenant_setting (
    setting_id integer     GENERATED ALWAYS AS IDENTITY,
    tenant_id  integer     NOT NULL,
    system     uuid,
    name       text        NOT NULL,
    value      text        NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tenant_setting_pk PRIMARY KEY (setting_id),
    CONSTRAINT tenant_setting_identity UNIQUE NULLS NOT DISTINCT (tenant_id, system, name),
    CONSTRAINT tenant_setting_tenant_fk FOREIGN KEY (tenant_id)
        REFERENCES speke.tenant (tenant_id),
    CONSTRAINT tenant_setting_name CHECK (name ~ '^[a-z0-9][a-z0-9_.-]{0,63}$'),
    CONSTRAINT tenant_setting_value_length CHECK (octet_length(value) <= 65536)
);
COMMENT ON TABLE speke.tenant_setting IS
    'What differs between tenants: licence URLs, signalling, policy. What is not here has the default of the program. spekectl checks the values; no setting is a secret.';
COMMENT ON COLUMN speke.tenant_setting.setting_id IS 'Number of the row; nothing refers to it';
COMMENT ON COLUMN speke.tenant_setting.tenant_id IS 'Whose setting it is';
COMMENT ON COLUMN speke.tenant_setting.system IS
    'System id of the DRM system that it is for; NULL: for the tenant as a whole';
COMMENT ON COLUMN speke.tenant_setting.name IS 'Name, as spekectl drm help lists them';
COMMENT ON COLUMN speke.tenant_setting.value IS 'Value';
COMMENT ON COLUMN speke.tenant_setting.changed_at IS 'When it was set';
CREATE TRIGGER tenant_setting_changes_config
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON speke.tenant_setting
    FOR EACH STATEMENT EXECUTE FUNCTION speke.config_generation_bump();

CREATE FUNCTION speke.client_configuration(p_user text)
RETURNS TABLE (client_id integer, tenant_id integer, tenant text, kek_version integer,
               kek_check bytea, generation bigint, setting_system text, setting_name text,
               setting_value text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
    SELECT c.client_id, c.tenant_id, c.tenant, k.kek_version, k.check_value, c.generation,
           coalesce(s.system::text, ''), s.name, s.value
      FROM speke.client_in_force c
      LEFT JOIN speke.kek_version k ON k.state = 'active'
      LEFT JOIN speke.tenant_setting s ON s.tenant_id = c.tenant_id
     WHERE c.name = p_user
     ORDER BY s.system NULLS FIRST, s.name COLLATE "C"
$$;
COMMENT ON FUNCTION speke.client_configuration IS
    'The client with this REMOTE_USER, the active KEK (NULL if none) and the settings of its tenant: one row for each setting, one with NULL when there is none. No row: the client is unknown, or it or its tenant is disabled';

CREATE FUNCTION speke.setting_set(p_tenant text, p_system uuid, p_name text, p_value text)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_most CONSTANT integer := 1000; -- every process keeps the settings of the tenants it serves
    v_tenant_id integer;
BEGIN
    -- One at a time for each tenant, so that the count holds.
    SELECT t.tenant_id INTO v_tenant_id FROM speke.tenant t WHERE t.name = p_tenant
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no tenant "%"', p_tenant USING ERRCODE = 'SK002';
    END IF;
    INSERT INTO speke.tenant_setting (tenant_id, system, name, value)
    VALUES (v_tenant_id, p_system, p_name, p_value)
    ON CONFLICT ON CONSTRAINT tenant_setting_identity DO UPDATE
       SET value = excluded.value, changed_at = now();
    IF (SELECT count(*) FROM speke.tenant_setting s WHERE s.tenant_id = v_tenant_id) > v_most THEN
        RAISE EXCEPTION 'tenant "%" has % settings, which is as many as there may be', p_tenant,
                        v_most
            USING ERRCODE = 'SK004';
    END IF;
    PERFORM speke.audit_admin(v_tenant_id, NULL, format('setting_set %L %s %L', p_name,
                              coalesce(p_system::text, 'tenant'), left(p_value, 1024)));
END
$$;
COMMENT ON FUNCTION speke.setting_set IS
    'Sets a setting of a tenant, for one DRM system or (NULL) for the whole tenant; the service obeys from its next request on. SK002: no such tenant. SK004: too many settings';

CREATE FUNCTION speke.setting_unset(p_tenant text, p_system uuid, p_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_tenant_id integer;
BEGIN
    SELECT t.tenant_id INTO v_tenant_id FROM speke.tenant t WHERE t.name = p_tenant;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no tenant "%"', p_tenant USING ERRCODE = 'SK002';
    END IF;
    DELETE FROM speke.tenant_setting s
      WHERE s.tenant_id = v_tenant_id AND s.system IS NOT DISTINCT FROM p_system
        AND s.name = p_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'tenant "%" has no setting "%" %', p_tenant, p_name,
                        coalesce('of system ' || p_system::text, 'of its own')
            USING ERRCODE = 'SK002';
    END IF;
    PERFORM speke.audit_admin(v_tenant_id, NULL, format('setting_unset %L %s', p_name,
                              coalesce(p_system::text, 'tenant')));
END
$$;
COMMENT ON FUNCTION speke.setting_unset IS
    'Takes a setting back, so that the default of the program holds. SK002: no such tenant or setting';


-- Periods -----------------------------------------------------------------------------------------

CREATE FUNCTION speke.period_digest(
    p_id text, p_index text, p_start text, p_end text, p_start_offset text, p_end_offset text,
    p_kids uuid[])
RETURNS bytea
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, speke, pg_temp
AS $$
BEGIN
    RETURN sha256(convert_to(
               ARRAY[p_id, p_index, p_start, p_end, p_start_offset, p_end_offset]::text
               || p_kids::text, 'UTF8'));
END
$$;
COMMENT ON FUNCTION speke.period_digest IS 'What makes a period of a content another one';

CREATE TABLE speke.content_period (
    tenant_id      integer     NOT NULL,
    first_seen_by  integer     NOT NULL,
    first_seen_at  timestamptz NOT NULL DEFAULT now(),
    content_digest bytea       NOT NULL,
    period_digest  bytea       NOT NULL,
    content_id     text        NOT NULL,
    period_id      text,
    period_index   text,
    period_start   text,
    period_end     text,
    start_offset   text,
    end_offset     text,
    kids           uuid[]      NOT NULL,
    CONSTRAINT content_period_identity PRIMARY KEY (tenant_id, content_digest, period_digest),
    CONSTRAINT content_period_client_fk FOREIGN KEY (tenant_id, first_seen_by)
        REFERENCES speke.client (tenant_id, client_id),
    CONSTRAINT content_period_content_digest_right
        CHECK (content_digest = sha256(convert_to(content_id, 'UTF8'))),
    CONSTRAINT content_period_digest_right
        CHECK (period_digest = speke.period_digest(period_id, period_index, period_start,
                                                   period_end, start_offset, end_offset, kids))
);
COMMENT ON TABLE speke.content_period IS
    'Content key periods, each as it was named first together with the same keys. Keys do not depend on them: a KID has its key whatever period it comes with. The service inserts and never updates.';
COMMENT ON COLUMN speke.content_period.tenant_id IS 'Whose content it is';
COMMENT ON COLUMN speke.content_period.first_seen_by IS 'The client that named the period first';
COMMENT ON COLUMN speke.content_period.first_seen_at IS 'When that was';
COMMENT ON COLUMN speke.content_period.content_digest IS 'SHA-256 of content_id as UTF-8';
COMMENT ON COLUMN speke.content_period.period_digest IS
    'SHA-256 of the texts and KIDs, see period_digest()';
COMMENT ON COLUMN speke.content_period.content_id IS 'Content id as the packager gave it';
COMMENT ON COLUMN speke.content_period.period_id IS
    'ContentKeyPeriod@id byte for byte; NULL, here and below, for an attribute that was not there';
COMMENT ON COLUMN speke.content_period.period_index IS 'ContentKeyPeriod@index';
COMMENT ON COLUMN speke.content_period.period_start IS 'ContentKeyPeriod@start, not parsed';
COMMENT ON COLUMN speke.content_period.period_end IS 'ContentKeyPeriod@end, not parsed';
COMMENT ON COLUMN speke.content_period.start_offset IS 'ContentKeyPeriod@startOffset';
COMMENT ON COLUMN speke.content_period.end_offset IS 'ContentKeyPeriod@endOffset';
COMMENT ON COLUMN speke.content_period.kids IS
    'The keys that usage rules tie to the period, in the order of their KIDs';

CREATE FUNCTION speke.kids_in_order(p_kids uuid[]) RETURNS uuid[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, speke, pg_temp
AS $$
BEGIN
    RETURN ARRAY(SELECT DISTINCT k.kid FROM unnest(p_kids) AS k (kid) ORDER BY k.kid);
END
$$;
COMMENT ON FUNCTION speke.kids_in_order IS
    'KIDs in their order and without repetition; for note_periods()';

CREATE FUNCTION speke.note_periods(
    p_client_id integer, p_tenant_id integer, p_content_id text, p_digest bytea,
    p_ids text[], p_indexes text[], p_starts text[], p_ends text[], p_start_offsets text[],
    p_end_offsets text[], p_kid_counts integer[], p_kids uuid[])
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_place integer := 1;
    v_kids  integer := 0; -- those of the periods before
BEGIN
    IF cardinality(p_ids) <> ANY (ARRAY[cardinality(p_indexes), cardinality(p_starts),
                                        cardinality(p_ends), cardinality(p_start_offsets),
                                        cardinality(p_end_offsets), cardinality(p_kid_counts)])
    THEN
        RAISE EXCEPTION 'acquire: lists of different lengths'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    -- The usual case, all periods there. To look costs a fraction of an INSERT that does nothing.
    LOOP
        IF v_place > cardinality(p_ids) THEN
            RETURN;
        END IF;
        PERFORM FROM speke.content_period c
          WHERE c.tenant_id = p_tenant_id
            AND c.content_digest = p_digest
            AND c.period_digest = speke.period_digest(
                    p_ids[v_place], p_indexes[v_place], p_starts[v_place], p_ends[v_place],
                    p_start_offsets[v_place], p_end_offsets[v_place],
                    speke.kids_in_order(p_kids[v_kids + 1 : v_kids + p_kid_counts[v_place]]));
        EXIT WHEN NOT FOUND;
        v_kids := v_kids + p_kid_counts[v_place];
        v_place := v_place + 1;
    END LOOP;

    IF (SELECT sum(n) IS DISTINCT FROM cardinality(p_kids) OR min(n) < 0
          FROM unnest(p_kid_counts) AS n) THEN
        RAISE EXCEPTION 'acquire: periods with other numbers of KIDs than there are'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- In the order of the index: two requests with the same new periods wait for each other and
    -- never in a circle.
    INSERT INTO speke.content_period
           (tenant_id, first_seen_by, content_digest, period_digest, content_id, period_id,
            period_index, period_start, period_end, start_offset, end_offset, kids)
    SELECT p_tenant_id, p_client_id, p_digest,
           speke.period_digest(p.id, p.index, p.start, p.end, p.start_offset, p.end_offset,
                               p.kids) AS period_digest,
           p_content_id, p.id, p.index, p.start, p.end, p.start_offset, p.end_offset, p.kids
      FROM (SELECT named.*,
                   speke.kids_in_order(p_kids[sum(kid_count) OVER (ORDER BY place) - kid_count + 1
                                              : sum(kid_count) OVER (ORDER BY place)]) AS kids
              FROM unnest(p_ids, p_indexes, p_starts, p_ends, p_start_offsets, p_end_offsets,
                          p_kid_counts)
                   WITH ORDINALITY
                   AS named (id, index, start, "end", start_offset, end_offset, kid_count,
                             place)) AS p
     ORDER BY period_digest
    ON CONFLICT ON CONSTRAINT content_period_identity DO NOTHING;
END
$$;
COMMENT ON FUNCTION speke.note_periods IS
    'Keeps those periods that the content does not have yet; for acquire(). The first p_kid_counts[1] of p_kids belong to the first period, the next p_kid_counts[2] to the second and so on';


-- Recipients --------------------------------------------------------------------------------------

ALTER TABLE speke.audit_event
    ADD COLUMN recipient_fingerprints bytea[],
    ADD COLUMN recipient_subjects text[];
COMMENT ON COLUMN speke.audit_event.recipient_fingerprints IS
    'Release: SHA-256 of the certificates that the keys were encrypted for; NULL: they went out in the clear';
COMMENT ON COLUMN speke.audit_event.recipient_subjects IS
    'Subjects of these certificates in the same order, cut at 512 characters';


-- Acquiring keys ----------------------------------------------------------------------------------

CREATE FUNCTION speke.acquire(
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
        -- Something is missing. The candidates were sealed under the KEK that was active then.
        PERFORM FROM speke.client_in_force c
          WHERE c.client_id = p_client_id
            AND c.tenant_id = p_tenant_id
            AND c.generation = p_generation;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the configuration changed: identify the client again'
                USING ERRCODE = 'SK001';
        END IF;

        IF cardinality(p_sealed) > 0 THEN
            v_created := speke.insert_missing(p_client_id, p_tenant_id, p_content_id, v_digest,
                                              p_kids, p_schemes, p_sealed, p_ivs,
                                              p_kek_version);
        END IF;

        -- A new statement, so it sees what others committed while this one waited for them.
        RETURN QUERY
            WITH found AS (
                SELECT asked.place, asked.kid, k.sealed, k.kek_version, k.explicit_iv, k.scheme
                  FROM unnest(p_kids) WITH ORDINALITY AS asked (kid, place)
                  LEFT JOIN LATERAL (SELECT *
                                       FROM speke.content_key
                                      WHERE tenant_id = p_tenant_id
                                        AND content_digest = v_digest
                                        AND kid = asked.kid
                                      LIMIT 1) AS k ON true
            ), given AS (
                SELECT coalesce(array_agg(f.kid ORDER BY f.place)
                                FILTER (WHERE f.sealed IS NOT NULL), '{}') AS kids
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
                 WHERE g.kids <> '{}'
                RETURNING a.event_id
            )
            SELECT f.sealed, f.kek_version, f.explicit_iv, f.scheme, f.kid = ANY (v_created)
              FROM found f, audited
             ORDER BY f.place;
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
    'Gives out the keys of one content, one row for each KID in the order asked, writes the audit row, and keeps the periods that are new. Makes missing keys from the candidates; without candidates (an empty p_sealed) the row of a missing key is NULL, and when none exists there are no rows. The first p_period_kid_counts[1] of p_period_kids belong to the first period and so on. SK001: the configuration changed';

-- For the previous version of the program.
CREATE OR REPLACE FUNCTION speke.acquire(
    p_generation bigint, p_client_id integer, p_tenant_id integer,
    p_remote_user text, p_remote_addr text, p_speke_version text, p_content_id text,
    p_kids uuid[], p_schemes text[], p_sealed bytea[], p_ivs bytea[], p_kek_version integer,
    p_systems uuid[])
RETURNS TABLE (sealed bytea, kek_version integer, explicit_iv bytea, scheme text, created boolean)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
    SELECT a.sealed, a.kek_version, a.explicit_iv, a.scheme, a.created
      FROM speke.acquire(p_generation, p_client_id, p_tenant_id, p_remote_user, p_remote_addr,
                         p_speke_version, p_content_id, p_kids, p_schemes, p_sealed, p_ivs,
                         p_kek_version, p_systems, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}',
                         '{}', '{}') AS a
$$;
COMMENT ON FUNCTION speke.acquire(
    bigint, integer, integer, text, text, text, text, uuid[], text[],
    bytea[], bytea[], integer, uuid[]) IS
    'Gives out keys without periods and recipients, as the function of the same name with more parameters does; for the previous version of the program';


-- Views -------------------------------------------------------------------------------------------

CREATE VIEW speke.v_setting AS
    SELECT t.name AS tenant, s.system, s.name, s.value, s.changed_at
      FROM speke.tenant_setting s
      JOIN speke.tenant t ON t.tenant_id = s.tenant_id;
COMMENT ON VIEW speke.v_setting IS
    'Settings of tenants; system: NULL for the tenant as a whole';

CREATE VIEW speke.v_period AS
    SELECT t.name AS tenant, p.content_id, p.period_id, p.period_index, p.period_start,
           p.period_end, p.start_offset, p.end_offset, p.kids, p.first_seen_at,
           c.name AS first_seen_by
      FROM speke.content_period p
      JOIN speke.tenant t ON t.tenant_id = p.tenant_id
      JOIN speke.client c ON c.client_id = p.first_seen_by;
COMMENT ON VIEW speke.v_period IS 'Content key periods, as packagers named them';

CREATE OR REPLACE VIEW speke.v_audit AS
    SELECT a.event_id, a.at, a.event, a.status, t.name AS tenant, c.name AS client, a.remote_user,
           a.remote_addr, a.speke_version, a.content_id, a.kids, a.created_kids, a.systems,
           a.operator, a.detail, a.recipient_subjects,
           (SELECT array_agg(encode(f.fingerprint, 'hex') ORDER BY f.place)
              FROM unnest(a.recipient_fingerprints) WITH ORDINALITY AS f (fingerprint, place))
               AS recipient_fingerprints
      FROM speke.audit_event a
      LEFT JOIN speke.tenant t ON t.tenant_id = a.tenant_id
      LEFT JOIN speke.client c ON c.client_id = a.client_id;

CREATE OR REPLACE VIEW speke.v_release AS
    SELECT a.event_id, a.at, t.name AS tenant, c.name AS client, a.remote_addr, a.speke_version,
           a.content_id, given.kid, given.kid = ANY (a.created_kids) AS created, a.systems,
           a.recipient_subjects,
           (SELECT array_agg(encode(f.fingerprint, 'hex') ORDER BY f.place)
              FROM unnest(a.recipient_fingerprints) WITH ORDINALITY AS f (fingerprint, place))
               AS recipient_fingerprints
      FROM speke.audit_event a
     CROSS JOIN LATERAL unnest(a.kids) AS given (kid)
      LEFT JOIN speke.tenant t ON t.tenant_id = a.tenant_id
      LEFT JOIN speke.client c ON c.client_id = a.client_id
     WHERE a.event = 'release';
COMMENT ON VIEW speke.v_release IS
    'Who got which key: one row for each KID given out; created: this request made the key; recipients: whom it was encrypted for, NULL when it went out in the clear';


-- Rights ------------------------------------------------------------------------------------------

REVOKE ALL ON ALL TABLES IN SCHEMA speke FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA speke FROM PUBLIC;

DO $$
BEGIN
    IF current_user = 'speke_owner' THEN
        GRANT EXECUTE ON FUNCTION speke.client_configuration TO speke_service;
        GRANT EXECUTE ON FUNCTION speke.acquire(
            bigint, integer, integer, text, text, text, text, uuid[], text[], bytea[], bytea[],
            integer, uuid[], text[], text[], text[], text[], text[], text[], integer[], uuid[],
            bytea[], text[])
            TO speke_service;
        GRANT EXECUTE ON FUNCTION speke.setting_set, speke.setting_unset TO speke_operator;
        GRANT SELECT ON speke.v_setting, speke.v_period TO speke_auditor, speke_operator;
    END IF;
END
$$;

INSERT INTO speke.schema_version (version, name) VALUES (4, 'tenants');

COMMIT;
