-- SPDX-License-Identifier: Apache-2.0
--
-- Schema "speke" of speke-fcgi, migration 9: what players get, and on whose word.
--
--     token_key               who may sign the tokens that players bring; a tenant has its own
--     player_refusal          how many players were turned away, and why; counted, not listed
--
--     for speke_service:      player_configuration, player_token_keys, player_generation,
--                             player_acquire, player_refused
--     for speke_operator:     token_key_add, token_key_set_enabled, token_key_remove,
--                             token_key_rewrap_batch, token_key_rewrap_store
--     for auditors:           v_token_key, v_player_refusal
--
-- Errors with a meaning, besides those of the migrations before:
--
--     SK001  player_acquire: the configuration changed since it was read
--     SK002  no such tenant, no such token key
--     SK003  the tenant has a token key of that name
--     SK009  token keys are sealed under the KEK, or it is not the active one
--     SK020  the tenant has as many token keys as it may

BEGIN;

DO $$
BEGIN
    -- As the owner of the schema, whoever that is.
    PERFORM pg_catalog.set_config('role', pg_catalog.pg_get_userbyid(nspowner), true)
       FROM pg_catalog.pg_namespace WHERE nspname = 'speke';
END
$$;


-- Token keys --------------------------------------------------------------------------------------

CREATE TABLE speke.token_key (
    token_key_id integer     GENERATED ALWAYS AS IDENTITY,
    tenant_id    integer     NOT NULL,
    kek_version  integer,
    enabled      boolean     NOT NULL DEFAULT true,
    created_at   timestamptz NOT NULL DEFAULT now(),
    disabled_at  timestamptz,
    kid          text        NOT NULL,
    algorithm    text        NOT NULL,
    public_key   bytea,
    sealed       bytea,
    CONSTRAINT token_key_pk PRIMARY KEY (token_key_id),
    CONSTRAINT token_key_kid_unique UNIQUE (tenant_id, kid),
    CONSTRAINT token_key_tenant_fk FOREIGN KEY (tenant_id) REFERENCES speke.tenant (tenant_id),
    CONSTRAINT token_key_kek_fk FOREIGN KEY (kek_version)
        REFERENCES speke.kek_version (kek_version),
    CONSTRAINT token_key_kid CHECK (kid ~ '^[A-Za-z0-9._~:/@=+-]{1,128}$'),
    -- The algorithm is the key's, whatever a token says of itself.
    CONSTRAINT token_key_material CHECK (
        (algorithm = 'HS256' AND public_key IS NULL AND kek_version IS NOT NULL
            AND sealed IS NOT NULL
            AND octet_length(sealed) BETWEEN 12 + 32 + 16 AND 12 + 64 + 16)
        OR (algorithm = 'ES256' AND sealed IS NULL AND kek_version IS NULL
            AND public_key IS NOT NULL AND octet_length(public_key) = 65))
);
CREATE INDEX token_key_kek ON speke.token_key (kek_version) WHERE kek_version IS NOT NULL;
COMMENT ON TABLE speke.token_key IS
    'Keys by which the tokens of players are verified. Each belongs to one tenant and has one algorithm.';
COMMENT ON COLUMN speke.token_key.token_key_id IS 'Number of the key';
COMMENT ON COLUMN speke.token_key.tenant_id IS
    'Whose tokens it verifies; part of what a secret is sealed with';
COMMENT ON COLUMN speke.token_key.kek_version IS
    'The KEK that the secret is sealed under; NULL for ES256';
COMMENT ON COLUMN speke.token_key.enabled IS 'false: tokens signed with it are refused';
COMMENT ON COLUMN speke.token_key.created_at IS 'When it was registered';
COMMENT ON COLUMN speke.token_key.disabled_at IS 'When it was disabled last; NULL while enabled';
COMMENT ON COLUMN speke.token_key.kid IS
    'Name of the key, as tokens have it in their header "kid"; part of what a secret is sealed with';
COMMENT ON COLUMN speke.token_key.algorithm IS 'HS256 or ES256, for ever';
COMMENT ON COLUMN speke.token_key.public_key IS
    'ES256: the point on P-256, uncompressed (65 bytes); no secret';
COMMENT ON COLUMN speke.token_key.sealed IS
    'HS256: AES-256-GCM: nonce 12 bytes, encrypted secret 32 to 64, tag 16; tenant, KEK version and kid are bound to it';
CREATE TRIGGER token_key_changes_config
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON speke.token_key
    FOR EACH STATEMENT EXECUTE FUNCTION speke.config_generation_bump();

CREATE FUNCTION speke.token_key_keeps_kek() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_keys bigint;
BEGIN
    SELECT count(*) INTO STRICT v_keys FROM speke.token_key t
     WHERE t.kek_version = NEW.kek_version;
    IF v_keys > 0 THEN
        RAISE EXCEPTION '% token keys are sealed under KEK version %: rewrap them first',
                        v_keys, NEW.kek_version
            USING ERRCODE = 'SK009';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION speke.token_key_keeps_kek IS
    'Refuses to retire a KEK that token keys are sealed under';
CREATE TRIGGER kek_version_token_keys
    BEFORE UPDATE OF state ON speke.kek_version
    FOR EACH ROW WHEN (NEW.state IN ('retired', 'destroyed') AND OLD.state <> NEW.state)
    EXECUTE FUNCTION speke.token_key_keeps_kek();

CREATE VIEW speke.v_token_key AS
    SELECT t.name AS tenant, k.kid, k.algorithm, k.enabled, k.created_at, k.disabled_at,
           k.kek_version, encode(sha256(k.public_key), 'hex') AS fingerprint
      FROM speke.token_key k
      JOIN speke.tenant t ON t.tenant_id = k.tenant_id;
COMMENT ON VIEW speke.v_token_key IS
    'Keys by which the tokens of players are verified, without the secrets; fingerprint: SHA-256 of a public key''s 65 bytes';


-- For the service ---------------------------------------------------------------------------------

CREATE FUNCTION speke.player_configuration(p_tenant text, p_digest bytea)
RETURNS TABLE (tenant_id integer, tenant text, generation bigint, setting_system text,
               setting_name text, setting_value text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
    SELECT t.tenant_id, t.name, g.generation, coalesce(s.system::text, ''), s.name, s.value
      FROM speke.tenant t
     CROSS JOIN speke.config_generation g
      LEFT JOIN speke.tenant_setting s ON s.tenant_id = t.tenant_id
     WHERE t.enabled
       AND (t.name = p_tenant
            OR p_digest IS NOT NULL AND sha256(convert_to(t.name, 'UTF8')) = p_digest)
     ORDER BY t.tenant_id, s.system NULLS FIRST, s.name COLLATE "C"
$$;
COMMENT ON FUNCTION speke.player_configuration IS
    'The tenant of that name, or the one whose name has that SHA-256, and its settings: one row for each setting, one with NULL when there is none. No row: there is no such tenant, or it is disabled';

CREATE FUNCTION speke.player_token_keys(p_tenant_id integer)
RETURNS TABLE (kid text, algorithm text, public_key bytea, sealed bytea, kek_version integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
    SELECT k.kid, k.algorithm, k.public_key, k.sealed, k.kek_version
      FROM speke.token_key k
     WHERE k.tenant_id = p_tenant_id AND k.enabled
     ORDER BY k.token_key_id
$$;
COMMENT ON FUNCTION speke.player_token_keys IS
    'The enabled keys by which tokens of a tenant are verified';

CREATE FUNCTION speke.player_generation() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
    SELECT g.generation FROM speke.config_generation g
$$;
COMMENT ON FUNCTION speke.player_generation IS
    'Number of the configuration: another one, and what was read of it may be out of date';

CREATE FUNCTION speke.player_acquire(
    p_generation bigint, p_tenant_id integer, p_via text, p_digests bytea[], p_kids uuid[],
    p_remote_addr text, p_detail text)
RETURNS TABLE (kid uuid, sealed bytea, kek_version integer, scheme text, content_id text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
-- Planned once and right when the tables have grown, as in acquire(). A look into the one row of
-- config_generation is a sequential scan all the same, at a cost that is made up to deter: PostgreSQL
-- would compile the plan each time, for a hundred times as long as it runs.
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM speke.config_generation g
       JOIN speke.tenant t ON t.tenant_id = p_tenant_id AND t.enabled
      WHERE g.generation = p_generation;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the configuration changed: read it again' USING ERRCODE = 'SK001';
    END IF;
    -- One look into the index for each KID and content. Which of several contents a KID is taken
    -- from is told by their order. No audit row, no key.
    RETURN QUERY
        WITH found AS (
            SELECT asked.place, asked.kid, k.sealed, k.kek_version, k.scheme, k.content_id
              FROM unnest(p_kids) WITH ORDINALITY AS asked (kid, place)
             CROSS JOIN LATERAL (
                    SELECT c.*
                      FROM unnest(p_digests) WITH ORDINALITY AS d (digest, place)
                     CROSS JOIN LATERAL (SELECT *
                                           FROM speke.content_key
                                          WHERE tenant_id = p_tenant_id
                                            AND content_digest = d.digest
                                            AND kid = asked.kid
                                          LIMIT 1) AS c
                     WHERE c.revoked_at IS NULL AND c.destroyed_at IS NULL
                     ORDER BY d.place
                     LIMIT 1) AS k
        ), audited AS (
            INSERT INTO speke.audit_event AS a
                   (event, via, status, tenant_id, remote_addr, content_id, kids, detail)
            SELECT 'delivery', p_via, 200, p_tenant_id, speke.inet_or_null(p_remote_addr),
                   f.content_id, array_agg(f.kid ORDER BY f.place), left(p_detail, 1024)
              FROM found f
             GROUP BY f.content_id
            RETURNING a.content_id
        )
        SELECT f.kid, f.sealed, f.kek_version, f.scheme, f.content_id
          FROM found f
          JOIN audited a ON a.content_id = f.content_id
         ORDER BY f.place;
END
$$;
COMMENT ON FUNCTION speke.player_acquire IS
    'Gives a player the keys that exist and are not withdrawn, out of these contents (SHA-256 of their ids), one row for each in the order asked, and writes an audit row for each content. Never makes a key. No row: there is none. SK001: the configuration changed';


-- Refusals, counted -------------------------------------------------------------------------------

CREATE TABLE speke.player_refusal (
    hour      timestamptz NOT NULL,
    tenant_id integer     NOT NULL,
    status    integer     NOT NULL,
    reason    text        NOT NULL,
    count     bigint      NOT NULL,
    first_at  timestamptz NOT NULL DEFAULT now(),
    last_at   timestamptz NOT NULL DEFAULT now(),
    last_addr inet,
    CONSTRAINT player_refusal_pk PRIMARY KEY (hour, tenant_id, status, reason),
    CONSTRAINT player_refusal_status CHECK (status BETWEEN 400 AND 499),
    CONSTRAINT player_refusal_reason CHECK (char_length(reason) BETWEEN 1 AND 64),
    CONSTRAINT player_refusal_count CHECK (count > 0)
);
COMMENT ON TABLE speke.player_refusal IS
    'Players that were turned away, counted by the hour: anybody may send wrong tokens by the hundred thousand, and a row for each would fill the disk.';
COMMENT ON COLUMN speke.player_refusal.hour IS 'Beginning of the hour of UTC';
COMMENT ON COLUMN speke.player_refusal.tenant_id IS
    'Whose content was asked for; 0: no tenant of that name';
COMMENT ON COLUMN speke.player_refusal.status IS 'HTTP status of the answers';
COMMENT ON COLUMN speke.player_refusal.reason IS 'What was wrong: a word of the program';
COMMENT ON COLUMN speke.player_refusal.count IS 'How many';
COMMENT ON COLUMN speke.player_refusal.first_at IS 'When the first of them was written here';
COMMENT ON COLUMN speke.player_refusal.last_at IS 'When the last of them was written here';
COMMENT ON COLUMN speke.player_refusal.last_addr IS 'Where one of the last of them came from';

CREATE FUNCTION speke.player_refused(
    p_tenant_id integer, p_status integer, p_reason text, p_count bigint, p_remote_addr text)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
BEGIN
    INSERT INTO speke.player_refusal AS r (hour, tenant_id, status, reason, count, last_addr)
    VALUES (date_trunc('hour', now(), 'UTC'), p_tenant_id, p_status, p_reason, p_count,
            speke.inet_or_null(p_remote_addr))
    ON CONFLICT ON CONSTRAINT player_refusal_pk DO UPDATE
       SET count = r.count + excluded.count, last_at = now(), last_addr = excluded.last_addr;
END
$$;
COMMENT ON FUNCTION speke.player_refused IS
    'Counts players that were turned away; tenant 0: no tenant of that name';

CREATE VIEW speke.v_player_refusal AS
    SELECT r.hour, t.name AS tenant, r.status, r.reason, r.count, r.first_at, r.last_at,
           r.last_addr
      FROM speke.player_refusal r
      LEFT JOIN speke.tenant t ON t.tenant_id = r.tenant_id;
COMMENT ON VIEW speke.v_player_refusal IS
    'Players that were turned away, by the hour; tenant: NULL for one that does not exist';


-- For the operator --------------------------------------------------------------------------------

CREATE FUNCTION speke.token_key_add(
    p_tenant text, p_kid text, p_algorithm text, p_public_key bytea, p_sealed bytea,
    p_kek_version integer)
RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_most CONSTANT integer := 64; -- every process keeps the keys of the tenants it serves
    v_tenant_id integer;
    v_token_key_id integer;
BEGIN
    -- One at a time for each tenant, so that the count holds.
    SELECT t.tenant_id INTO v_tenant_id FROM speke.tenant t WHERE t.name = p_tenant
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no tenant "%"', p_tenant USING ERRCODE = 'SK002';
    END IF;
    IF p_kek_version IS NOT NULL THEN
        PERFORM FROM speke.kek_version k
          WHERE k.kek_version = p_kek_version AND k.state = 'active' FOR KEY SHARE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'KEK version % is not the active one', p_kek_version
                USING ERRCODE = 'SK009';
        END IF;
    END IF;
    INSERT INTO speke.token_key (tenant_id, kid, algorithm, public_key, sealed, kek_version)
    VALUES (v_tenant_id, p_kid, p_algorithm, p_public_key, p_sealed, p_kek_version)
    ON CONFLICT ON CONSTRAINT token_key_kid_unique DO NOTHING
    RETURNING token_key_id INTO v_token_key_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'tenant "%" has a token key "%"', p_tenant, p_kid USING ERRCODE = 'SK003';
    END IF;
    IF (SELECT count(*) FROM speke.token_key k WHERE k.tenant_id = v_tenant_id) > v_most THEN
        RAISE EXCEPTION 'tenant "%" has % token keys, which is as many as there may be',
                        p_tenant, v_most
            USING ERRCODE = 'SK020';
    END IF;
    PERFORM speke.audit_admin(v_tenant_id, NULL,
                              format('token_key_add %L %s', p_kid, p_algorithm));
    RETURN v_token_key_id;
END
$$;
COMMENT ON FUNCTION speke.token_key_add IS
    'Registers a key for tokens of a tenant and returns its number. SK002: no such tenant. SK003: the tenant has one of that name. SK009: not the active KEK. SK020: too many';

CREATE FUNCTION speke.token_key_set_enabled(p_tenant text, p_kid text, p_enabled boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_tenant_id integer;
BEGIN
    UPDATE speke.token_key k
       SET enabled = p_enabled, disabled_at = CASE WHEN p_enabled THEN NULL ELSE now() END
      FROM speke.tenant t
     WHERE t.name = p_tenant AND k.tenant_id = t.tenant_id AND k.kid = p_kid
    RETURNING k.tenant_id INTO v_tenant_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'tenant "%" has no token key "%"', p_tenant, p_kid USING ERRCODE = 'SK002';
    END IF;
    PERFORM speke.audit_admin(v_tenant_id, NULL,
                              format('token_key_set_enabled %L %s', p_kid, p_enabled));
END
$$;
COMMENT ON FUNCTION speke.token_key_set_enabled IS
    'Enables or disables a key for tokens; nothing is released any more on a disabled one''s word from then on. SK002: no such key';

CREATE FUNCTION speke.token_key_remove(p_tenant text, p_kid text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_tenant_id integer;
BEGIN
    DELETE FROM speke.token_key k USING speke.tenant t
     WHERE t.name = p_tenant AND k.tenant_id = t.tenant_id AND k.kid = p_kid
    RETURNING k.tenant_id INTO v_tenant_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'tenant "%" has no token key "%"', p_tenant, p_kid USING ERRCODE = 'SK002';
    END IF;
    PERFORM speke.audit_admin(v_tenant_id, NULL, format('token_key_remove %L', p_kid));
END
$$;
COMMENT ON FUNCTION speke.token_key_remove IS 'Removes a key for tokens. SK002: no such key';

CREATE FUNCTION speke.token_key_rewrap_batch(
    p_kek_version integer, p_after integer, p_limit integer)
RETURNS TABLE (token_key_id integer, tenant_id integer, kid text, kek_version integer, sealed bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
    SELECT k.token_key_id, k.tenant_id, k.kid, k.kek_version, k.sealed
      FROM speke.token_key k
     WHERE k.kek_version <> p_kek_version AND k.token_key_id > p_after
     ORDER BY k.token_key_id
     LIMIT p_limit
$$;
COMMENT ON FUNCTION speke.token_key_rewrap_batch IS
    'Token keys that are sealed under another KEK than the given one, from the number behind p_after on';

CREATE FUNCTION speke.token_key_rewrap_store(
    p_kek_version integer, p_token_key_id integer, p_old bytea, p_new bytea)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_tenant_id integer;
    v_kid text;
BEGIN
    PERFORM FROM speke.kek_version k
      WHERE k.kek_version = p_kek_version AND k.state = 'active' FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'KEK version % is not the active one', p_kek_version
            USING ERRCODE = 'SK009';
    END IF;
    UPDATE speke.token_key k
       SET sealed = p_new, kek_version = p_kek_version
     WHERE k.token_key_id = p_token_key_id AND k.sealed = p_old
    RETURNING k.tenant_id, k.kid INTO v_tenant_id, v_kid;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM speke.audit_admin(v_tenant_id, NULL,
                              format('token_key_rewrap_store %L to KEK %s', v_kid, p_kek_version));
    RETURN true;
END
$$;
COMMENT ON FUNCTION speke.token_key_rewrap_store IS
    'Replaces a sealed token key by the same one sealed under the active KEK, where it still is what was read. SK009: the KEK is not the active one';


-- Rights ------------------------------------------------------------------------------------------

REVOKE ALL ON ALL TABLES IN SCHEMA speke FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA speke FROM PUBLIC;

DO $$
BEGIN
    IF current_user = 'speke_owner' THEN
        GRANT EXECUTE ON FUNCTION speke.player_configuration, speke.player_token_keys,
            speke.player_generation, speke.player_acquire, speke.player_refused
            TO speke_service;
        GRANT EXECUTE ON FUNCTION speke.token_key_add, speke.token_key_set_enabled,
            speke.token_key_remove, speke.token_key_rewrap_batch, speke.token_key_rewrap_store
            TO speke_operator;
        GRANT SELECT ON speke.v_token_key, speke.v_player_refusal TO speke_auditor, speke_operator;
    END IF;
END
$$;

INSERT INTO speke.schema_version (version, name) VALUES (9, 'players');

COMMIT;
