-- SPDX-License-Identifier: Apache-2.0
--
-- Schema "speke" of speke-fcgi, migration 2: the functions.
--
--     for speke_service:   service_state, identify, acquire, refuse
--     for speke_operator:  tenant_add, client_add, client_set_enabled, kek_register,
--                          webauth_set, webauth_remove
--
-- They run with the rights of their owner and are the only way in for these two roles, which have
-- no right on any table. Errors with a meaning have an SQLSTATE of class SK:
--
--     SK001  acquire: the configuration changed since identify(); identify and ask once more
--     SK002  no tenant, client or user of that name
--     SK003  the name or number is taken

BEGIN;

DO $$
BEGIN
    -- As the owner of the schema, whoever that is.
    PERFORM pg_catalog.set_config('role', pg_catalog.pg_get_userbyid(nspowner), true)
       FROM pg_catalog.pg_namespace WHERE nspname = 'speke';
END
$$;


-- For the service ---------------------------------------------------------------------------------

CREATE VIEW speke.client_in_force AS
    SELECT c.name, c.client_id, t.tenant_id, t.name AS tenant, g.generation
      FROM speke.client c
      JOIN speke.tenant t ON t.tenant_id = c.tenant_id
     CROSS JOIN speke.config_generation g
     WHERE c.enabled AND t.enabled AND g.only_row;
COMMENT ON VIEW speke.client_in_force IS
    'Clients that may ask, and the generation of the configuration that says so; for the functions';

CREATE FUNCTION speke.service_state(
    OUT schema_version integer, OUT kek_version integer, OUT kek_check bytea,
    OUT generation bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
    SELECT (SELECT max(s.version) FROM speke.schema_version s),
           k.kek_version, k.check_value, g.generation
      FROM speke.config_generation g
      LEFT JOIN speke.kek_version k ON k.state = 'active'
$$;
COMMENT ON FUNCTION speke.service_state IS
    'Version of the schema, active KEK (NULL if none) and generation of the configuration';

CREATE FUNCTION speke.identify(p_user text)
RETURNS TABLE (client_id integer, tenant_id integer, tenant text, kek_version integer,
               kek_check bytea, generation bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
    SELECT c.client_id, c.tenant_id, c.tenant, k.kek_version, k.check_value, c.generation
      FROM speke.client_in_force c
      LEFT JOIN speke.kek_version k ON k.state = 'active'
     WHERE c.name = p_user
$$;
COMMENT ON FUNCTION speke.identify IS
    'The client with this REMOTE_USER and the active KEK (NULL if none). No row: the client is unknown, or it or its tenant is disabled';

CREATE FUNCTION speke.inet_or_null(p_address text) RETURNS inet
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, speke, pg_temp
AS $$
BEGIN
    RETURN p_address::inet;
EXCEPTION
    WHEN invalid_text_representation THEN
        RETURN NULL;
END
$$;
COMMENT ON FUNCTION speke.inet_or_null IS
    'An address as inet; NULL for what is none, so that rubbish from a web server stops no audit row';

CREATE FUNCTION speke.acquire(
    p_generation bigint, p_client_id integer, p_tenant_id integer,
    p_remote_user text, p_remote_addr text, p_speke_version text, p_content_id text,
    p_kids uuid[], p_schemes text[], p_sealed bytea[], p_ivs bytea[], p_kek_version integer,
    p_systems uuid[])
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
BEGIN
    IF cardinality(p_kids) = 0 THEN
        RAISE EXCEPTION 'acquire: no KIDs' USING ERRCODE = 'invalid_parameter_value';
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
                    content_id, kids, systems)
            SELECT 'release', 200, c.tenant_id, c.client_id, p_remote_user,
                   speke.inet_or_null(p_remote_addr), p_speke_version, p_content_id, p_kids,
                   p_systems
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
    IF FOUND THEN
        RETURN;
    END IF;

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
                                          p_kids, p_schemes, p_sealed, p_ivs, p_kek_version);
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
                   (event, status, tenant_id, client_id, remote_user, remote_addr, speke_version,
                    content_id, kids, created_kids, systems)
            SELECT 'release', 200, p_tenant_id, p_client_id, p_remote_user,
                   speke.inet_or_null(p_remote_addr), p_speke_version, p_content_id, g.kids,
                   v_created, p_systems
              FROM given g
             WHERE g.kids <> '{}'
            RETURNING a.event_id
        )
        SELECT f.sealed, f.kek_version, f.explicit_iv, f.scheme, f.kid = ANY (v_created)
          FROM found f, audited
         ORDER BY f.place;
END
$$;
COMMENT ON FUNCTION speke.acquire IS
    'Gives out the keys of one content, one row for each KID in the order asked, and writes the audit row. Makes missing keys from the candidates; without candidates (an empty p_sealed) the row of a missing key is NULL, and when none exists there are no rows. SK001: the configuration changed';

CREATE FUNCTION speke.insert_missing(
    p_client_id integer, p_tenant_id integer, p_content_id text, p_digest bytea,
    p_kids uuid[], p_schemes text[], p_sealed bytea[], p_ivs bytea[], p_kek_version integer)
RETURNS uuid[]
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_count CONSTANT integer := cardinality(p_kids);
    v_created uuid[];
BEGIN
    IF cardinality(p_schemes) <> v_count OR cardinality(p_sealed) <> v_count
       OR cardinality(p_ivs) <> v_count THEN
        RAISE EXCEPTION 'acquire: lists of different lengths'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM FROM speke.kek_version k
      WHERE k.kek_version = p_kek_version AND k.state = 'active';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'KEK version % is not the active one', p_kek_version
            USING ERRCODE = 'SK001';
    END IF;

    -- A connection may run with synchronous_commit off to be quick about reading keys. A key that
    -- is given out must not be lost, so the commit of a new one is always waited for.
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;

    -- In the order of the KIDs: two requests for the same KIDs wait for each other and never in a
    -- circle. Whoever comes second inserts nothing and reads what the first one made.
    WITH inserted AS (
        INSERT INTO speke.content_key AS k
               (tenant_id, created_by, kek_version, kid, content_digest, explicit_iv, sealed,
                scheme, content_id)
        SELECT p_tenant_id, p_client_id, p_kek_version, candidate.kid, p_digest, candidate.iv,
               candidate.sealed, candidate.scheme, p_content_id
          FROM unnest(p_kids, p_schemes, p_sealed, p_ivs)
               AS candidate (kid, scheme, sealed, iv)
         ORDER BY candidate.kid
        ON CONFLICT ON CONSTRAINT content_key_identity DO NOTHING
        RETURNING k.kid
    )
    SELECT coalesce(array_agg(i.kid), '{}') INTO STRICT v_created FROM inserted i;
    RETURN v_created;
END
$$;
COMMENT ON FUNCTION speke.insert_missing IS
    'Inserts those candidates whose key does not exist yet and returns their KIDs; for acquire()';

CREATE FUNCTION speke.refuse(
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
    RETURN EXISTS (SELECT FROM speke.client_in_force c WHERE c.client_id = v_client_id);
END
$$;
COMMENT ON FUNCTION speke.refuse IS
    'Writes the audit row of a refused request. False: the client is unknown or disabled';


-- For the operator --------------------------------------------------------------------------------

CREATE FUNCTION speke.audit_admin(p_tenant_id integer, p_client_id integer, p_detail text)
RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, speke, pg_temp
AS $$
    INSERT INTO speke.audit_event (event, tenant_id, client_id, remote_addr, operator, detail)
    VALUES ('admin', p_tenant_id, p_client_id, inet_client_addr(), session_user, p_detail)
$$;
COMMENT ON FUNCTION speke.audit_admin IS
    'Writes the audit row of what an operator did; for the functions below';

CREATE FUNCTION speke.tenant_add(p_name text) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_tenant_id integer;
BEGIN
    INSERT INTO speke.tenant (name) VALUES (p_name)
    ON CONFLICT ON CONSTRAINT tenant_name_unique DO NOTHING
    RETURNING tenant_id INTO v_tenant_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'tenant "%" exists', p_name USING ERRCODE = 'SK003';
    END IF;
    PERFORM speke.audit_admin(v_tenant_id, NULL, format('tenant_add %L', p_name));
    RETURN v_tenant_id;
END
$$;
COMMENT ON FUNCTION speke.tenant_add IS 'Adds a tenant and returns its number. SK003: exists';

CREATE FUNCTION speke.client_add(p_tenant text, p_name text) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_tenant_id integer;
    v_client_id integer;
BEGIN
    SELECT t.tenant_id INTO v_tenant_id FROM speke.tenant t WHERE t.name = p_tenant;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no tenant "%"', p_tenant USING ERRCODE = 'SK002';
    END IF;
    INSERT INTO speke.client (tenant_id, name) VALUES (v_tenant_id, p_name)
    ON CONFLICT ON CONSTRAINT client_name_unique DO NOTHING
    RETURNING client_id INTO v_client_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'client "%" exists', p_name USING ERRCODE = 'SK003';
    END IF;
    PERFORM speke.audit_admin(v_tenant_id, v_client_id, format('client_add %L', p_name));
    RETURN v_client_id;
END
$$;
COMMENT ON FUNCTION speke.client_add IS
    'Adds a client to a tenant and returns its number. SK002: no such tenant. SK003: exists';

CREATE FUNCTION speke.client_set_enabled(p_name text, p_enabled boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_tenant_id integer;
    v_client_id integer;
BEGIN
    UPDATE speke.client c
       SET enabled = p_enabled,
           disabled_at = CASE WHEN p_enabled THEN NULL ELSE now() END
     WHERE c.name = p_name
    RETURNING c.tenant_id, c.client_id INTO v_tenant_id, v_client_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no client "%"', p_name USING ERRCODE = 'SK002';
    END IF;
    PERFORM speke.audit_admin(v_tenant_id, v_client_id,
                              format('client_set_enabled %L %s', p_name, p_enabled));
END
$$;
COMMENT ON FUNCTION speke.client_set_enabled IS
    'Enables or disables a client; the service obeys from its next request on. SK002: no such client';

CREATE FUNCTION speke.kek_register(p_version integer, p_check bytea) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
BEGIN
    PERFORM FROM speke.kek_version k
      WHERE k.kek_version = p_version AND k.check_value = p_check AND k.state = 'active';
    IF FOUND THEN
        RETURN; -- done before: whoever was interrupted may run it again
    END IF;
    IF EXISTS (SELECT FROM speke.kek_version k WHERE k.kek_version = p_version) THEN
        RAISE EXCEPTION 'KEK version % exists', p_version USING ERRCODE = 'SK003';
    END IF;
    UPDATE speke.kek_version SET state = 'retiring', changed_at = now() WHERE state = 'active';
    INSERT INTO speke.kek_version (kek_version, state, check_value)
    VALUES (p_version, 'active', p_check);
    PERFORM speke.audit_admin(NULL, NULL, format('kek_register %s', p_version));
END
$$;
COMMENT ON FUNCTION speke.kek_register IS
    'Registers a KEK that is in the KEK file already and makes it the active one; the former becomes retiring. SK003: the number is taken';

CREATE FUNCTION speke.webauth_set(p_user text, p_realm text, p_ha1_md5 text, p_ha1_sha256 text)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
BEGIN
    INSERT INTO speke.digest_user (username, realm, ha1_md5, ha1_sha256)
    VALUES (p_user, p_realm, p_ha1_md5, p_ha1_sha256)
    ON CONFLICT ON CONSTRAINT digest_user_pk DO UPDATE
       SET ha1_md5 = excluded.ha1_md5, ha1_sha256 = excluded.ha1_sha256, changed_at = now();
    PERFORM speke.audit_admin(NULL, NULL, format('webauth_set %L %L', p_user, p_realm));
END
$$;
COMMENT ON FUNCTION speke.webauth_set IS 'Adds a Digest user or replaces the password of one';

CREATE FUNCTION speke.webauth_remove(p_user text, p_realm text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
BEGIN
    DELETE FROM speke.digest_user d WHERE d.username = p_user AND d.realm = p_realm;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no user "%" in realm "%"', p_user, p_realm USING ERRCODE = 'SK002';
    END IF;
    PERFORM speke.audit_admin(NULL, NULL, format('webauth_remove %L %L', p_user, p_realm));
END
$$;
COMMENT ON FUNCTION speke.webauth_remove IS 'Removes a Digest user. SK002: no such user';


-- Rights ------------------------------------------------------------------------------------------

REVOKE ALL ON ALL TABLES IN SCHEMA speke FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA speke FROM PUBLIC;

DO $$
BEGIN
    IF current_user = 'speke_owner' THEN
        GRANT USAGE ON SCHEMA speke TO speke_service, speke_operator;
        GRANT EXECUTE ON FUNCTION speke.service_state, speke.identify, speke.acquire, speke.refuse
            TO speke_service;
        GRANT EXECUTE ON FUNCTION speke.tenant_add, speke.client_add, speke.client_set_enabled,
            speke.kek_register, speke.webauth_set, speke.webauth_remove
            TO speke_operator;
    END IF;
END
$$;

INSERT INTO speke.schema_version (version, name) VALUES (2, 'functions');

COMMIT;
