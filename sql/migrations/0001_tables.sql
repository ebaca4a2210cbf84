-- SPDX-License-Identifier: Apache-2.0
--
-- Schema "speke" of speke-fcgi, migration 1: tables and the triggers that guard them.
--
--     tenant, client          who may ask; a client is a user of the web server
--     kek_version             the key-encryption keys, by number; the keys themselves are elsewhere
--     content_key             the content keys, sealed under a KEK
--     audit_event             who got which keys, when and from where; append only
--     digest_user             Digest users, for web servers that look them up here
--     config_generation, schema_version      one number each, for the program
--
-- Run the files of this directory in the order of their numbers, each with
--     psql --set ON_ERROR_STOP=1 --dbname ... --file ...
-- A file is one transaction: it takes effect whole or not at all.

BEGIN;

-- Objects belong to speke_owner when roles.sql was run and whoever runs this is a member of it.
-- Otherwise they belong to whoever runs this, who is then the only one to have any right on them;
-- roles of the same names that somebody else in the cluster made are given nothing.
DO $$
BEGIN
    IF pg_catalog.current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'the database must be made with ENCODING ''UTF8''';
    END IF;
    IF (SELECT pg_catalog.bool_or(pg_catalog.pg_has_role(oid, 'MEMBER'))
          FROM pg_catalog.pg_roles WHERE rolname = 'speke_owner') THEN
        CREATE SCHEMA speke AUTHORIZATION speke_owner;
        PERFORM pg_catalog.set_config('role', 'speke_owner', true);
        -- What speke_owner makes from now on is nobody's to execute until it is granted.
        ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
    ELSE
        CREATE SCHEMA speke;
    END IF;
END
$$;

COMMENT ON SCHEMA speke IS 'Key store of speke-fcgi';


-- Who may ask -------------------------------------------------------------------------------------

CREATE TABLE speke.tenant (
    tenant_id  integer     GENERATED ALWAYS AS IDENTITY,
    name       text        NOT NULL,
    enabled    boolean     NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tenant_pk PRIMARY KEY (tenant_id),
    CONSTRAINT tenant_name_unique UNIQUE (name),
    CONSTRAINT tenant_name_length CHECK (char_length(name) BETWEEN 1 AND 255)
);
COMMENT ON TABLE speke.tenant IS
    'An owner of content. Every key belongs to one tenant and no query crosses from one to another.';
COMMENT ON COLUMN speke.tenant.tenant_id IS
    'Number of the tenant; part of what a content key is sealed with, so it never changes';
COMMENT ON COLUMN speke.tenant.name IS 'Name for people';
COMMENT ON COLUMN speke.tenant.enabled IS 'false: all its clients are refused';
COMMENT ON COLUMN speke.tenant.created_at IS 'When it was added';

CREATE TABLE speke.client (
    client_id   integer     GENERATED ALWAYS AS IDENTITY,
    tenant_id   integer     NOT NULL,
    name        text        NOT NULL,
    enabled     boolean     NOT NULL DEFAULT true,
    created_at  timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz,
    CONSTRAINT client_pk PRIMARY KEY (client_id),
    CONSTRAINT client_name_unique UNIQUE (name),
    CONSTRAINT client_name_length CHECK (char_length(name) BETWEEN 1 AND 255),
    CONSTRAINT client_of_tenant_unique UNIQUE (tenant_id, client_id), -- content_key refers to it
    CONSTRAINT client_tenant_fk FOREIGN KEY (tenant_id) REFERENCES speke.tenant (tenant_id)
);
COMMENT ON TABLE speke.client IS
    'A packager or encoder: a user that the web server authenticates, of exactly one tenant. Clients are disabled, not deleted, as audit rows refer to them.';
COMMENT ON COLUMN speke.client.client_id IS 'Number of the client';
COMMENT ON COLUMN speke.client.tenant_id IS 'Whose content it may ask keys for';
COMMENT ON COLUMN speke.client.name IS 'REMOTE_USER exactly as the web server gives it';
COMMENT ON COLUMN speke.client.enabled IS 'false: refused with 403';
COMMENT ON COLUMN speke.client.created_at IS 'When it was added';
COMMENT ON COLUMN speke.client.disabled_at IS 'When it was disabled last; NULL while enabled';


-- Keys --------------------------------------------------------------------------------------------

CREATE TABLE speke.kek_version (
    kek_version integer     NOT NULL,
    state       text        NOT NULL,
    check_value bytea       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    changed_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT kek_version_pk PRIMARY KEY (kek_version),
    CONSTRAINT kek_version_positive CHECK (kek_version > 0),
    CONSTRAINT kek_version_state CHECK (state IN ('active', 'retiring', 'retired', 'destroyed')),
    CONSTRAINT kek_version_check_length CHECK (octet_length(check_value) = 16)
);
CREATE UNIQUE INDEX kek_version_one_active ON speke.kek_version (state) WHERE state = 'active';
COMMENT ON TABLE speke.kek_version IS
    'Key-encryption keys (KEKs) by number. The KEKs themselves are in a file of the service, never here.';
COMMENT ON COLUMN speke.kek_version.kek_version IS 'Number, as in the KEK file';
COMMENT ON COLUMN speke.kek_version.state IS
    'active: seals new keys (at most one); retiring: opens old ones; retired: nothing is sealed with it any more; destroyed: it is gone';
COMMENT ON COLUMN speke.kek_version.check_value IS
    'First 16 bytes of HMAC-SHA256(KEK, "speke-fcgi kek check"): tells a wrong KEK under a right number';
COMMENT ON COLUMN speke.kek_version.created_at IS 'When it was registered';
COMMENT ON COLUMN speke.kek_version.changed_at IS 'When its state changed last';

CREATE TABLE speke.content_key (
    tenant_id      integer     NOT NULL,
    created_by     integer     NOT NULL,
    kek_version    integer     NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    kid            uuid        NOT NULL,
    content_digest bytea       NOT NULL,
    explicit_iv    bytea       NOT NULL,
    sealed         bytea       NOT NULL,
    scheme         text        NOT NULL,
    content_id     text        NOT NULL,
    -- In this order a content's keys lie side by side in the index. The digest is there because a
    -- content id may be longer than an index entry.
    CONSTRAINT content_key_identity PRIMARY KEY (tenant_id, content_digest, kid),
    CONSTRAINT content_key_client_fk FOREIGN KEY (tenant_id, created_by)
        REFERENCES speke.client (tenant_id, client_id),
    CONSTRAINT content_key_kek_fk FOREIGN KEY (kek_version)
        REFERENCES speke.kek_version (kek_version),
    CONSTRAINT content_key_content_id_length CHECK (octet_length(content_id) BETWEEN 1 AND 4096),
    CONSTRAINT content_key_digest_right
        CHECK (content_digest = sha256(convert_to(content_id, 'UTF8'))),
    CONSTRAINT content_key_scheme_length CHECK (octet_length(scheme) <= 64),
    CONSTRAINT content_key_iv_length CHECK (octet_length(explicit_iv) = 16),
    CONSTRAINT content_key_sealed_length CHECK (octet_length(sealed) = 44)
);
COMMENT ON TABLE speke.content_key IS
    'Content keys. One identity (tenant, content id, KID) has one key for ever; the service inserts and reads and never updates.';
COMMENT ON COLUMN speke.content_key.tenant_id IS 'Whose key it is';
COMMENT ON COLUMN speke.content_key.created_by IS
    'The client that asked for it first; a client of the same tenant';
COMMENT ON COLUMN speke.content_key.kek_version IS 'The KEK that it is sealed under';
COMMENT ON COLUMN speke.content_key.created_at IS 'When it was made';
COMMENT ON COLUMN speke.content_key.kid IS 'Key identifier';
COMMENT ON COLUMN speke.content_key.content_digest IS 'SHA-256 of content_id as UTF-8';
COMMENT ON COLUMN speke.content_key.explicit_iv IS
    'Initialisation vector of the content; goes to players in the clear and is no secret';
COMMENT ON COLUMN speke.content_key.sealed IS
    'AES-256-GCM: nonce 12 bytes, encrypted key 16, tag 16; tenant, KEK version, KID, scheme and content id are bound to it, so that a row moved or edited does not open';
COMMENT ON COLUMN speke.content_key.scheme IS
    'commonEncryptionScheme of the request that made it; empty in SPEKE v1';
COMMENT ON COLUMN speke.content_key.content_id IS 'Content id as the packager gave it';


-- Audit -------------------------------------------------------------------------------------------

-- No foreign keys and no index but the two: each release pays for them, and clients and tenants
-- are not deleted. README.md has the index to add when a KID is looked for in years of events.
CREATE TABLE speke.audit_event (
    event_id      bigint      GENERATED ALWAYS AS IDENTITY,
    at            timestamptz NOT NULL DEFAULT now(),
    tenant_id     integer,
    client_id     integer,
    status        integer,
    event         text        NOT NULL,
    remote_user   text,
    remote_addr   inet,
    speke_version text,
    content_id    text,
    kids          uuid[]      NOT NULL DEFAULT '{}',
    created_kids  uuid[]      NOT NULL DEFAULT '{}',
    systems       uuid[]      NOT NULL DEFAULT '{}',
    operator      text,
    detail        text,
    CONSTRAINT audit_event_pk PRIMARY KEY (event_id),
    CONSTRAINT audit_event_kind CHECK (event IN ('release', 'refusal', 'admin'))
);
CREATE INDEX audit_event_at ON speke.audit_event USING brin (at);
COMMENT ON TABLE speke.audit_event IS
    'What happened. A release is written in the transaction that hands the keys to the service, before the answer is sent: whether the client received it is not known here. Append only; never holds key material.';
COMMENT ON COLUMN speke.audit_event.event_id IS
    'Number in the order of writing; gaps come from transactions that did not happen';
COMMENT ON COLUMN speke.audit_event.at IS 'Start of the transaction';
COMMENT ON COLUMN speke.audit_event.tenant_id IS 'Tenant, NULL when the client is not known';
COMMENT ON COLUMN speke.audit_event.client_id IS 'Client, NULL when it is not known';
COMMENT ON COLUMN speke.audit_event.status IS 'HTTP status of the answer; NULL for admin';
COMMENT ON COLUMN speke.audit_event.event IS
    'release: keys were given out; refusal: a request was refused; admin: an operator changed something';
COMMENT ON COLUMN speke.audit_event.remote_user IS 'REMOTE_USER of the request';
COMMENT ON COLUMN speke.audit_event.remote_addr IS
    'Address of the client as the web server saw it; NULL when it gave none that can be read';
COMMENT ON COLUMN speke.audit_event.speke_version IS '1.0, 2.0, 2.1; NULL when not known';
COMMENT ON COLUMN speke.audit_event.content_id IS 'Content id of the request, cut at 1024 characters';
COMMENT ON COLUMN speke.audit_event.kids IS 'Release: the keys given out. Refusal: those asked for';
COMMENT ON COLUMN speke.audit_event.created_kids IS 'Those of kids that this request made';
COMMENT ON COLUMN speke.audit_event.systems IS 'System ids of the DRM systems asked for';
COMMENT ON COLUMN speke.audit_event.operator IS 'Database login of an admin event';
COMMENT ON COLUMN speke.audit_event.detail IS 'The text of a refusal; what an operator did';

CREATE FUNCTION speke.audit_event_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, speke, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'speke.audit_event is append only: % refused', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$$;
COMMENT ON FUNCTION speke.audit_event_guard IS 'Refuses to change or remove audit rows';
CREATE TRIGGER audit_event_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON speke.audit_event
    FOR EACH STATEMENT EXECUTE FUNCTION speke.audit_event_guard();
-- Also in a session whose session_replication_role is "replica".
ALTER TABLE speke.audit_event ENABLE ALWAYS TRIGGER audit_event_append_only;
COMMENT ON TRIGGER audit_event_append_only ON speke.audit_event IS
    'Holds for the owner and for superusers too, until they disable it';


-- Digest users ------------------------------------------------------------------------------------

CREATE TABLE speke.digest_user (
    username   text        NOT NULL,
    realm      text        NOT NULL,
    ha1_md5    text,
    ha1_sha256 text,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT digest_user_pk PRIMARY KEY (username, realm),
    CONSTRAINT digest_user_username CHECK (username <> '' AND position(':' IN username) = 0),
    CONSTRAINT digest_user_realm CHECK (realm <> ''),
    CONSTRAINT digest_user_ha1_md5 CHECK (ha1_md5 ~ '^[0-9a-f]{32}$'),
    CONSTRAINT digest_user_ha1_sha256 CHECK (ha1_sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT digest_user_any_ha1 CHECK (num_nonnulls(ha1_md5, ha1_sha256) > 0)
);
COMMENT ON TABLE speke.digest_user IS
    'Users for Apache mod_authn_dbd and lighttpd mod_authn_dbi. The program does not read it. HA1 values are as good as passwords.';
COMMENT ON COLUMN speke.digest_user.username IS 'The same name as in client.name';
COMMENT ON COLUMN speke.digest_user.realm IS 'AuthName (Apache), realm (lighttpd)';
COMMENT ON COLUMN speke.digest_user.ha1_md5 IS 'MD5 of user:realm:password, hexadecimal';
COMMENT ON COLUMN speke.digest_user.ha1_sha256 IS 'SHA-256 of user:realm:password, hexadecimal';
COMMENT ON COLUMN speke.digest_user.changed_at IS 'When the password was set';


-- One number each ---------------------------------------------------------------------------------

CREATE TABLE speke.config_generation (
    only_row   boolean NOT NULL DEFAULT true,
    generation bigint  NOT NULL,
    CONSTRAINT config_generation_pk PRIMARY KEY (only_row),
    CONSTRAINT config_generation_one_row CHECK (only_row)
);
INSERT INTO speke.config_generation (generation) VALUES (1);
COMMENT ON TABLE speke.config_generation IS
    'One row. The number grows with every change of configuration; a process keeps what it read of the configuration as long as the number stays.';
COMMENT ON COLUMN speke.config_generation.only_row IS 'Makes a second row impossible';
COMMENT ON COLUMN speke.config_generation.generation IS 'The number';

CREATE FUNCTION speke.config_generation_bump() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, speke, pg_temp
AS $$
BEGIN
    UPDATE speke.config_generation SET generation = generation + 1;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION speke.config_generation_bump IS 'Tells the processes that configuration changed';
CREATE TRIGGER tenant_changes_config
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON speke.tenant
    FOR EACH STATEMENT EXECUTE FUNCTION speke.config_generation_bump();
CREATE TRIGGER client_changes_config
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON speke.client
    FOR EACH STATEMENT EXECUTE FUNCTION speke.config_generation_bump();
CREATE TRIGGER kek_version_changes_config
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON speke.kek_version
    FOR EACH STATEMENT EXECUTE FUNCTION speke.config_generation_bump();

CREATE TABLE speke.schema_version (
    version    integer     NOT NULL,
    name       text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT schema_version_pk PRIMARY KEY (version)
);
CREATE TRIGGER schema_version_changes_config
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON speke.schema_version
    FOR EACH STATEMENT EXECUTE FUNCTION speke.config_generation_bump();
COMMENT ON TABLE speke.schema_version IS
    'The migrations that were applied; the highest number is the version of the schema';
COMMENT ON COLUMN speke.schema_version.version IS 'Number in the name of the file';
COMMENT ON COLUMN speke.schema_version.name IS 'Rest of the name of the file';
COMMENT ON COLUMN speke.schema_version.applied_at IS 'When';

REVOKE ALL ON ALL TABLES IN SCHEMA speke FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA speke FROM PUBLIC;

INSERT INTO speke.schema_version (version, name) VALUES (1, 'tables');

COMMIT;
