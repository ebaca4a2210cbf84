-- SPDX-License-Identifier: Apache-2.0
--
-- Schema "speke" of speke-fcgi, migration 7: the audit by month, and its seal.
--
--     audit_event             becomes a table with a partition for each month (UTC); rows are kept
--     audit_seal              what was there, so that nobody can change it unnoticed: a chain of
--                             seals, each with a hash for each row (doc/audit.md has the bytes)
--     audit_archive           months that were written to a file
--
--     for speke_service:      audit_seal
--     for speke_operator:     audit_seal, audit_partition_create, audit_archive_record
--     for the owner alone:    audit_archive_drop
--     for auditors:           v_audit_event, v_audit_seal, v_audit_archive
--     for other functions:    audit_operator
--
-- Errors with a meaning:
--
--     SK015  the month is not over yet
--     SK016  rows of the month are not sealed yet
--     SK017  what is in the file is not what was sealed
--     SK018  the month was not archived
--
-- The migration copies the rows and so takes a while when there are many: some ten seconds for each
-- million. Nobody can be given keys meanwhile.

BEGIN;

DO $$
BEGIN
    -- As the owner of the schema, whoever that is.
    PERFORM pg_catalog.set_config('role', pg_catalog.pg_get_userbyid(nspowner), true)
       FROM pg_catalog.pg_namespace WHERE nspname = 'speke';
END
$$;


-- Events, by month --------------------------------------------------------------------------------

DROP VIEW speke.v_audit, speke.v_release;
ALTER TABLE speke.audit_event RENAME TO audit_event_before;
ALTER TABLE speke.audit_event_before RENAME CONSTRAINT audit_event_pk TO audit_event_before_pk;
ALTER TABLE speke.audit_event_before RENAME CONSTRAINT audit_event_kind TO audit_event_before_kind;
ALTER INDEX speke.audit_event_at RENAME TO audit_event_before_at;
ALTER SEQUENCE speke.audit_event_event_id_seq RENAME TO audit_event_before_event_id_seq;

-- No foreign keys, and indexes only for what is done all the time, since each release pays for
-- them; clients and tenants are not deleted. README.md has the index to add when a KID is looked
-- for in years of events.
CREATE TABLE speke.audit_event (
    event_id      bigint      GENERATED ALWAYS AS IDENTITY,
    xact          bigint      NOT NULL DEFAULT pg_current_xact_id()::text::bigint + 0,
    at            timestamptz NOT NULL DEFAULT now(),
    tenant_id     integer,
    client_id     integer,
    status        integer,
    event         text        NOT NULL,
    via           text,
    remote_user   text,
    remote_addr   inet,
    speke_version text,
    content_id    text,
    kids          uuid[]      NOT NULL DEFAULT '{}',
    created_kids  uuid[]      NOT NULL DEFAULT '{}',
    systems       uuid[]      NOT NULL DEFAULT '{}',
    operator      text,
    agent         text,
    detail        text,
    recipient_fingerprints bytea[],
    recipient_subjects     text[],
    CONSTRAINT audit_event_pk PRIMARY KEY (event_id, at),
    CONSTRAINT audit_event_kind CHECK (event IN ('release', 'refusal', 'admin', 'kek', 'import',
                                                 'export', 'delivery')),
    CONSTRAINT audit_event_via CHECK (via ~ '^[a-z][a-z0-9-]{0,31}$')
) PARTITION BY RANGE (at);
CREATE INDEX audit_event_xact ON speke.audit_event (xact, event_id);
CREATE INDEX audit_event_at ON speke.audit_event USING brin (at);
COMMENT ON TABLE speke.audit_event IS
    'What happened. A release is written in the transaction that hands the keys to the service, before the answer is sent: whether the client received it is not known here. Append only; sealed by audit_seal(); never holds key material. A partition for each month of UTC.';
COMMENT ON COLUMN speke.audit_event.event_id IS
    'Number in the order of writing; gaps come from transactions that did not happen';
COMMENT ON COLUMN speke.audit_event.xact IS
    'Number of the transaction; the seal goes by it. It only grows, also when the database moves to another server: audit_seal() then makes the column''s default add a number';
COMMENT ON COLUMN speke.audit_event.at IS 'Start of the transaction';
COMMENT ON COLUMN speke.audit_event.tenant_id IS 'Tenant, NULL when the client is not known';
COMMENT ON COLUMN speke.audit_event.client_id IS 'Client, NULL when it is not known';
COMMENT ON COLUMN speke.audit_event.status IS 'HTTP status of the answer; NULL for operators';
COMMENT ON COLUMN speke.audit_event.event IS
    'release: keys were given to a packager; delivery: to a player; refusal: a request was refused; by an operator: admin: something was changed; kek: a KEK was; import, export: keys came in or went out';
COMMENT ON COLUMN speke.audit_event.via IS
    'By which door a request came: NULL for SPEKE; else key, clearkey, cpix, vod-drm';
COMMENT ON COLUMN speke.audit_event.remote_user IS 'REMOTE_USER of the request';
COMMENT ON COLUMN speke.audit_event.remote_addr IS
    'Address of the client as the web server saw it; NULL when it gave none that can be read. Of an operator, as the database saw it';
COMMENT ON COLUMN speke.audit_event.speke_version IS '1.0, 2.0, 2.1; NULL when not known';
COMMENT ON COLUMN speke.audit_event.content_id IS 'Content id of the request, cut at 1024 characters';
COMMENT ON COLUMN speke.audit_event.kids IS 'Release: the keys given out. Refusal: those asked for';
COMMENT ON COLUMN speke.audit_event.created_kids IS 'Those of kids that this request made';
COMMENT ON COLUMN speke.audit_event.systems IS 'System ids of the DRM systems asked for';
COMMENT ON COLUMN speke.audit_event.operator IS 'Database login of an operator';
COMMENT ON COLUMN speke.audit_event.agent IS
    'The operator''s program as it names itself (application_name): spekectl says who runs it and what. Nobody checks it';
COMMENT ON COLUMN speke.audit_event.detail IS 'The text of a refusal; what an operator did';
COMMENT ON COLUMN speke.audit_event.recipient_fingerprints IS
    'SHA-256 of the certificates that the keys of a release were encrypted for; NULL: they went out in the clear';
COMMENT ON COLUMN speke.audit_event.recipient_subjects IS
    'Subjects of these certificates in the same order, cut at 512 characters';

-- A trigger for a statement fires for the table that the statement names, so each partition has its
-- own too.
CREATE OR REPLACE FUNCTION speke.audit_event_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, speke, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'speke.% is append only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE FUNCTION speke.audit_guard(p_table regclass) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, speke, pg_temp
AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER audit_event_append_only
                        BEFORE UPDATE OR DELETE OR TRUNCATE ON %s
                        FOR EACH STATEMENT EXECUTE FUNCTION speke.audit_event_guard()', p_table);
    -- Also in a session whose session_replication_role is "replica".
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER audit_event_append_only', p_table);
    EXECUTE format('COMMENT ON TRIGGER audit_event_append_only ON %s IS %L', p_table,
                   'Holds for the owner and for superusers too, until they disable it');
END
$$;
COMMENT ON FUNCTION speke.audit_guard IS
    'Gives a table the trigger that lets nobody change or remove its rows';

CREATE FUNCTION speke.audit_partition_name(p_month date) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, speke, pg_temp
AS $$
    SELECT format('audit_event_%s_%s', extract(year FROM p_month),
                  lpad(extract(month FROM p_month)::text, 2, '0'))
$$;
COMMENT ON FUNCTION speke.audit_partition_name IS 'What the partition of a month is called';

CREATE FUNCTION speke.audit_partition_create(p_month date) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
-- It waits for whoever is reading the default partition, and others would wait behind it.
SET lock_timeout = '1s' SET timezone = 'UTC'
AS $$
DECLARE
    v_from CONSTANT timestamptz := date_trunc('month', p_month::timestamp) AT TIME ZONE 'UTC';
    v_to   CONSTANT timestamptz := (date_trunc('month', p_month::timestamp) + interval '1 month')
                                   AT TIME ZONE 'UTC';
    v_name CONSTANT text := speke.audit_partition_name(p_month);
BEGIN
    IF to_regclass('speke.' || v_name) IS NOT NULL THEN
        RETURN NULL;
    END IF;
    LOCK TABLE speke.audit_event_rest IN ACCESS EXCLUSIVE MODE;
    IF to_regclass('speke.' || v_name) IS NOT NULL THEN
        RETURN NULL; -- somebody else was faster
    END IF;
    EXECUTE format('CREATE TABLE speke.%I (LIKE speke.audit_event INCLUDING DEFAULTS
                    INCLUDING CONSTRAINTS, CONSTRAINT %I PRIMARY KEY (event_id, at))',
                   v_name, v_name || '_pk');
    EXECUTE format('COMMENT ON TABLE speke.%I IS %L', v_name,
                   format('Audit rows of %s', to_char(v_from, 'YYYY-MM')));
    EXECUTE format('COMMENT ON CONSTRAINT %I ON speke.%I IS %L', v_name || '_pk', v_name,
                   'As of the table that this is a partition of');
    IF EXISTS (SELECT FROM speke.audit_event_rest r WHERE r.at >= v_from AND r.at < v_to) THEN
        -- The month had none when they were written. They stay what they are.
        ALTER TABLE speke.audit_event_rest DISABLE TRIGGER audit_event_append_only;
        EXECUTE format('WITH moved AS (DELETE FROM speke.audit_event_rest
                                        WHERE at >= $1 AND at < $2 RETURNING *)
                        INSERT INTO speke.%I SELECT * FROM moved', v_name)
            USING v_from, v_to;
        ALTER TABLE speke.audit_event_rest ENABLE ALWAYS TRIGGER audit_event_append_only;
    END IF;
    -- Attaching locks less than CREATE TABLE ... PARTITION OF: releases go on being written.
    EXECUTE format('ALTER TABLE speke.audit_event ATTACH PARTITION speke.%I
                    FOR VALUES FROM (%L) TO (%L)', v_name, v_from, v_to);
    PERFORM speke.audit_guard(format('speke.%I', v_name)::regclass);
    RETURN v_name;
END
$$;
COMMENT ON FUNCTION speke.audit_partition_create IS
    'Makes the partition of the month that a day is in and returns its name; NULL when it is there. Moves rows of that month out of the default partition';

CREATE FUNCTION speke.audit_partitions_ahead() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, speke, pg_temp SET timezone = 'UTC'
AS $$
BEGIN
    FOR v_ahead IN 0 .. 3 LOOP
        PERFORM speke.audit_partition_create((now() + v_ahead * interval '1 month')::date);
    END LOOP;
END
$$;
COMMENT ON FUNCTION speke.audit_partitions_ahead IS
    'Makes the partitions of this month and the three that follow, where they are missing';

-- Rows whose month has no partition go here, so that no release fails for want of one.
CREATE TABLE speke.audit_event_rest PARTITION OF speke.audit_event DEFAULT;
ALTER TABLE speke.audit_event_rest RENAME CONSTRAINT audit_event_rest_pkey TO audit_event_rest_pk;
COMMENT ON TABLE speke.audit_event_rest IS 'Audit rows of months that have no partition of their own';
DO $$
BEGIN
    PERFORM speke.audit_guard('speke.audit_event');
    PERFORM speke.audit_guard('speke.audit_event_rest');
    PERFORM speke.audit_partition_create(m.month::date)
       FROM (SELECT date_trunc('month', min(b.at) AT TIME ZONE 'UTC') AS first
               FROM speke.audit_event_before b
              WHERE b.at >= '2000-01-01' AND b.at < now()) AS b,
            generate_series(b.first, now() AT TIME ZONE 'UTC', interval '1 month') AS m (month);
    PERFORM speke.audit_partitions_ahead();
END
$$;

INSERT INTO speke.audit_event
       (event_id, at, tenant_id, client_id, status, event, remote_user, remote_addr, speke_version,
        content_id, kids, created_kids, systems, operator, detail, recipient_fingerprints,
        recipient_subjects)
OVERRIDING SYSTEM VALUE
SELECT b.event_id, b.at, b.tenant_id, b.client_id, b.status, b.event, b.remote_user, b.remote_addr,
       b.speke_version, b.content_id, b.kids, b.created_kids, b.systems, b.operator, b.detail,
       b.recipient_fingerprints, b.recipient_subjects
  FROM speke.audit_event_before b
 ORDER BY b.event_id;
DO $$
BEGIN
    PERFORM setval('speke.audit_event_event_id_seq', s.last_value, s.is_called)
       FROM speke.audit_event_before_event_id_seq s;
END
$$;
DROP TABLE speke.audit_event_before;


-- What operators do -------------------------------------------------------------------------------

CREATE FUNCTION speke.audit_operator(
    p_event text, p_tenant_id integer, p_client_id integer, p_content_id text, p_kids uuid[],
    p_detail text)
RETURNS bigint
LANGUAGE sql VOLATILE SET search_path = pg_catalog, speke, pg_temp
AS $$
    INSERT INTO speke.audit_event (event, tenant_id, client_id, remote_addr, operator, agent,
                                   content_id, kids, detail)
    VALUES (p_event, p_tenant_id, p_client_id, inet_client_addr(), session_user,
            nullif(current_setting('application_name'), ''), left(p_content_id, 1024),
            coalesce(p_kids, '{}'), p_detail)
    RETURNING event_id
$$;
COMMENT ON FUNCTION speke.audit_operator IS
    'Writes the audit row of what an operator did and returns its number; p_event is admin, kek, import or export. For functions that operators may execute';

CREATE OR REPLACE FUNCTION speke.audit_admin(
    p_tenant_id integer, p_client_id integer, p_detail text)
RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, speke, pg_temp
AS $$
    -- What the functions of the migrations before say of KEKs is known by its first word.
    SELECT speke.audit_operator(CASE WHEN p_detail ~ '^(kek|rewrap)_' THEN 'kek' ELSE 'admin' END,
                                p_tenant_id, p_client_id, NULL, '{}', p_detail)
$$;


-- The seal ----------------------------------------------------------------------------------------

CREATE TABLE speke.audit_seal (
    seal_no        bigint      NOT NULL,
    sealed_at      timestamptz NOT NULL,
    cluster        bigint      NOT NULL,
    xact_offset    bigint      NOT NULL,
    upto_xact      bigint      NOT NULL,
    upto_event_id  bigint      NOT NULL,
    first_at       timestamptz NOT NULL,
    last_at        timestamptz NOT NULL,
    row_count      integer     NOT NULL,
    event_ids      bigint[]    NOT NULL,
    leaves         bytea       NOT NULL,
    root           bytea       NOT NULL,
    previous       bytea       NOT NULL,
    hash           bytea       NOT NULL,
    CONSTRAINT audit_seal_pk PRIMARY KEY (seal_no),
    CONSTRAINT audit_seal_lengths CHECK (octet_length(root) = 32 AND octet_length(previous) = 32
                                         AND octet_length(hash) = 32),
    CONSTRAINT audit_seal_rows CHECK (row_count > 0 AND cardinality(event_ids) = row_count
                                      AND octet_length(leaves) = 32 * row_count)
);
ALTER TABLE speke.audit_seal ALTER COLUMN leaves SET STORAGE EXTERNAL; -- hashes do not compress
CREATE INDEX audit_seal_time ON speke.audit_seal (last_at);
COMMENT ON TABLE speke.audit_seal IS
    'The seals of the audit. Each covers the rows that were committed since the one before, has a hash of each, and names the hash of the seal before: none can be changed, taken out or put in between without all that follow. Append only. doc/audit.md has the bytes that are hashed';
COMMENT ON COLUMN speke.audit_seal.seal_no IS 'Number, from 1 without gaps';
COMMENT ON COLUMN speke.audit_seal.sealed_at IS 'When';
COMMENT ON COLUMN speke.audit_seal.cluster IS
    'System identifier of the PostgreSQL cluster, whose transaction numbers these are';
COMMENT ON COLUMN speke.audit_seal.xact_offset IS
    'What audit_event.xact adds to the numbers of this cluster, so that they go on growing';
COMMENT ON COLUMN speke.audit_seal.upto_xact IS
    'This and the former seals cover every row whose xact and event_id are not beyond these two';
COMMENT ON COLUMN speke.audit_seal.upto_event_id IS 'See upto_xact';
COMMENT ON COLUMN speke.audit_seal.first_at IS 'Earliest time of its rows';
COMMENT ON COLUMN speke.audit_seal.last_at IS 'Latest time of its rows';
COMMENT ON COLUMN speke.audit_seal.row_count IS 'How many rows it covers';
COMMENT ON COLUMN speke.audit_seal.event_ids IS 'Their numbers, in the order of xact and event_id';
COMMENT ON COLUMN speke.audit_seal.leaves IS
    'Their hashes in the same order, 32 bytes each: SHA-256 of the row';
COMMENT ON COLUMN speke.audit_seal.root IS 'SHA-256 of event_ids and leaves';
COMMENT ON COLUMN speke.audit_seal.previous IS 'hash of the seal before; zeros in the first';
COMMENT ON COLUMN speke.audit_seal.hash IS 'SHA-256 of all the rest but event_ids and leaves';


CREATE TABLE speke.audit_archive (
    archive_no  integer        GENERATED ALWAYS AS IDENTITY,
    month       date           NOT NULL,
    first_seal  bigint         NOT NULL,
    last_seal   bigint         NOT NULL,
    row_count   bigint         NOT NULL,
    event_ids   int8multirange NOT NULL,
    rows_sha256 bytea          NOT NULL,
    file_name   text           NOT NULL,
    file_sha256 bytea          NOT NULL,
    archived_at timestamptz    NOT NULL DEFAULT now(),
    event_id    bigint         NOT NULL,
    CONSTRAINT audit_archive_pk PRIMARY KEY (archive_no),
    CONSTRAINT audit_archive_lengths
        CHECK (octet_length(rows_sha256) = 32 AND octet_length(file_sha256) = 32)
);
COMMENT ON TABLE speke.audit_archive IS
    'Months of the audit that were written to a file, which was compared with the seals; their rows may be gone from audit_event. Append only';
COMMENT ON COLUMN speke.audit_archive.archive_no IS 'Number';
COMMENT ON COLUMN speke.audit_archive.month IS 'First day of the month (UTC)';
COMMENT ON COLUMN speke.audit_archive.first_seal IS 'First seal that covers rows of the month';
COMMENT ON COLUMN speke.audit_archive.last_seal IS 'Last one';
COMMENT ON COLUMN speke.audit_archive.row_count IS 'Rows of the month';
COMMENT ON COLUMN speke.audit_archive.event_ids IS 'Their numbers';
COMMENT ON COLUMN speke.audit_archive.rows_sha256 IS
    'SHA-256 of the hashes of these rows in the order of the seals; the file has the same';
COMMENT ON COLUMN speke.audit_archive.file_name IS 'Name that the file had';
COMMENT ON COLUMN speke.audit_archive.file_sha256 IS 'SHA-256 of the file';
COMMENT ON COLUMN speke.audit_archive.archived_at IS 'When';
COMMENT ON COLUMN speke.audit_archive.event_id IS 'The audit row that says so';
DO $$
BEGIN
    PERFORM speke.audit_guard('speke.audit_seal');
    PERFORM speke.audit_guard('speke.audit_archive');
END
$$;

CREATE FUNCTION speke.audit_leaf(p_row speke.audit_event) RETURNS bytea
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, speke, pg_temp
AS $$
BEGIN
    RETURN sha256(record_send(ROW(
               'audit_event 1'::text, p_row.event_id, p_row.xact, p_row.at, p_row.tenant_id,
               p_row.client_id, p_row.status, p_row.event, p_row.via, p_row.remote_user,
               p_row.remote_addr, p_row.speke_version, p_row.content_id, p_row.kids,
               p_row.created_kids, p_row.systems, p_row.operator, p_row.agent, p_row.detail,
               p_row.recipient_fingerprints, p_row.recipient_subjects)));
END
$$;
COMMENT ON FUNCTION speke.audit_leaf IS
    'SHA-256 of an audit row; right where client_encoding is UTF8';

CREATE FUNCTION speke.audit_seal_put(
    p_last speke.audit_seal, p_new speke.audit_seal, p_ids bigint[], p_leaves bytea)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, speke, pg_temp
AS $$
BEGIN
    p_new.seal_no := coalesce(p_last.seal_no, 0) + 1;
    p_new.sealed_at := clock_timestamp();
    p_new.row_count := cardinality(p_ids);
    p_new.event_ids := p_ids;
    p_new.leaves := p_leaves;
    p_new.root := sha256(record_send(ROW('audit_root 1'::text, p_ids, p_leaves)));
    p_new.previous := coalesce(p_last.hash, decode(repeat('00', 32), 'hex'));
    p_new.hash := sha256(record_send(ROW(
        'audit_seal 1'::text, p_new.seal_no, p_new.sealed_at, p_new.cluster, p_new.xact_offset,
        p_new.upto_xact, p_new.upto_event_id, p_new.first_at, p_new.last_at, p_new.row_count,
        p_new.root, p_new.previous)));
    INSERT INTO speke.audit_seal SELECT p_new.*;
END
$$;
COMMENT ON FUNCTION speke.audit_seal_put IS
    'Writes the seal that follows p_last: for these rows, with p_new''s cluster, xact_offset, upto and times';

CREATE FUNCTION speke.audit_seal_moved(p_last speke.audit_seal, p_cluster bigint)
RETURNS integer
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, speke, pg_temp SET lock_timeout = '1s'
AS $$
DECLARE
    v_new    speke.audit_seal;
    v_ids    bigint[];
    v_leaves bytea;
BEGIN
    -- Waits for the transactions that are writing, so that no row comes later.
    LOCK TABLE speke.audit_event IN ACCESS EXCLUSIVE MODE;
    v_new.upto_event_id := 9223372036854775807;
    SELECT max(e.xact) INTO v_new.upto_xact FROM speke.audit_event e;
    v_new.upto_xact := greatest(v_new.upto_xact, p_last.upto_xact);
    v_new.cluster := p_cluster;
    v_new.xact_offset := v_new.upto_xact;
    EXECUTE format('ALTER TABLE speke.audit_event ALTER COLUMN xact
                    SET DEFAULT pg_current_xact_id()::text::bigint + %s', v_new.xact_offset);
    SELECT array_agg(e.event_id ORDER BY e.xact, e.event_id),
           string_agg(speke.audit_leaf(e), '' ORDER BY e.xact, e.event_id), min(e.at), max(e.at)
      INTO v_ids, v_leaves, v_new.first_at, v_new.last_at
      FROM speke.audit_event e
     WHERE NOT EXISTS (SELECT FROM (SELECT unnest(s.event_ids) AS event_id
                                      FROM speke.audit_seal s) AS s
                        WHERE s.event_id = e.event_id);
    IF v_ids IS NULL THEN
        -- Nothing to cover: this is on record in a row of its own.
        PERFORM speke.audit_operator('admin', NULL, NULL, NULL, '{}',
                                     'the database moved to another server');
        RETURN speke.audit_seal_moved(p_last, p_cluster);
    END IF;
    PERFORM speke.audit_seal_put(p_last, v_new, v_ids, v_leaves);
    RETURN cardinality(v_ids);
END
$$;
COMMENT ON FUNCTION speke.audit_seal_moved IS
    'The first seal after the database was restored into another cluster, whose transaction numbers may be lower: covers all that is not covered, and makes those to come higher';

CREATE FUNCTION speke.audit_seal(p_most integer DEFAULT 2000) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
SET client_encoding = 'UTF8' -- record_send() gives texts in it
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_cluster CONSTANT bigint := (SELECT c.system_identifier FROM pg_control_system() AS c);
    v_last   speke.audit_seal;
    v_new    speke.audit_seal;
    v_ids    bigint[];
    v_leaves bytea;
    v_most_xact bigint;
BEGIN
    BEGIN
        LOCK TABLE speke.audit_seal IN SHARE UPDATE EXCLUSIVE MODE NOWAIT;
    EXCEPTION WHEN lock_not_available THEN
        RETURN NULL;
    END;
    BEGIN
        PERFORM speke.audit_partitions_ahead();
    EXCEPTION WHEN lock_not_available THEN
        NULL; -- they are made months ahead
    END;
    SELECT * INTO v_last FROM speke.audit_seal s ORDER BY s.seal_no DESC LIMIT 1;
    IF v_last.cluster <> v_cluster THEN
        RETURN speke.audit_seal_moved(v_last, v_cluster);
    END IF;
    v_new.cluster := v_cluster;
    v_new.xact_offset := coalesce(v_last.xact_offset, 0);
    -- Transactions below the oldest one under way have ended, whatever the order in which they took
    -- their event_ids: no row of theirs will come any more.
    v_new.upto_xact := pg_snapshot_xmin(pg_current_snapshot())::text::bigint
                       + v_new.xact_offset - 1;
    v_new.upto_event_id := 9223372036854775807;
    SELECT array_agg(r.event_id ORDER BY r.xact, r.event_id),
           string_agg(r.leaf, '' ORDER BY r.xact, r.event_id), min(r.at), max(r.at), max(r.xact)
      INTO v_ids, v_leaves, v_new.first_at, v_new.last_at, v_most_xact
      FROM (SELECT e.event_id, e.xact, e.at, speke.audit_leaf(e) AS leaf
              FROM speke.audit_event e
             WHERE (e.xact, e.event_id) > (coalesce(v_last.upto_xact, -1),
                                           coalesce(v_last.upto_event_id, 0))
               AND e.xact <= v_new.upto_xact
             ORDER BY e.xact, e.event_id
             LIMIT p_most) AS r;
    IF v_ids IS NULL THEN
        RETURN 0;
    END IF;
    IF cardinality(v_ids) >= p_most THEN
        v_new.upto_xact := v_most_xact;
        v_new.upto_event_id := v_ids[cardinality(v_ids)];
    END IF;
    PERFORM speke.audit_seal_put(v_last, v_new, v_ids, v_leaves);
    RETURN cardinality(v_ids);
END
$$;
COMMENT ON FUNCTION speke.audit_seal IS
    'Seals at most p_most rows that were committed since the last seal, and returns how many; call it again when it were so many. NULL: somebody else is at it. Nobody waits for it. Also makes the partitions of the months to come';


-- Archives ----------------------------------------------------------------------------------------

CREATE FUNCTION speke.audit_archive_record(
    p_month date, p_rows bigint, p_rows_sha256 bytea, p_file_name text, p_file_sha256 bytea)
RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, speke, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    v_month CONSTANT date := date_trunc('month', p_month::timestamp)::date;
    v_from  CONSTANT timestamptz := v_month;
    v_to    CONSTANT timestamptz := v_month + interval '1 month';
    v_new   speke.audit_archive;
BEGIN
    IF v_to > now() THEN
        RAISE EXCEPTION 'the month % is not over yet', to_char(v_month, 'YYYY-MM')
            USING ERRCODE = 'SK015';
    END IF;
    PERFORM speke.audit_partition_create(v_month);
    SELECT count(*), coalesce(sha256(string_agg(sealed.leaf, '' ORDER BY sealed.seal_no,
                                                sealed.place)), sha256('')),
           coalesce(range_agg(int8range(sealed.event_id, sealed.event_id, '[]')), '{}'),
           coalesce(min(sealed.seal_no), 0), coalesce(max(sealed.seal_no), 0)
      INTO v_new.row_count, v_new.rows_sha256, v_new.event_ids, v_new.first_seal, v_new.last_seal
      FROM (SELECT s.seal_no, u.place, u.event_id,
                   substr(s.leaves, (32 * (u.place - 1) + 1)::integer, 32) AS leaf
              FROM speke.audit_seal s
             CROSS JOIN LATERAL unnest(s.event_ids) WITH ORDINALITY AS u (event_id, place)
             WHERE s.last_at >= v_from AND s.first_at < v_to) AS sealed
      JOIN speke.audit_event e ON e.event_id = sealed.event_id AND e.at >= v_from AND e.at < v_to;
    IF v_new.row_count <> (SELECT count(*) FROM speke.audit_event e
                            WHERE e.at >= v_from AND e.at < v_to) THEN
        RAISE EXCEPTION 'rows of % are not sealed yet', to_char(v_month, 'YYYY-MM')
            USING ERRCODE = 'SK016';
    END IF;
    IF p_rows <> v_new.row_count OR p_rows_sha256 <> v_new.rows_sha256 THEN
        RAISE EXCEPTION 'the file has not the % rows of % that were sealed', v_new.row_count,
                        to_char(v_month, 'YYYY-MM')
            USING ERRCODE = 'SK017';
    END IF;
    v_new.event_id := speke.audit_operator('admin', NULL, NULL, NULL, '{}', format(
        'audit_archive_record %s: %s rows %s in file %s %s', to_char(v_month, 'YYYY-MM'),
        v_new.row_count, encode(v_new.rows_sha256, 'hex'), encode(p_file_sha256, 'hex'),
        p_file_name));
    INSERT INTO speke.audit_archive AS a
           (month, first_seal, last_seal, row_count, event_ids, rows_sha256, file_name,
            file_sha256, event_id)
    VALUES (v_month, v_new.first_seal, v_new.last_seal, v_new.row_count, v_new.event_ids,
            v_new.rows_sha256, p_file_name, p_file_sha256, v_new.event_id)
    RETURNING a.archive_no INTO v_new.archive_no;
    RETURN v_new.archive_no;
END
$$;
COMMENT ON FUNCTION speke.audit_archive_record IS
    'Puts on record that a month of the audit was written to a file and returns the archive''s number. The caller proves that it has the rows by SHA-256 of their hashes. SK015: the month is not over. SK016: rows are not sealed. SK017: not these rows';

CREATE FUNCTION speke.audit_archive_drop(p_archive integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, speke, pg_temp SET lock_timeout = '10s'
SET timezone = 'UTC'
AS $$
DECLARE
    v_archive   speke.audit_archive;
    v_partition text;
    v_rows      bigint;
BEGIN
    SELECT * INTO v_archive FROM speke.audit_archive a WHERE a.archive_no = p_archive;
    v_partition := speke.audit_partition_name(v_archive.month);
    IF NOT FOUND OR to_regclass('speke.' || v_partition) IS NULL THEN
        RAISE EXCEPTION 'no archive %, or its month is gone already', p_archive
            USING ERRCODE = 'SK018';
    END IF;
    EXECUTE format('ALTER TABLE speke.audit_event DETACH PARTITION speke.%I', v_partition);
    EXECUTE format('SELECT count(*) FROM speke.%I AS e WHERE e.event_id <@ $1', v_partition)
       INTO v_rows USING v_archive.event_ids;
    EXECUTE format('SELECT count(*) - $1 FROM speke.%I', v_partition) INTO v_rows USING v_rows;
    IF v_rows <> 0 THEN
        RAISE EXCEPTION '% rows of % came after archive %', v_rows,
                        to_char(v_archive.month, 'YYYY-MM'), p_archive
            USING ERRCODE = 'SK018';
    END IF;
    EXECUTE format('DROP TABLE speke.%I', v_partition);
    PERFORM speke.audit_operator('admin', NULL, NULL, NULL, '{}', format(
        'audit_archive_drop %s: %s rows of archive %s', to_char(v_archive.month, 'YYYY-MM'),
        v_archive.row_count, p_archive));
    RETURN v_archive.row_count;
END
$$;
COMMENT ON FUNCTION speke.audit_archive_drop IS
    'Takes the rows of an archived month out of the database and returns how many. For the owner. SK018: no such archive, or there are rows that it has not';


-- Views -------------------------------------------------------------------------------------------

CREATE VIEW speke.v_audit AS
    SELECT a.event_id, a.at, a.event, a.status, t.name AS tenant, c.name AS client, a.remote_user,
           a.remote_addr, a.speke_version, a.content_id, a.kids, a.created_kids, a.systems,
           a.operator, a.detail, a.recipient_subjects,
           (SELECT array_agg(encode(f.fingerprint, 'hex') ORDER BY f.place)
              FROM unnest(a.recipient_fingerprints) WITH ORDINALITY AS f (fingerprint, place))
               AS recipient_fingerprints,
           a.via, a.agent
      FROM speke.audit_event a
      LEFT JOIN speke.tenant t ON t.tenant_id = a.tenant_id
      LEFT JOIN speke.client c ON c.client_id = a.client_id;
COMMENT ON VIEW speke.v_audit IS
    'What happened: releases, deliveries, refusals, work of operators';

CREATE VIEW speke.v_release AS
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

CREATE VIEW speke.v_audit_event AS
    SELECT e.event_id, e.xact, e.at, e.tenant_id, e.client_id, e.status, e.event, e.via,
           e.remote_user, e.remote_addr, e.speke_version, e.content_id, e.kids, e.created_kids,
           e.systems, e.operator, e.agent, e.detail, e.recipient_fingerprints,
           e.recipient_subjects, e.tableoid::regclass AS partition
      FROM speke.audit_event e;
COMMENT ON VIEW speke.v_audit_event IS
    'The audit as it is kept and sealed, with the partition that a row is in; for spekectl audit. People read v_audit';

CREATE VIEW speke.v_audit_seal AS
    SELECT s.seal_no, s.sealed_at, s.cluster, s.xact_offset, s.upto_xact, s.upto_event_id,
           s.first_at, s.last_at, s.row_count, s.event_ids, s.leaves, s.root, s.previous, s.hash
      FROM speke.audit_seal s;
COMMENT ON VIEW speke.v_audit_seal IS 'The seals of the audit';

CREATE VIEW speke.v_audit_archive AS
    SELECT a.archive_no, a.month, a.first_seal, a.last_seal, a.row_count, a.event_ids,
           a.rows_sha256, a.file_name, a.file_sha256, a.archived_at, a.event_id
      FROM speke.audit_archive a;
COMMENT ON VIEW speke.v_audit_archive IS
    'Months of the audit that were written to files, and the audit row that says so';


-- Rights ------------------------------------------------------------------------------------------

REVOKE ALL ON ALL TABLES IN SCHEMA speke FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA speke FROM PUBLIC;

DO $$
BEGIN
    IF current_user = 'speke_owner' THEN
        GRANT EXECUTE ON FUNCTION speke.audit_seal TO speke_service, speke_operator;
        GRANT EXECUTE ON FUNCTION speke.audit_partition_create, speke.audit_archive_record
            TO speke_operator;
        GRANT SELECT ON speke.v_audit, speke.v_release, speke.v_audit_event, speke.v_audit_seal,
            speke.v_audit_archive TO speke_auditor, speke_operator;
    END IF;
END
$$;

INSERT INTO speke.schema_version (version, name) VALUES (7, 'audit');

COMMIT;
