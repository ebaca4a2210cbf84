-- SPDX-License-Identifier: Apache-2.0
--
-- Schema "speke" of speke-fcgi, migration 8: the life of a content key: import, export, revocation,
-- destruction.
--
--     content_key, content_period     may have come by an import: created_by, first_seen_by NULL
--     key_import                      what an import has staged, until it ends
--
--     for speke_operator:     key_list, key_count; key_revoke, key_restore, key_destroy; key_export;
--                             key_import_begin, key_import_stage, key_import_stage_periods,
--                             key_import_repeated, key_import_insert, key_import_existing,
--                             key_import_drop, key_import_finish, key_import_refused
--     for auditors:           key_list, key_count; v_key tells the state of a key
--
-- Most take a selection: a JSON object whose members all have to hold, see key_condition(). The
-- value of a key, sealed, leaves by key_export() and key_import_existing(), which write the audit
-- row, and by rewrap_batch() of migration 6, whose keys are for rewrap_store(). Errors with a meaning, besides those of the migrations before:
--
--     SK002  no tenant of that name
--     SK010  a selection that is none, or that selects everything where something is changed
--     SK011  unused_for: the audit does not reach back so far
--     SK012  import: the KEK is not the active one, or an import was not begun

BEGIN;

DO $$
BEGIN
    -- As the owner of the schema, whoever that is.
    PERFORM pg_catalog.set_config('role', pg_catalog.pg_get_userbyid(nspowner), true)
       FROM pg_catalog.pg_namespace WHERE nspname = 'speke';
END
$$;


-- Keys that no client asked for -------------------------------------------------------------------

ALTER TABLE speke.content_key ALTER COLUMN created_by DROP NOT NULL;
COMMENT ON COLUMN speke.content_key.created_by IS
    'The client that asked for it first; a client of the same tenant. NULL: an operator imported it, and the audit says who';
ALTER TABLE speke.content_period ALTER COLUMN first_seen_by DROP NOT NULL;
COMMENT ON COLUMN speke.content_period.first_seen_by IS
    'The client that named the period first; NULL: it came with an import';

CREATE VIEW speke.key_and_state AS
    SELECT k.tenant_id, k.content_digest, k.kid, k.content_id, k.scheme, k.explicit_iv, k.sealed,
           k.kek_version, k.created_by, k.created_at, k.revoked_at, k.destroyed_at, k.reason,
           CASE WHEN k.destroyed_at IS NOT NULL THEN 'destroyed'
                WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                ELSE 'active' END AS state
      FROM speke.content_key k;
COMMENT ON VIEW speke.key_and_state IS
    'The content keys and the state of each in one word; for the functions and views';

CREATE OR REPLACE VIEW speke.v_key AS
    SELECT t.name AS tenant, k.content_id, k.kid, k.scheme, k.kek_version, k.created_at,
           c.name AS created_by, k.state, k.revoked_at, k.destroyed_at, k.reason
      FROM speke.key_and_state k
      JOIN speke.tenant t ON t.tenant_id = k.tenant_id
      LEFT JOIN speke.client c ON c.client_id = k.created_by;
COMMENT ON VIEW speke.v_key IS
    'Which keys there are, without the keys, and their state; created_by NULL: imported';

CREATE OR REPLACE VIEW speke.v_period AS
    SELECT t.name AS tenant, p.content_id, p.period_id, p.period_index, p.period_start,
           p.period_end, p.start_offset, p.end_offset, p.kids, p.first_seen_at,
           c.name AS first_seen_by
      FROM speke.content_period p
      JOIN speke.tenant t ON t.tenant_id = p.tenant_id
      LEFT JOIN speke.client c ON c.client_id = p.first_seen_by;
COMMENT ON VIEW speke.v_period IS
    'Content key periods, as packagers named them; first_seen_by NULL: imported';


-- Selections --------------------------------------------------------------------------------------

CREATE FUNCTION speke.key_tenant(p_tenant text) RETURNS integer
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_tenant_id integer;
BEGIN
    SELECT t.tenant_id INTO v_tenant_id FROM speke.tenant t WHERE t.name = p_tenant;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no tenant "%"', p_tenant USING ERRCODE = 'SK002';
    END IF;
    RETURN v_tenant_id;
END
$$;
COMMENT ON FUNCTION speke.key_tenant IS 'The number of a tenant. SK002: there is none of that name';

CREATE FUNCTION speke.key_unused(p_for interval) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_since  CONSTANT timestamptz := now() - p_for;
    v_oldest timestamptz;
BEGIN
    -- Where older events were archived away, a key that looks unused may have been in use.
    IF EXISTS (SELECT FROM speke.content_key k WHERE k.created_at < v_since) THEN
        SELECT min(a.at) INTO v_oldest FROM speke.audit_event a;
        IF v_oldest IS NULL OR v_oldest > v_since THEN
            RAISE EXCEPTION 'the audit reaches back to % and cannot tell what was unused since %',
                            coalesce(to_char(v_oldest, 'YYYY-MM-DD'), 'nothing'),
                            to_char(v_since, 'YYYY-MM-DD')
                USING ERRCODE = 'SK011';
        END IF;
    END IF;
    RETURN format(
        'k.created_at < %1$L::timestamptz AND NOT EXISTS '
        '(SELECT FROM (SELECT DISTINCT a.tenant_id, a.content_id, u.kid '
        'FROM speke.audit_event a CROSS JOIN LATERAL unnest(a.kids) AS u (kid) '
        'WHERE a.at >= %1$L::timestamptz AND a.event IN (''release'', ''delivery'')) AS used '
        'WHERE used.tenant_id = k.tenant_id AND used.content_id = k.content_id '
        'AND used.kid = k.kid)', v_since);
END
$$;
COMMENT ON FUNCTION speke.key_unused IS
    'The condition that a key is older than that and was given to nobody since. SK011: the audit does not reach back so far';

CREATE FUNCTION speke.key_condition(p_selection jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_name  text;
    v_value text;
    v_part  text;
    v_parts text[] := '{}';
BEGIN
    IF jsonb_typeof(p_selection) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'a selection of keys is a JSON object' USING ERRCODE = 'SK010';
    END IF;
    FOR v_name, v_value IN SELECT m.key, m.value FROM jsonb_each_text(p_selection) AS m LOOP
        v_part := CASE v_name
            WHEN 'tenant' THEN format('k.tenant_id = %s', speke.key_tenant(v_value))
            WHEN 'content_id' THEN
                format('k.content_digest = sha256(convert_to(%L, ''UTF8''))', v_value)
            WHEN 'content_like' THEN format('k.content_id LIKE %L', v_value)
            WHEN 'kids' THEN
                format('k.kid = ANY (%L::uuid[])',
                       ARRAY(SELECT jsonb_array_elements_text(p_selection -> 'kids'))::uuid[])
            WHEN 'period' THEN
                format('EXISTS (SELECT FROM speke.content_period p '
                       'WHERE p.tenant_id = k.tenant_id AND p.content_digest = k.content_digest '
                       'AND %L IN (p.period_id, p.period_index) AND k.kid = ANY (p.kids))',
                       v_value)
            WHEN 'created_from' THEN format('k.created_at >= %L::timestamptz', v_value::timestamptz)
            WHEN 'created_to' THEN format('k.created_at < %L::timestamptz', v_value::timestamptz)
            WHEN 'state' THEN
                CASE v_value
                    WHEN 'active' THEN 'k.revoked_at IS NULL AND k.destroyed_at IS NULL'
                    WHEN 'revoked' THEN 'k.revoked_at IS NOT NULL AND k.destroyed_at IS NULL'
                    WHEN 'destroyed' THEN 'k.destroyed_at IS NOT NULL'
                    WHEN 'kept' THEN 'k.destroyed_at IS NULL'
                END
            WHEN 'kek_version' THEN format('k.kek_version = %s', v_value::integer)
            WHEN 'unused_for' THEN speke.key_unused(v_value::interval)
        END;
        IF v_part IS NULL OR v_value IS NULL THEN
            RAISE EXCEPTION 'a selection of keys has no "%": %', v_name, v_value
                USING ERRCODE = 'SK010';
        END IF;
        v_parts := v_parts || v_part;
    END LOOP;
    RETURN coalesce(nullif(array_to_string(v_parts, ' AND '), ''), 'true');
END
$$;
COMMENT ON FUNCTION speke.key_condition IS
    'The SQL condition on a content_key "k" for a selection with these members, each optional: tenant; content_id, or content_like, a pattern of LIKE; kids, an array; period, an id or index; created_from and created_to (before it); state (active, revoked, destroyed; kept: not destroyed); kek_version; unused_for, an interval. SK010: a member that is none of these';

CREATE FUNCTION speke.key_list(p_selection jsonb, p_limit bigint)
RETURNS TABLE (tenant text, content_id text, kid uuid, scheme text, state text,
               kek_version integer, created_at timestamptz, created_by text,
               revoked_at timestamptz, destroyed_at timestamptz, reason text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
SET timezone = 'UTC'
AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT t.name, k.content_id, k.kid, k.scheme, k.state, k.kek_version, k.created_at, '
        'c.name, k.revoked_at, k.destroyed_at, k.reason FROM speke.key_and_state k '
        'JOIN speke.tenant t ON t.tenant_id = k.tenant_id '
        'LEFT JOIN speke.client c ON c.client_id = k.created_by WHERE %s %s',
        speke.key_condition(p_selection),
        CASE WHEN p_limit IS NOT NULL
             THEN format('ORDER BY k.created_at DESC, t.name, k.content_id, k.kid LIMIT %s',
                         p_limit)
             ELSE 'ORDER BY k.tenant_id, k.content_digest, k.kid' END);
END
$$;
COMMENT ON FUNCTION speke.key_list IS
    'The keys of a selection, without the keys: the newest p_limit, or (NULL) all, content by content';

CREATE FUNCTION speke.key_count(p_selection jsonb, OUT keys bigint, OUT contents bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
SET timezone = 'UTC'
AS $$
BEGIN
    EXECUTE format('SELECT coalesce(sum(c.n), 0)::bigint, count(*) FROM (SELECT count(*) AS n '
                   'FROM speke.content_key k WHERE %s GROUP BY k.tenant_id, k.content_digest) c',
                   speke.key_condition(p_selection))
       INTO keys, contents;
END
$$;
COMMENT ON FUNCTION speke.key_count IS 'How many keys a selection has, and of how many contents';


-- Audit -------------------------------------------------------------------------------------------

CREATE FUNCTION speke.key_audit_sql(p_rows text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, speke, pg_temp
AS $$
    SELECT format(
        'INSERT INTO speke.audit_event '
        '(event, tenant_id, remote_addr, operator, agent, content_id, kids, detail, '
        'recipient_fingerprints, recipient_subjects) '
        'SELECT $1, g.tenant_id, inet_client_addr(), session_user, '
        'nullif(current_setting(''application_name''), ''''), left(g.content_id, 1024), '
        'array_agg(g.kid ORDER BY g.kid), $2, $3, $4 '
        'FROM (SELECT r.tenant_id, r.content_digest, r.content_id, r.kid, '
        '(row_number() OVER (PARTITION BY r.tenant_id, r.content_digest ORDER BY r.kid) - 1) '
        '/ 1000 AS part FROM %s AS r) AS g '
        'GROUP BY g.tenant_id, g.content_digest, g.content_id, g.part '
        'ORDER BY g.tenant_id, g.content_digest, g.part RETURNING event_id', p_rows)
$$;
COMMENT ON FUNCTION speke.key_audit_sql IS
    'The statement that writes what happened to these rows into the audit, an event for each content and 1000 KIDs of it; its parameters are event, detail, fingerprints and subjects';


-- Revoking and destroying -------------------------------------------------------------------------

CREATE FUNCTION speke.key_change(p_selection jsonb, p_where text, p_set text, p_reason text,
                                 p_detail text)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, speke, pg_temp
AS $$
DECLARE
    v_condition CONSTANT text := speke.key_condition(p_selection);
    v_changed   bigint;
BEGIN
    IF p_selection - 'state' = '{}' THEN
        RAISE EXCEPTION 'not all keys of all tenants at once: select some' USING ERRCODE = 'SK010';
    END IF;
    EXECUTE format('WITH changed AS (UPDATE speke.content_key k SET %s WHERE (%s) AND %s '
                   'RETURNING k.tenant_id, k.content_digest, k.content_id, k.kid), '
                   'audited AS (%s) SELECT count(*) FROM changed',
                   p_set, v_condition, p_where,
                   speke.key_audit_sql('changed'))
       INTO v_changed
      USING 'admin', p_detail || coalesce(': ' || p_reason, ''), NULL::bytea[], NULL::text[],
            p_reason;
    RETURN v_changed;
END
$$;
COMMENT ON FUNCTION speke.key_change IS
    'Changes the keys of a selection and writes which; for the three functions below. The reason is parameter 5 of p_set';

CREATE FUNCTION speke.key_revoke(p_selection jsonb, p_reason text) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
SET timezone = 'UTC'
AS $$
    SELECT speke.key_change(p_selection, 'k.revoked_at IS NULL AND k.destroyed_at IS NULL',
                            'revoked_at = now(), reason = $5', p_reason, 'key_revoke')
$$;
COMMENT ON FUNCTION speke.key_revoke IS
    'Revokes those keys of a selection that are active: nobody gets them until key_restore(). Returns how many';

CREATE FUNCTION speke.key_restore(p_selection jsonb, p_reason text) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
SET timezone = 'UTC'
AS $$
    SELECT speke.key_change(p_selection, 'k.revoked_at IS NOT NULL AND k.destroyed_at IS NULL',
                            'revoked_at = NULL, reason = NULL', p_reason, 'key_restore')
$$;
COMMENT ON FUNCTION speke.key_restore IS
    'Takes the revocation of a selection back. Returns how many keys are active again. A destroyed key stays destroyed';

CREATE FUNCTION speke.key_destroy(p_selection jsonb, p_reason text) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
SET timezone = 'UTC'
AS $$
    SELECT speke.key_change(p_selection, 'k.destroyed_at IS NULL',
                            'sealed = NULL, destroyed_at = now(), reason = coalesce($5, reason)',
                            p_reason, 'key_destroy')
$$;
COMMENT ON FUNCTION speke.key_destroy IS
    'Removes the values of the keys of a selection for ever; the rows stay, so that no other key is made in their place. Returns how many. The old row versions go with the next VACUUM; backups and archived WAL keep theirs';


-- Export ------------------------------------------------------------------------------------------

CREATE FUNCTION speke.key_export(
    p_selection jsonb, p_after_tenant_id integer, p_after_digest bytea, p_after_kid uuid,
    p_limit integer, p_form text, p_fingerprints bytea[], p_subjects text[])
RETURNS TABLE (tenant_id integer, content_digest bytea, kid uuid, content_id text, scheme text,
               explicit_iv bytea, sealed bytea, kek_version integer, periods jsonb)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
SET timezone = 'UTC'
AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'WITH page AS MATERIALIZED ('
        '    SELECT k.tenant_id, k.content_digest, k.kid, k.content_id, k.scheme, k.explicit_iv, '
        '           k.sealed, k.kek_version '
        '      FROM speke.content_key k WHERE (%s) AND k.sealed IS NOT NULL AND %s '
        '     ORDER BY k.tenant_id, k.content_digest, k.kid LIMIT $8'
        '), tied AS ('
        '    SELECT p.tenant_id, p.content_digest, u.kid, '
        '           jsonb_agg(jsonb_build_object(''id'', p.period_id, ''index'', p.period_index, '
        '               ''start'', p.period_start, ''end'', p.period_end, ''startOffset'', '
        '               p.start_offset, ''endOffset'', p.end_offset) ORDER BY p.period_digest) AS periods '
        '      FROM (SELECT DISTINCT g.tenant_id, g.content_digest FROM page g) AS c '
        '      JOIN speke.content_period p '
        '        ON p.tenant_id = c.tenant_id AND p.content_digest = c.content_digest '
        '     CROSS JOIN LATERAL unnest(p.kids) AS u (kid) '
        '     GROUP BY p.tenant_id, p.content_digest, u.kid'
        '), audited AS (%s) '
        'SELECT g.tenant_id, g.content_digest, g.kid, g.content_id, g.scheme, g.explicit_iv, '
        '       g.sealed, g.kek_version, t.periods '
        '  FROM page g LEFT JOIN tied t ON t.tenant_id = g.tenant_id '
        '       AND t.content_digest = g.content_digest AND t.kid = g.kid '
        ' ORDER BY g.tenant_id, g.content_digest, g.kid',
        speke.key_condition(p_selection),
        CASE WHEN p_after_tenant_id IS NULL THEN 'true'
             ELSE '(k.tenant_id, k.content_digest, k.kid) > ($5, $6, $7)' END,
        speke.key_audit_sql('page'))
     USING 'export', 'key_export ' || p_form, nullif(p_fingerprints, '{}'),
           nullif(p_subjects, '{}'), p_after_tenant_id, p_after_digest, p_after_kid, p_limit;
END
$$;
COMMENT ON FUNCTION speke.key_export IS
    'The next p_limit keys of a selection, sealed, in the order of their identity after the one given (NULL: from the first), and the periods that name them; writes into the audit which, and for whose certificates. Destroyed keys have nothing to export';


-- Import ------------------------------------------------------------------------------------------

-- Rows of a transaction that ends without having removed them are nobody's, and go with the next
-- import. They are no loss in a crash, and no work for the WAL.
CREATE UNLOGGED TABLE speke.key_import (
    stage_id       bigint  GENERATED ALWAYS AS IDENTITY,
    import_id      bigint  NOT NULL,
    line           bigint  NOT NULL,
    left_out       boolean NOT NULL DEFAULT false,
    tenant_id      integer NOT NULL,
    kek_version    integer,
    kid            uuid    NOT NULL,
    iv_given       boolean,
    content_digest bytea   NOT NULL,
    explicit_iv    bytea,
    sealed         bytea,
    scheme         text,
    content_id     text    NOT NULL,
    period_id      text,
    period_index   text,
    period_start   text,
    period_end     text,
    start_offset   text,
    end_offset     text,
    -- In the order in which key_import_existing() goes through them.
    CONSTRAINT key_import_pk PRIMARY KEY (import_id, line, stage_id)
);
COMMENT ON TABLE speke.key_import IS
    'What imports have staged that are going on: keys, and (sealed NULL) periods with a key that they name. Empty otherwise; each transaction sees its own rows alone.';
COMMENT ON COLUMN speke.key_import.stage_id IS 'Number of the row; nothing refers to it';
COMMENT ON COLUMN speke.key_import.import_id IS 'Number of the transaction';
COMMENT ON COLUMN speke.key_import.line IS 'Where it stands in what is imported';
COMMENT ON COLUMN speke.key_import.left_out IS 'A key that is not to be imported after all';
COMMENT ON COLUMN speke.key_import.tenant_id IS 'Whose key it will be';
COMMENT ON COLUMN speke.key_import.kek_version IS 'The KEK that it is sealed under';
COMMENT ON COLUMN speke.key_import.kid IS 'Key identifier';
COMMENT ON COLUMN speke.key_import.iv_given IS 'false: the IV was made for the import';
COMMENT ON COLUMN speke.key_import.content_digest IS 'SHA-256 of content_id as UTF-8';
COMMENT ON COLUMN speke.key_import.explicit_iv IS 'Initialisation vector';
COMMENT ON COLUMN speke.key_import.sealed IS 'As in content_key; NULL for a period';
COMMENT ON COLUMN speke.key_import.scheme IS 'As in content_key';
COMMENT ON COLUMN speke.key_import.content_id IS 'Content id';
COMMENT ON COLUMN speke.key_import.period_id IS 'As in content_period, like those below';
COMMENT ON COLUMN speke.key_import.period_index IS 'ContentKeyPeriod@index';
COMMENT ON COLUMN speke.key_import.period_start IS 'ContentKeyPeriod@start';
COMMENT ON COLUMN speke.key_import.period_end IS 'ContentKeyPeriod@end';
COMMENT ON COLUMN speke.key_import.start_offset IS 'ContentKeyPeriod@startOffset';
COMMENT ON COLUMN speke.key_import.end_offset IS 'ContentKeyPeriod@endOffset';

CREATE VIEW speke.key_import_mine AS
    SELECT i.* FROM speke.key_import i
     WHERE i.import_id = pg_current_xact_id()::text::bigint;
COMMENT ON VIEW speke.key_import_mine IS 'What this transaction has staged; for the functions';

CREATE FUNCTION speke.key_import_begin(p_tenant text, OUT tenant_id integer,
                                       OUT kek_version integer, OUT kek_check bytea)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    tenant_id := speke.key_tenant(p_tenant);
    -- It stays the active one until the import has ended. Exchanges do not wait for this lock.
    SELECT k.kek_version, k.check_value INTO kek_version, kek_check
      FROM speke.kek_version k WHERE k.state = 'active' FOR SHARE;
    DELETE FROM speke.key_import; -- those that are seen are of a transaction that has ended
END
$$;
COMMENT ON FUNCTION speke.key_import_begin IS
    'Begins an import into a tenant, which ends with the transaction; tells the KEK to seal under (NULL: none is active). SK002: no such tenant';

CREATE FUNCTION speke.key_import_stage(
    p_tenant_id integer, p_kek_version integer, p_lines bigint[], p_content_ids text[],
    p_kids uuid[], p_schemes text[], p_ivs bytea[], p_ivs_given boolean[], p_sealed bytea[])
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
BEGIN
    IF cardinality(p_lines) <> ANY (ARRAY[cardinality(p_content_ids), cardinality(p_kids),
                                          cardinality(p_schemes), cardinality(p_ivs),
                                          cardinality(p_ivs_given), cardinality(p_sealed)])
       OR array_position(p_sealed, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'key_import_stage: lists of different lengths'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM FROM speke.kek_version k
      WHERE k.kek_version = p_kek_version AND k.state = 'active';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'KEK version % is not the active one', p_kek_version
            USING ERRCODE = 'SK012';
    END IF;
    INSERT INTO speke.key_import
           (import_id, line, tenant_id, kek_version, kid, iv_given, content_digest, explicit_iv,
            sealed, scheme, content_id)
    SELECT pg_current_xact_id()::text::bigint, r.line, p_tenant_id, p_kek_version, r.kid,
           r.iv_given, sha256(convert_to(r.content_id, 'UTF8')), r.iv, r.sealed, r.scheme,
           r.content_id
      FROM unnest(p_lines, p_content_ids, p_kids, p_schemes, p_ivs, p_ivs_given, p_sealed)
           AS r (line, content_id, kid, scheme, iv, iv_given, sealed);
END
$$;
COMMENT ON FUNCTION speke.key_import_stage IS
    'Stages keys, sealed, for the import of this transaction. SK012: not under the active KEK';

CREATE FUNCTION speke.key_import_stage_periods(
    p_tenant_id integer, p_lines bigint[], p_content_ids text[], p_kids uuid[], p_ids text[],
    p_indexes text[], p_starts text[], p_ends text[], p_start_offsets text[],
    p_end_offsets text[])
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
    INSERT INTO speke.key_import
           (import_id, line, tenant_id, kid, content_digest, content_id, period_id, period_index,
            period_start, period_end, start_offset, end_offset)
    SELECT pg_current_xact_id()::text::bigint, r.line, p_tenant_id, r.kid,
           sha256(convert_to(r.content_id, 'UTF8')), r.content_id, r.id, r.index, r.start, r."end",
           r.start_offset, r.end_offset
      FROM unnest(p_lines, p_content_ids, p_kids, p_ids, p_indexes, p_starts, p_ends,
                  p_start_offsets, p_end_offsets)
           AS r (line, content_id, kid, id, index, start, "end", start_offset, end_offset)
$$;
COMMENT ON FUNCTION speke.key_import_stage_periods IS
    'Stages periods, one row for each key that a period names';

CREATE FUNCTION speke.key_import_repeated(p_limit integer)
RETURNS TABLE (line bigint, first_line bigint, content_id text, kid uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
    SELECT max(i.line), min(i.line), min(i.content_id), i.kid
      FROM speke.key_import_mine i
     WHERE i.sealed IS NOT NULL
     GROUP BY i.content_digest, i.kid
    HAVING count(*) > 1
     ORDER BY 1
     LIMIT p_limit
$$;
COMMENT ON FUNCTION speke.key_import_repeated IS
    'Keys that are staged more than once, and where: such an import is at fault';

CREATE FUNCTION speke.key_import_insert(OUT staged bigint, OUT inserted bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
BEGIN
    SELECT count(*) INTO staged FROM speke.key_import_mine i WHERE i.sealed IS NOT NULL;
    -- In the order of the index, as exchanges insert: whoever comes second waits, never in a circle.
    INSERT INTO speke.content_key
           (tenant_id, created_by, kek_version, kid, content_digest, explicit_iv, sealed, scheme,
            content_id)
    SELECT i.tenant_id, NULL, i.kek_version, i.kid, i.content_digest, i.explicit_iv, i.sealed,
           i.scheme, i.content_id
      FROM speke.key_import_mine i
     WHERE i.sealed IS NOT NULL
     ORDER BY i.tenant_id, i.content_digest, i.kid
    ON CONFLICT ON CONSTRAINT content_key_identity DO NOTHING;
    GET DIAGNOSTICS inserted = ROW_COUNT;
END
$$;
COMMENT ON FUNCTION speke.key_import_insert IS
    'Inserts the staged keys that are not there yet; nothing is overwritten';

-- What is sealed anew has a nonce of its own: the row is of this import when it has the same bytes.
CREATE VIEW speke.key_import_there AS
    SELECT i.line, i.tenant_id, i.content_digest, i.kid, i.content_id, i.iv_given,
           i.sealed AS new_sealed, i.kek_version AS new_kek_version, i.scheme AS new_scheme,
           i.explicit_iv AS new_iv, k.sealed, k.kek_version, k.scheme, k.explicit_iv,
           k.state, k.sealed IS NOT DISTINCT FROM i.sealed AS imported
      FROM speke.key_import_mine i
     CROSS JOIN LATERAL (SELECT * FROM speke.key_and_state c
                          WHERE c.tenant_id = i.tenant_id
                            AND c.content_digest = i.content_digest
                            AND c.kid = i.kid
                          LIMIT 1) AS k
     WHERE i.sealed IS NOT NULL;
COMMENT ON VIEW speke.key_import_there IS
    'The staged keys beside those of the same identity that are there after key_import_insert(); for the functions';

CREATE FUNCTION speke.key_import_existing(p_after_line bigint, p_limit integer)
RETURNS TABLE (line bigint, content_id text, kid uuid, iv_given boolean, new_sealed bytea,
               new_kek_version integer, new_scheme text, new_iv bytea, sealed bytea,
               kek_version integer, scheme text, explicit_iv bytea, state text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
-- By the index and in its order, whatever is thought of a table that was empty a moment ago: else each
-- page would look through all that is staged.
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'WITH page AS MATERIALIZED (SELECT * FROM speke.key_import_there i '
        'WHERE NOT i.imported AND i.line > $5 ORDER BY i.line LIMIT $6), audited AS (%s) '
        'SELECT g.line, g.content_id, g.kid, g.iv_given, g.new_sealed, g.new_kek_version, '
        'g.new_scheme, g.new_iv, g.sealed, g.kek_version, g.scheme, g.explicit_iv, g.state '
        'FROM page g ORDER BY g.line', speke.key_audit_sql('page'))
     USING 'import', 'key_import: compared with a key to be imported', NULL::bytea[],
           NULL::text[], p_after_line, p_limit;
END
$$;
COMMENT ON FUNCTION speke.key_import_existing IS
    'The next p_limit keys after that line whose identity was there before, sealed, with those that were to be imported, so that they can be compared; writes into the audit which';

CREATE FUNCTION speke.key_import_drop(p_lines bigint[]) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
    UPDATE speke.key_import i SET left_out = true
     WHERE i.import_id = pg_current_xact_id()::text::bigint
       AND i.line = ANY (p_lines) AND i.sealed IS NOT NULL
$$;
COMMENT ON FUNCTION speke.key_import_drop IS
    'Leaves the keys of these lines out, which are there already, and the periods that name them';

CREATE FUNCTION speke.key_import_finish(p_source text, OUT periods bigint, OUT missing_line bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
SET enable_seqscan = off SET enable_nestloop = on
AS $$
BEGIN
    PERFORM set_config('enable_nestloop', 'off', true); -- both sides may be long
    DELETE FROM speke.key_import i
     USING speke.key_import_mine d
     WHERE i.import_id = pg_current_xact_id()::text::bigint
       AND i.sealed IS NULL AND d.left_out
       AND i.content_digest = d.content_digest AND i.kid = d.kid;
    PERFORM set_config('enable_nestloop', 'on', true);
    SELECT min(i.line) INTO missing_line
      FROM speke.key_import_mine i
      LEFT JOIN LATERAL (SELECT true AS there FROM speke.content_key c
                          WHERE c.tenant_id = i.tenant_id
                            AND c.content_digest = i.content_digest
                            AND c.kid = i.kid
                          LIMIT 1) AS k ON true
     WHERE i.sealed IS NULL AND k.there IS NULL;
    IF missing_line IS NOT NULL THEN
        RETURN;
    END IF;
    INSERT INTO speke.content_period
           (tenant_id, first_seen_by, content_digest, period_digest, content_id, period_id,
            period_index, period_start, period_end, start_offset, end_offset, kids)
    SELECT p.tenant_id, NULL, p.content_digest,
           speke.period_digest(p.period_id, p.period_index, p.period_start, p.period_end,
                               p.start_offset, p.end_offset, p.kids) AS period_digest,
           p.content_id, p.period_id, p.period_index, p.period_start, p.period_end,
           p.start_offset, p.end_offset, p.kids
      FROM (SELECT i.tenant_id, i.content_digest, i.content_id, i.period_id, i.period_index,
                   i.period_start, i.period_end, i.start_offset, i.end_offset,
                   array_agg(DISTINCT i.kid ORDER BY i.kid) AS kids
              FROM speke.key_import_mine i
             WHERE i.sealed IS NULL
             GROUP BY i.tenant_id, i.content_digest, i.content_id, i.period_id, i.period_index,
                      i.period_start, i.period_end, i.start_offset, i.end_offset) AS p
     ORDER BY p.content_digest, period_digest
    ON CONFLICT ON CONSTRAINT content_period_identity DO NOTHING;
    GET DIAGNOSTICS periods = ROW_COUNT;
    EXECUTE speke.key_audit_sql('(SELECT * FROM speke.key_import_there i WHERE i.imported)')
      USING 'import', 'key_import ' || p_source, NULL::bytea[], NULL::text[];
    DELETE FROM speke.key_import i WHERE i.import_id = pg_current_xact_id()::text::bigint;
END
$$;
COMMENT ON FUNCTION speke.key_import_finish IS
    'Keeps the periods, writes into the audit which keys came from where, and clears the stage; the transaction can be committed then. A missing_line names a period whose key is neither imported nor there: nothing was done';

CREATE FUNCTION speke.key_import_refused(p_tenant text, p_detail text) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
AS $$
    SELECT speke.audit_operator('import', speke.key_tenant(p_tenant), NULL, NULL, '{}',
                                left('key_import refused: ' || p_detail, 1024))
$$;
COMMENT ON FUNCTION speke.key_import_refused IS
    'Writes that an import was given up, whose own audit rows went with its transaction; returns the number of the row';


-- Rights ------------------------------------------------------------------------------------------

REVOKE ALL ON ALL TABLES IN SCHEMA speke FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA speke FROM PUBLIC;

DO $$
BEGIN
    IF current_user = 'speke_owner' THEN
        GRANT EXECUTE ON FUNCTION speke.key_list, speke.key_count
            TO speke_operator, speke_auditor;
        GRANT EXECUTE ON FUNCTION speke.key_revoke, speke.key_restore, speke.key_destroy,
            speke.key_export, speke.key_import_begin, speke.key_import_stage,
            speke.key_import_stage_periods, speke.key_import_repeated, speke.key_import_insert,
            speke.key_import_existing, speke.key_import_drop, speke.key_import_finish,
            speke.key_import_refused
            TO speke_operator;
    END IF;
END
$$;

INSERT INTO speke.schema_version (version, name) VALUES (8, 'keys');

COMMIT;
