-- SPDX-License-Identifier: Apache-2.0
--
-- The group roles of the key store. Needs CREATEROLE (or a superuser), once for a whole cluster,
-- before the first migration. Running it again changes nothing.
--
-- None of them may log in. Give them to login roles of your own, for example
--     CREATE ROLE encoder_svc LOGIN;  GRANT speke_service TO encoder_svc;
-- Without these roles the migrations work all the same, and one role owns and does everything:
-- README.md in this directory says what is lost then.

BEGIN;

DO $$
DECLARE
    v_role text;
BEGIN
    FOREACH v_role IN ARRAY ARRAY['speke_owner', 'speke_service', 'speke_operator',
                                  'speke_auditor', 'speke_webauth', 'speke_licence']
    LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = v_role) THEN
            EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', v_role);
        END IF;
    END LOOP;

    -- Whoever runs the migrations creates the objects for speke_owner and so must be a member. A
    -- superuser is one of every role.
    IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
        EXECUTE pg_catalog.format('GRANT speke_owner TO %I', current_user);
    END IF;
END
$$;

COMMENT ON ROLE speke_owner IS
    'speke-fcgi: owns schema "speke" and runs its migrations; no program needs it';
COMMENT ON ROLE speke_service IS
    'speke-fcgi: the responder; may execute the functions of an exchange and read no table';
COMMENT ON ROLE speke_operator IS
    'speke-fcgi: spekectl; may execute the functions that configure the service and read the views';
COMMENT ON ROLE speke_auditor IS
    'speke-fcgi: may read the views, in which there is no key material';
COMMENT ON ROLE speke_licence IS
    'speke-fcgi: a licence service that is not part of it; may read v_licence, which key belongs to what and when, and nothing else';
COMMENT ON ROLE speke_webauth IS
    'speke-fcgi: the web server''s user lookup; may read v_digest_user and nothing else';

COMMIT;
