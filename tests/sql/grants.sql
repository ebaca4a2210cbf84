-- SPDX-License-Identifier: Apache-2.0
-- Who may do what. Not for a single-role installation, in which one role may do everything.
\ir lib/start.psql
BEGIN;
SELECT * FROM no_plan();

SELECT is(:'owner'::text, 'speke_owner', 'the schema belongs to speke_owner');
SELECT is_empty($$
    SELECT oid::regclass::text FROM pg_class
     WHERE relnamespace = 'speke'::regnamespace AND relowner <> 'speke_owner'::regrole
     UNION ALL
    SELECT oid::regprocedure::text FROM pg_proc
     WHERE pronamespace = 'speke'::regnamespace AND proowner <> 'speke_owner'::regrole $$,
    'so does everything in it');
SELECT is_empty($$
    SELECT rolname FROM pg_roles
     WHERE rolname LIKE 'speke\_%' AND (rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb
                                        OR rolbypassrls OR rolreplication) $$,
    'the group roles have no rights of their own and do not log in');
SELECT is_empty($$
    SELECT m.member::regrole, m.roleid::regrole FROM pg_auth_members m
     WHERE m.member::regrole::text LIKE 'speke\_%' $$, 'and none is a member of another role');

-- Functions ---------------------------------------------------------------------------------------

CREATE FUNCTION pg_temp.may_execute(p_role text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT proname::text FROM pg_proc
     WHERE pronamespace = 'speke'::regnamespace AND has_function_privilege(p_role, oid, 'EXECUTE')
$$;
CREATE ROLE t_nobody;
SELECT set_eq('SELECT pg_temp.may_execute(''speke_service'')',
              ARRAY['service_state', 'identify', 'client_configuration', 'acquire', 'refuse',
                    'note_rules', 'content_keys', 'content_periods',
                    'player_configuration', 'player_token_keys', 'player_generation',
                    'player_acquire', 'player_refused',
                    'audit_seal'],
              'the service may execute its functions and no other');
SELECT set_eq('SELECT pg_temp.may_execute(''speke_operator'')',
              ARRAY['tenant_add', 'client_add', 'client_set', 'client_set_enabled', 'kek_register',
                    'webauth_set', 'webauth_remove', 'setting_set', 'setting_unset',
                    'audit_partition_create', 'audit_seal', 'audit_archive_record',
                    'kek_add', 'kek_activate', 'kek_retire', 'kek_destroy', 'rewrap_batch',
                    'rewrap_store',
                    'key_list', 'key_count', 'key_revoke', 'key_restore', 'key_destroy',
                    'key_export', 'key_import_begin', 'key_import_stage',
                    'key_import_stage_periods', 'key_import_repeated', 'key_import_insert',
                    'key_import_existing', 'key_import_drop', 'key_import_finish',
                    'key_import_refused',
                    'token_key_add', 'token_key_set_enabled', 'token_key_remove',
                    'token_key_rewrap_batch', 'token_key_rewrap_store', 'time_or_null'],
              'the operator may execute the functions of spekectl and no other');
SELECT set_eq('SELECT pg_temp.may_execute(''speke_auditor'')', ARRAY['key_list', 'key_count', 'time_or_null'],
              'the auditor may ask which keys there are and execute no other but what a view needs');
SELECT is_empty(format('SELECT pg_temp.may_execute(%L)', role), role || ' may execute none')
  FROM unnest(ARRAY['speke_webauth', 't_nobody']) AS role;

SELECT is_empty($$
    SELECT oid::regprocedure FROM pg_proc
     WHERE pronamespace = 'speke'::regnamespace
       AND NOT ('search_path=pg_catalog, speke, pg_temp' = ANY (coalesce(proconfig, '{}'))) $$,
    'every function has the fixed search path, temporary objects last');
SELECT is_empty($$
    SELECT oid::regprocedure FROM pg_proc
     WHERE pronamespace = 'speke'::regnamespace AND prosecdef
       AND proname <> ALL (ARRAY(SELECT pg_temp.may_execute('speke_service')
                                  UNION ALL SELECT pg_temp.may_execute('speke_operator'))) $$,
    'functions that nobody is granted do not lend their owner''s rights');

-- Tables and views --------------------------------------------------------------------------------

CREATE VIEW pg_temp.rights AS
    SELECT r.role, c.relname::text AS relation, p.privilege
      FROM unnest(ARRAY['speke_service', 'speke_operator', 'speke_auditor', 'speke_webauth',
                        'speke_licence', 't_nobody']) AS r (role)
     CROSS JOIN pg_class c
     CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES',
                             'TRIGGER']) AS p (privilege)
     WHERE c.relnamespace = 'speke'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p', 'f')
       AND (has_table_privilege(r.role, c.oid, p.privilege)
            OR (p.privilege IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
                AND has_any_column_privilege(r.role, c.oid, p.privilege)));
SELECT is_empty('SELECT * FROM pg_temp.rights WHERE role = ''speke_service''',
                'the service has no right on any table or view');
SELECT is_empty('SELECT * FROM pg_temp.rights WHERE role = ''t_nobody''', 'nor has anybody else');
SELECT set_eq(format('SELECT relation, privilege FROM pg_temp.rights WHERE role = %L', role),
              $$ VALUES ('v_tenant', 'SELECT'), ('v_limit', 'SELECT'), ('v_client', 'SELECT'), ('v_kek', 'SELECT'),
                        ('v_key', 'SELECT'), ('v_audit', 'SELECT'), ('v_release', 'SELECT'),
                        ('v_schema_version', 'SELECT'), ('v_setting', 'SELECT'),
                        ('v_period', 'SELECT'), ('v_kek_use', 'SELECT'), ('v_token_key', 'SELECT'),
                        ('v_player_refusal', 'SELECT'),
                        ('v_audit_event', 'SELECT'), ('v_audit_seal', 'SELECT'),
                        ('v_audit_archive', 'SELECT'), ('v_licence', 'SELECT'),
                        ('v_content', 'SELECT'), ('v_key_state', 'SELECT'), ('v_kid_shared', 'SELECT'),
                        ('v_key_use', 'SELECT'), ('v_key_use_day', 'SELECT'), ('v_refusal', 'SELECT'),
                        ('v_activity', 'SELECT'), ('v_rotation_overdue', 'SELECT'),
                        ('v_growth', 'SELECT'), ('v_size', 'SELECT') $$,
              role || ' may read the views and nothing else')
  FROM unnest(ARRAY['speke_auditor', 'speke_operator']) AS role;
SELECT set_eq('SELECT relation, privilege FROM pg_temp.rights WHERE role = ''speke_licence''',
              $$ VALUES ('v_licence', 'SELECT') $$,
              'speke_licence may read the schedule of keys and nothing else');
SELECT set_eq('SELECT relation, privilege FROM pg_temp.rights WHERE role = ''speke_webauth''',
              $$ VALUES ('v_digest_user', 'SELECT') $$,
              'speke_webauth may read the Digest users and nothing else');
SELECT is_empty($$
    SELECT role, c.oid::regclass FROM pg_class c,
           unnest(ARRAY['speke_service', 'speke_operator', 'speke_auditor', 'speke_webauth',
                        'speke_licence', 't_nobody']) AS role
     WHERE relnamespace = 'speke'::regnamespace AND relkind = 'S'
       AND has_sequence_privilege(role, c.oid, 'USAGE, SELECT, UPDATE') $$,
    'nobody has a right on a sequence');
SELECT is_empty($$
    SELECT a.attrelid::regclass, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
     WHERE c.relnamespace = 'speke'::regnamespace AND c.relkind = 'v'
       AND c.relname NOT LIKE 'v\_audit\_%' -- hashes of audit rows and certificates
       AND a.attname <> 'content_digest' -- the hash of a content id
       AND (a.attname ~ 'sealed' OR a.atttypid IN ('bytea'::regtype, 'bytea[]'::regtype))
       AND EXISTS (SELECT FROM pg_temp.rights r WHERE r.relation = c.relname) $$,
    'no view that anybody may read shows a sealed key');

-- The schema --------------------------------------------------------------------------------------

SELECT schema_privs_are('speke', role, ARRAY['USAGE'], role || ' may use the schema, not add to it')
  FROM unnest(ARRAY['speke_service', 'speke_operator', 'speke_auditor', 'speke_webauth']) AS role;
SELECT schema_privs_are('speke', 't_nobody', '{}', 'anybody else may not even use it');

-- Tried out ---------------------------------------------------------------------------------------

SET LOCAL ROLE speke_service;
SELECT throws_ok('SELECT * FROM speke.' || relation, '42501', NULL, 'the service cannot read ' || relation)
  FROM unnest(ARRAY['content_key', 'client', 'tenant', 'kek_version', 'audit_event', 'digest_user',
                    'v_key', 'v_audit', 'client_in_force', 'tenant_setting', 'content_period',
                    'v_setting', 'v_period', 'tenant_limit', 'v_limit',
                    'token_key', 'player_refusal', 'v_token_key']) AS relation;
SELECT throws_ok('INSERT INTO speke.audit_event (event) VALUES (''admin'')', '42501', NULL,
                 'nor write an audit row of its own');
SELECT throws_ok('SELECT speke.insert_missing(1, 1, '''', '''', ''{}'', ''{}'', ''{}'', ''{}'', 1)',
                 '42501', NULL, 'nor make keys without an audit row');
SELECT throws_ok('SELECT speke.tenant_add(''x'')', '42501', NULL, 'nor configure');
SELECT throws_ok('SELECT * FROM speke.key_export(''{}'', NULL, NULL, NULL, 1, ''csv'', ''{}'', ''{}'')',
                 '42501', NULL, 'nor export');
SELECT throws_ok('SELECT speke.key_destroy(''{"tenant": "x"}'', ''x'')', '42501', NULL,
                 'nor destroy');
SELECT throws_ok('SELECT * FROM speke.key_list(''{}'', 1)', '42501', NULL,
                 'nor see which keys there are');
SELECT throws_ok('SELECT speke.setting_set(''x'', NULL, ''x'', ''x'')', '42501', NULL,
                 'nor change a setting');
SELECT throws_ok('SELECT speke.note_periods(1, 1, '''', '''', ''{}'', ''{}'', ''{}'', ''{}'', ''{}'', ''{}'', ''{}'', ''{}'')',
                 '42501', NULL, 'nor name a period without keys');
SELECT throws_ok('SELECT speke.client_set(''x'', ''{"fetch_only": false}'')', '42501', NULL,
                 'nor lift what restricts a client');
SELECT throws_ok('SELECT speke.admit(1, '''', ''{}'', true, false)', '42501', NULL,
                 'nor use up a quota');
SELECT lives_ok('SELECT * FROM speke.service_state()', 'it may ask for the state');
RESET ROLE;

SET LOCAL ROLE speke_auditor;
SELECT throws_ok('SELECT sealed FROM speke.content_key', '42501', NULL,
                 'the auditor cannot read sealed keys');
SELECT lives_ok('SELECT * FROM speke.v_release', 'the auditor can read who got what');
SELECT throws_ok('SELECT * FROM speke.v_digest_user', '42501', NULL, 'and no password hashes');
RESET ROLE;

SET LOCAL ROLE speke_operator;
SELECT throws_ok('SELECT sealed FROM speke.content_key', '42501', NULL,
                 'the operator cannot read sealed keys');
SELECT throws_ok('SELECT * FROM speke.v_digest_user', '42501', NULL, 'nor password hashes');
SELECT throws_ok('DELETE FROM speke.tenant_setting', '42501', NULL,
                 'nor take back a setting behind the audit');
SELECT throws_ok('UPDATE speke.client SET enabled = true', '42501', NULL,
                 'nor change a client behind the audit');
SELECT throws_ok('SELECT * FROM ' || relation, '42501', NULL,
                 'nor look into ' || relation || ', where sealed keys are')
  FROM unnest(ARRAY['speke.key_import', 'speke.key_and_state', 'speke.key_import_mine',
                    'speke.key_import_there']) AS relation;
SELECT throws_ok('SELECT * FROM speke.acquire(1, 1, 1, '''', NULL, NULL, '''', ''{}'', ''{}'', ''{}'', ''{}'', 1, ''{}'')',
                 '42501', NULL, 'nor ask for keys');
RESET ROLE;

-- What speke_owner makes later ---------------------------------------------------------------------

SET LOCAL ROLE speke_owner;
CREATE FUNCTION speke.later() RETURNS integer LANGUAGE sql AS 'SELECT 1';
RESET ROLE;
SELECT function_privs_are('speke', 'later', '{}', 't_nobody', '{}',
                          'a function of a later migration is nobody''s until it is granted');

SELECT * FROM finish();
ROLLBACK;
