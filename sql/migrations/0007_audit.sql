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
    SELECT speke.audit_operator('admin', p_tenant_id, p_client_id, NULL, '{}', p_detail)
$$;


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


-- Rights ------------------------------------------------------------------------------------------

REVOKE ALL ON ALL TABLES IN SCHEMA speke FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA speke FROM PUBLIC;

DO $$
BEGIN
    IF current_user = 'speke_owner' THEN
        GRANT EXECUTE ON FUNCTION speke.audit_partition_create TO speke_operator;
        GRANT SELECT ON speke.v_audit, speke.v_release TO speke_auditor, speke_operator;
    END IF;
END
$$;

INSERT INTO speke.schema_version (version, name) VALUES (7, 'audit');

COMMIT;
