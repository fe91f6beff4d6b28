-- Database roles that read the reports of one partner through a schema of views.

-- name: get_role
-- The settings of a role, whether its connections are unlimited, and `has_other_privileges`:
-- whether it can do more than read the reports of the partner whose schema has the comment $2.
select
    array(select split_part(setting, '=', 1) from unnest(rolconfig) as setting) as settings,
    rolconnlimit = -1 as unlimited,
    rolsuper
    or rolcreaterole
    or rolcreatedb
    or rolbypassrls
    or rolreplication
    or has_table_privilege(oid, 'statement', 'select')
    or exists (select from pg_auth_members where member = pg_roles.oid)
    or exists (
        select from pg_namespace
        where
            obj_description(pg_namespace.oid, 'pg_namespace') like 'lrs reports of partner %'
            and obj_description(pg_namespace.oid, 'pg_namespace') <> $2
            and has_schema_privilege(pg_roles.oid, pg_namespace.oid, 'usage')
    ) as has_other_privileges
from pg_roles
where rolname = $1;

-- name: get_report_schema
-- The comment of a schema, which says whose it is, and the roles that can read it.
select
    obj_description(oid, 'pg_namespace') as comment,
    array(
        select rolname from aclexplode(nspacl) join pg_roles on pg_roles.oid = grantee
        where rolname <> current_user
    )::text[] as readers
from pg_namespace
where nspname = $1;

-- name: list_excess_functions
-- Functions that PUBLIC may execute and a reader does not need: they take locks that outlast a
-- query, assign transaction ids, or write to the log, to disk or to shared memory. Drivers release
-- advisory locks when they reset a connection: the functions for that remain.
select oid::regprocedure::text as function
from pg_proc
where
    pronamespace = 'pg_catalog'::regnamespace
    and proname ~ (
        '^(pg_(try_)?advisory_(xact_)?lock(_shared)?|pg_notify|pg_logical_emit_message'
        '|pg_export_snapshot|pg_current_xact_id|txid_current|lo_\w+|loread|lowrite)$'
    )
    and has_function_privilege('public', oid, 'execute')
order by function;
