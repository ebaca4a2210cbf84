-- SPDX-License-Identifier: Apache-2.0
--
-- Schema "speke" of speke-fcgi, migration 6: the life of a key-encryption key (KEK).
--
--     ready     registered and in the KEK file; seals nothing yet, so that every machine can be given it
--     active    seals new keys; at most one
--     retiring  opens the keys that are still sealed under it; seals none
--     retired   no key is sealed under it
--     destroyed it is in no KEK file any more; whatever was sealed under it is lost
--
--     for speke_operator:  kek_add, kek_activate, kek_retire, kek_destroy, rewrap_batch, rewrap_store
--
--     SK002  no KEK of that version
--     SK003  the number is taken
--     SK009  the state of the KEK does not allow it; of kek_retire: the message says how many keys

BEGIN;

DO $$
BEGIN
    -- As the owner of the schema, whoever that is.
    PERFORM pg_catalog.set_config('role', pg_catalog.pg_get_userbyid(nspowner), true)
       FROM pg_catalog.pg_namespace WHERE nspname = 'speke';
END
$$;


-- States and when they were entered -----------------------------------------------------------------

ALTER TABLE speke.kek_version
    DROP CONSTRAINT kek_version_state,
    ADD CONSTRAINT kek_version_state
        CHECK (state IN ('ready', 'active', 'retiring', 'retired', 'destroyed')),
    ADD COLUMN activated_at timestamptz,
    ADD COLUMN retiring_at  timestamptz,
    ADD COLUMN retired_at   timestamptz,
    ADD COLUMN destroyed_at timestamptz;
COMMENT ON COLUMN speke.kek_version.state IS
    'ready: registered, seals nothing yet; active: seals new keys (at most one); retiring: opens old ones; retired: nothing is sealed with it any more; destroyed: it is gone';
COMMENT ON COLUMN speke.kek_version.activated_at IS 'When it became active last; NULL: never';
COMMENT ON COLUMN speke.kek_version.retiring_at IS
    'When another took its place as the active one last; NULL: never';
COMMENT ON COLUMN speke.kek_version.retired_at IS 'When it was retired; NULL: it was not';
COMMENT ON COLUMN speke.kek_version.destroyed_at IS 'When it was destroyed; NULL: it was not';

-- What is known of those from before.
UPDATE speke.kek_version k
   SET activated_at = CASE WHEN k.state IN ('active', 'retiring') THEN k.created_at END,
       retiring_at  = CASE WHEN k.state = 'retiring' THEN k.changed_at END,
       retired_at   = CASE WHEN k.state = 'retired' THEN k.changed_at END,
       destroyed_at = CASE WHEN k.state = 'destroyed' THEN k.changed_at END;

CREATE FUNCTION speke.kek_version_note_state() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, speke, pg_temp
AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.state = OLD.state THEN
            RETURN NEW;
        END IF;
        IF OLD.state = 'destroyed' THEN
            RAISE EXCEPTION 'KEK version % was destroyed', OLD.kek_version USING ERRCODE = 'SK009';
        END IF;
        NEW.changed_at := now();
    END IF;
    CASE NEW.state
        WHEN 'active'    THEN NEW.activated_at := now();
        WHEN 'retiring'  THEN NEW.retiring_at  := now();
        WHEN 'retired'   THEN NEW.retired_at   := now();
        WHEN 'destroyed' THEN NEW.destroyed_at := now();
        ELSE NULL;
    END CASE;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION speke.kek_version_note_state IS
    'Keeps the times of the states of a KEK; a destroyed one does not come back';
CREATE TRIGGER kek_version_state_times
    BEFORE INSERT OR UPDATE OF state ON speke.kek_version
    FOR EACH ROW EXECUTE FUNCTION speke.kek_version_note_state();

-- A request chooses the KEK of its new keys before it inserts them, and the KEK may be retired in
-- between. The foreign key has locked the KEK's row by the time this runs (row triggers come before
-- statement triggers), and kek_retire() takes a lock that conflicts with it before it counts: one of
-- the two sees the other.
CREATE FUNCTION speke.content_key_check_kek() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, speke, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM speke.kek_version k
                WHERE k.state IN ('retired', 'destroyed')
                  AND k.kek_version IN (SELECT n.kek_version FROM new_keys n)) THEN
        RAISE EXCEPTION 'a key sealed under a KEK that was retired' USING ERRCODE = 'SK001';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION speke.content_key_check_kek IS 'Refuses new keys that are sealed under a retired KEK';
CREATE TRIGGER content_key_kek_in_use
    AFTER INSERT ON speke.content_key REFERENCING NEW TABLE AS new_keys
    FOR EACH STATEMENT EXECUTE FUNCTION speke.content_key_check_kek();

CREATE OR REPLACE VIEW speke.v_kek AS
    SELECT k.kek_version, k.state, encode(k.check_value, 'hex') AS check_value, k.created_at,
           k.changed_at, k.activated_at, k.retiring_at, k.retired_at, k.destroyed_at
      FROM speke.kek_version k;
COMMENT ON VIEW speke.v_kek IS 'Versions of the KEK: their states and when each was entered';

CREATE VIEW speke.v_kek_use AS
    SELECT k.kek_version, k.state, coalesce(u.keys, 0) AS keys
      FROM speke.kek_version k
      LEFT JOIN (SELECT c.kek_version, count(*) AS keys
                   FROM speke.content_key c
                  WHERE c.sealed IS NOT NULL
                  GROUP BY c.kek_version) u ON u.kek_version = k.kek_version;
COMMENT ON VIEW speke.v_kek_use IS
    'How many keys are sealed under each KEK; reads the whole table of keys';


-- For the operator ----------------------------------------------------------------------------------

CREATE FUNCTION speke.kek_add(p_version integer, p_check bytea) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
BEGIN
    INSERT INTO speke.kek_version AS k (kek_version, state, check_value)
    VALUES (p_version, 'ready', p_check)
    ON CONFLICT ON CONSTRAINT kek_version_pk DO NOTHING;
    IF NOT FOUND THEN
        PERFORM FROM speke.kek_version k
          WHERE k.kek_version = p_version AND k.check_value = p_check AND k.state = 'ready';
        IF FOUND THEN
            RETURN; -- done before: whoever was interrupted may run it again
        END IF;
        RAISE EXCEPTION 'KEK version % exists', p_version USING ERRCODE = 'SK003';
    END IF;
    PERFORM speke.audit_admin(NULL, NULL, format('kek_add %s', p_version));
END
$$;
COMMENT ON FUNCTION speke.kek_add IS
    'Registers a KEK that is in the KEK file already, without making it the active one. SK003: the number is taken';

CREATE FUNCTION speke.kek_state_for_change(p_version integer) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_state text;
BEGIN
    SELECT k.state INTO v_state FROM speke.kek_version k
     WHERE k.kek_version = p_version FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no KEK version %', p_version USING ERRCODE = 'SK002';
    END IF;
    RETURN v_state;
END
$$;
COMMENT ON FUNCTION speke.kek_state_for_change IS
    'State of a KEK, whose row stays locked: who inserts a key under it waits. SK002: no such version';

CREATE FUNCTION speke.kek_activate(p_version integer, p_check bytea) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    -- Two that activate at a time go one after the other.
    v_locked CONSTANT boolean := pg_advisory_xact_lock(
        hashtextextended('speke.kek_activate', 0)) IS NOT NULL;
    v_state  CONSTANT text := speke.kek_state_for_change(p_version);
BEGIN
    IF NOT EXISTS (SELECT FROM speke.kek_version k
                    WHERE k.kek_version = p_version AND k.check_value = p_check) THEN
        RAISE EXCEPTION 'KEK version % is registered with another check value', p_version
            USING ERRCODE = 'SK009';
    END IF;
    IF v_state = 'active' THEN
        RETURN;
    END IF;
    IF v_state NOT IN ('ready', 'retiring') THEN
        RAISE EXCEPTION 'KEK version % is %: only one that is ready or retiring becomes active',
            p_version, v_state USING ERRCODE = 'SK009';
    END IF;
    UPDATE speke.kek_version SET state = 'retiring' WHERE state = 'active';
    UPDATE speke.kek_version SET state = 'active' WHERE kek_version = p_version;
    PERFORM speke.audit_admin(NULL, NULL, format('kek_activate %s', p_version));
END
$$;
COMMENT ON FUNCTION speke.kek_activate IS
    'Makes a KEK that is ready (or, to go back to it, retiring) the active one; the former becomes retiring. SK002: no such version. SK009: another state or check value';

CREATE FUNCTION speke.kek_retire(p_version integer) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_state CONSTANT text := speke.kek_state_for_change(p_version);
    v_keys  bigint;
BEGIN
    IF v_state = 'retired' THEN
        RETURN;
    END IF;
    IF v_state NOT IN ('ready', 'retiring') THEN
        RAISE EXCEPTION 'KEK version % is %: only one that is ready or retiring is retired',
            p_version, v_state USING ERRCODE = 'SK009';
    END IF;
    SELECT count(*) INTO STRICT v_keys FROM speke.content_key c
     WHERE c.kek_version = p_version AND c.sealed IS NOT NULL;
    IF v_keys > 0 THEN
        RAISE EXCEPTION '% keys are sealed under KEK version %: rewrap them first', v_keys, p_version
            USING ERRCODE = 'SK009';
    END IF;
    UPDATE speke.kek_version SET state = 'retired' WHERE kek_version = p_version;
    PERFORM speke.audit_admin(NULL, NULL, format('kek_retire %s', p_version));
END
$$;
COMMENT ON FUNCTION speke.kek_retire IS
    'Retires a KEK under which no key is sealed; reads the whole table of keys. SK002: no such version. SK009: it is active, or keys are sealed under it';

CREATE FUNCTION speke.kek_destroy(p_version integer) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_state CONSTANT text := speke.kek_state_for_change(p_version);
BEGIN
    IF v_state = 'destroyed' THEN
        RETURN;
    END IF;
    IF v_state <> 'retired' THEN
        RAISE EXCEPTION 'KEK version % is %: only a retired one is destroyed', p_version, v_state
            USING ERRCODE = 'SK009';
    END IF;
    UPDATE speke.kek_version SET state = 'destroyed' WHERE kek_version = p_version;
    PERFORM speke.audit_admin(NULL, NULL, format('kek_destroy %s', p_version));
END
$$;
COMMENT ON FUNCTION speke.kek_destroy IS
    'Notes that a retired KEK was taken out of the KEK file for good. SK002: no such version. SK009: it is not retired';


-- Sealing keys anew under the active KEK -------------------------------------------------------------

-- Along the primary key, so that no index has to be kept for it and a run that was interrupted
-- skips what is done at the speed of an index scan. Nothing is locked.
CREATE FUNCTION speke.rewrap_batch(
    p_kek_version integer, p_tenant_id integer, p_digest bytea, p_kid uuid, p_limit integer)
RETURNS TABLE (tenant_id integer, content_digest bytea, kid uuid, kek_version integer,
               sealed bytea, scheme text, content_id text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off
AS $$
BEGIN
    IF p_limit NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'rewrap_batch: 1 to 1000 keys' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY
        SELECT c.tenant_id, c.content_digest, c.kid, c.kek_version, c.sealed, c.scheme, c.content_id
          FROM speke.content_key c
         WHERE (c.tenant_id, c.content_digest, c.kid) > (p_tenant_id, p_digest, p_kid)
           AND c.kek_version <> p_kek_version
           AND c.sealed IS NOT NULL
         ORDER BY c.tenant_id, c.content_digest, c.kid
         LIMIT p_limit;
END
$$;
COMMENT ON FUNCTION speke.rewrap_batch IS
    'The next keys, in the order of the primary key and after the given one, that are sealed under another KEK than the given one';

CREATE FUNCTION speke.rewrap_store(
    p_kek_version integer, p_tenant_ids integer[], p_digests bytea[], p_kids uuid[],
    p_old bytea[], p_new bytea[])
RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    v_count  CONSTANT integer := cardinality(p_kids);
    v_stored integer;
BEGIN
    IF cardinality(p_tenant_ids) <> v_count OR cardinality(p_digests) <> v_count
       OR cardinality(p_old) <> v_count OR cardinality(p_new) <> v_count THEN
        RAISE EXCEPTION 'rewrap_store: lists of different lengths'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM FROM speke.kek_version k
      WHERE k.kek_version = p_kek_version AND k.state = 'active' FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'KEK version % is not the active one', p_kek_version USING ERRCODE = 'SK009';
    END IF;
    -- What an interrupted or parallel run has done, or does at this moment, is left alone.
    WITH locked AS (
        SELECT c.tenant_id, c.content_digest, c.kid, given.new
          FROM unnest(p_tenant_ids, p_digests, p_kids, p_old, p_new)
               AS given (tenant_id, digest, kid, old, new)
          JOIN speke.content_key c
            ON c.tenant_id = given.tenant_id AND c.content_digest = given.digest
           AND c.kid = given.kid
         WHERE c.sealed = given.old
           FOR NO KEY UPDATE OF c SKIP LOCKED
    ), stored AS (
        UPDATE speke.content_key c
           SET sealed = l.new, kek_version = p_kek_version
          FROM locked l
         WHERE c.tenant_id = l.tenant_id AND c.content_digest = l.content_digest AND c.kid = l.kid
        RETURNING 1
    )
    SELECT count(*)::integer INTO STRICT v_stored FROM stored;
    IF v_stored > 0 THEN
        PERFORM speke.audit_admin(NULL, NULL,
                                  format('rewrap_store %s keys to KEK %s', v_stored, p_kek_version));
    END IF;
    RETURN v_stored;
END
$$;
COMMENT ON FUNCTION speke.rewrap_store IS
    'Replaces sealed keys by the same ones sealed under the active KEK, where they still are what was read; returns how many. SK009: the KEK is not the active one';


-- Rights --------------------------------------------------------------------------------------------

REVOKE ALL ON ALL TABLES IN SCHEMA speke FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA speke FROM PUBLIC;

DO $$
BEGIN
    IF current_user = 'speke_owner' THEN
        GRANT SELECT ON speke.v_kek_use TO speke_auditor, speke_operator;
        GRANT EXECUTE ON FUNCTION speke.kek_add, speke.kek_activate, speke.kek_retire,
            speke.kek_destroy, speke.rewrap_batch, speke.rewrap_store TO speke_operator;
    END IF;
END
$$;

INSERT INTO speke.schema_version (version, name) VALUES (6, 'keks');

COMMIT;
