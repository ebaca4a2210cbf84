-- SPDX-License-Identifier: Apache-2.0
--
-- Schema "speke" of speke-fcgi, migration 9: what players get, and on whose word.

BEGIN;

DO $$
BEGIN
    -- As the owner of the schema, whoever that is.
    PERFORM pg_catalog.set_config('role', pg_catalog.pg_get_userbyid(nspowner), true)
       FROM pg_catalog.pg_namespace WHERE nspname = 'speke';
END
$$;

INSERT INTO speke.schema_version (version, name) VALUES (9, 'players');

COMMIT;
