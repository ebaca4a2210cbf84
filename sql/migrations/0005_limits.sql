-- SPDX-License-Identifier: Apache-2.0
--
-- Schema "speke" of speke-fcgi, migration 5: what tenants and clients may do, and the states of a key.

BEGIN;

DO $$
BEGIN
    -- As the owner of the schema, whoever that is.
    PERFORM pg_catalog.set_config('role', pg_catalog.pg_get_userbyid(nspowner), true)
       FROM pg_catalog.pg_namespace WHERE nspname = 'speke';
END
$$;

INSERT INTO speke.schema_version (version, name) VALUES (5, 'limits');

COMMIT;
