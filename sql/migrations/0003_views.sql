-- SPDX-License-Identifier: Apache-2.0
--
-- Schema "speke" of speke-fcgi, migration 3: the views. README.md has a query for each.
--
--     for speke_auditor and speke_operator:  v_tenant, v_client, v_kek, v_key, v_audit, v_release,
--                                            v_schema_version
--     for speke_webauth:                     v_digest_user

BEGIN;

DO $$
BEGIN
    -- As the owner of the schema, whoever that is.
    PERFORM pg_catalog.set_config('role', pg_catalog.pg_get_userbyid(nspowner), true)
       FROM pg_catalog.pg_namespace WHERE nspname = 'speke';
END
$$;

CREATE VIEW speke.v_tenant AS
    SELECT t.tenant_id, t.name, t.enabled, t.created_at
      FROM speke.tenant t;
COMMENT ON VIEW speke.v_tenant IS 'Tenants';

CREATE VIEW speke.v_client AS
    SELECT c.client_id, c.name, t.name AS tenant, c.enabled AND t.enabled AS in_force, c.enabled,
           c.created_at, c.disabled_at
      FROM speke.client c
      JOIN speke.tenant t ON t.tenant_id = c.tenant_id;
COMMENT ON VIEW speke.v_client IS
    'Clients; in_force: neither the client nor its tenant is disabled';

CREATE VIEW speke.v_kek AS
    SELECT k.kek_version, k.state, encode(k.check_value, 'hex') AS check_value, k.created_at,
           k.changed_at
      FROM speke.kek_version k;
COMMENT ON VIEW speke.v_kek IS 'Versions of the KEK; which one is active';

CREATE VIEW speke.v_key AS
    SELECT t.name AS tenant, k.content_id, k.kid, k.scheme, k.kek_version, k.created_at,
           c.name AS created_by
      FROM speke.content_key k
      JOIN speke.tenant t ON t.tenant_id = k.tenant_id
      JOIN speke.client c ON c.client_id = k.created_by;
COMMENT ON VIEW speke.v_key IS 'Which keys there are, without the keys';

CREATE VIEW speke.v_audit AS
    SELECT a.event_id, a.at, a.event, a.status, t.name AS tenant, c.name AS client, a.remote_user,
           a.remote_addr, a.speke_version, a.content_id, a.kids, a.created_kids, a.systems,
           a.operator, a.detail
      FROM speke.audit_event a
      LEFT JOIN speke.tenant t ON t.tenant_id = a.tenant_id
      LEFT JOIN speke.client c ON c.client_id = a.client_id;
COMMENT ON VIEW speke.v_audit IS 'What happened: releases, refusals, work of operators';

CREATE VIEW speke.v_release AS
    SELECT a.event_id, a.at, t.name AS tenant, c.name AS client, a.remote_addr, a.speke_version,
           a.content_id, given.kid, given.kid = ANY (a.created_kids) AS created, a.systems
      FROM speke.audit_event a
     CROSS JOIN LATERAL unnest(a.kids) AS given (kid)
      LEFT JOIN speke.tenant t ON t.tenant_id = a.tenant_id
      LEFT JOIN speke.client c ON c.client_id = a.client_id
     WHERE a.event = 'release';
COMMENT ON VIEW speke.v_release IS
    'Who got which key: one row for each KID given out; created: this request made the key';

CREATE VIEW speke.v_schema_version AS
    SELECT s.version, s.name, s.applied_at
      FROM speke.schema_version s;
COMMENT ON VIEW speke.v_schema_version IS 'Migrations that were applied';

CREATE VIEW speke.v_digest_user AS
    SELECT d.username, d.realm, d.ha1_md5, d.ha1_sha256
      FROM speke.digest_user d;
COMMENT ON VIEW speke.v_digest_user IS
    'Digest users for Apache mod_authn_dbd and lighttpd mod_authn_dbi; as good as passwords';

REVOKE ALL ON ALL TABLES IN SCHEMA speke FROM PUBLIC;

DO $$
BEGIN
    IF current_user = 'speke_owner' THEN
        GRANT USAGE ON SCHEMA speke TO speke_auditor, speke_webauth;
        GRANT SELECT ON speke.v_tenant, speke.v_client, speke.v_kek, speke.v_key, speke.v_audit,
            speke.v_release, speke.v_schema_version TO speke_auditor, speke_operator;
        GRANT SELECT ON speke.v_digest_user TO speke_webauth;
    END IF;
END
$$;

INSERT INTO speke.schema_version (version, name) VALUES (3, 'views');

COMMIT;
