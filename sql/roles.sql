-- Database roles that read the reports of one partner through a schema of views.

-- name: get_role
-- The settings of a role, whether its connections are unlimited, `has_other_privileges`: whether it
-- can do more than read the reports of the partner whose schema has the comment $2,
-- `is_dedicated`: whether it has no other purpose, because it was created by a grant, or owns and
-- may read nothing else, and `owns_objects`: whether it owns more than large objects, which any
-- session can create.
with report_schema as (
    select oid from pg_namespace
    where obj_description(oid, 'pg_namespace') like 'lrs reports of partner %'
)
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
        select from report_schema
        where
            obj_description(report_schema.oid, 'pg_namespace') <> $2
            and has_schema_privilege(pg_roles.oid, report_schema.oid, 'usage')
    ) as has_other_privileges,
    coalesce(shobj_description(oid, 'pg_authid') = 'lrs reporting role', false)
    or not exists (
        select from pg_shdepend
        where
            refclassid = 'pg_authid'::regclass
            and refobjid = pg_roles.oid
            and dbid <> 0
            and classid <> 'pg_largeobject'::regclass
            and not exists (
                select from report_schema
                left join pg_class on relnamespace = report_schema.oid
                where
                    (classid = 'pg_namespace'::regclass and objid = report_schema.oid)
                    or (classid = 'pg_class'::regclass and objid = pg_class.oid)
            )
    ) as is_dedicated,
    exists (
        select from pg_shdepend
        where
            refclassid = 'pg_authid'::regclass
            and refobjid = pg_roles.oid
            and deptype = 'o'
            and classid <> 'pg_largeobject'::regclass
    ) as owns_objects
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

-- name: list_readers_of_partner
-- The schemas of reports with the comment $1, and the roles that read them.
select nspname as schema, reader.rolname as role
from pg_namespace
cross join lateral aclexplode(nspacl) as acl
join pg_roles as reader on reader.oid = acl.grantee
where
    obj_description(pg_namespace.oid, 'pg_namespace') = $1
    and acl.privilege_type = 'USAGE'
    and acl.grantee <> nspowner
order by nspname, reader.rolname;

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

-- name: list_reporting_sessions
-- Sessions of reporting roles, with parallel workers. A role reports if a schema of reports, whose
-- owner is the server's role, is readable for it. A role that a grant created has no sessions in
-- another database for another purpose. `hidden`: the server's role may neither see nor end it.
select
    activity.pid,
    coalesce(activity.leader_pid, activity.pid) as leader_pid,
    activity.usename::text as role,
    activity.backend_start as started_at,
    extract(epoch from clock_timestamp() - activity.xact_start)::float as transaction_seconds,
    case
        when activity.state like 'idle in transaction%'
            then extract(epoch from clock_timestamp() - activity.state_change)::float
    end as idle_seconds,
    activity.backend_xid::text as transaction_id,
    exists (
        select from pg_roles where oid = activity.usesysid and not rolcanlogin
    ) as is_disabled,
    activity.backend_start is null as hidden
from pg_stat_activity as activity
where
    activity.usename <> current_user
    and (
        activity.datname = current_database()
        or shobj_description(activity.usesysid, 'pg_authid') = 'lrs reporting role'
    )
    and exists (
        select from pg_namespace
        cross join aclexplode(nspacl) as acl
        where
            acl.grantee = activity.usesysid
            and obj_description(pg_namespace.oid, 'pg_namespace') like 'lrs reports of partner %'
            and pg_has_role(nspowner, 'usage')
    )
    and not has_table_privilege(activity.usesysid, 'statement', 'insert');

-- name: end_session
-- Ends the session with pid $1, unless it is a later one than that which started at $2.
select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and backend_start = $2;

-- name: list_missing_settings
-- Of the settings $2, which only a superuser can lift, those that neither the role $1 nor the
-- database sets.
select name from unnest($2::text[]) as name
where not exists (
    select from pg_db_role_setting cross join unnest(setconfig) as setting
    where
        setrole in (0, (select oid from pg_roles where rolname = $1))
        and setdatabase in (0, (select oid from pg_database where datname = current_database()))
        and split_part(setting, '=', 1) = name
)
order by name;

-- name: get_role_privileges
-- What the role $1 may do beyond reading, mostly as a member of PUBLIC, and whether the server's
-- role sees and may end its sessions.
select
    current_database() as database,
    has_database_privilege($1::text, current_database(), 'temporary') as temporary,
    has_language_privilege($1, 'plpgsql', 'usage') as plpgsql,
    current_setting('max_prepared_transactions')::int > 0 as prepared_transactions,
    pg_has_role($1, 'usage')
    or pg_has_role('pg_read_all_stats', 'usage') and pg_has_role('pg_signal_backend', 'usage')
        as sessions_limited;

-- name: end_role_sessions
-- Ends the sessions of a role, and counts those that have not ended yet.
select count(pg_terminate_backend(pid)) from pg_stat_activity
where usename = $1 and coalesce(leader_pid, pid) = pid;

-- name: list_prepared_transactions
-- The prepared transactions of the role $1 in this database, quoted. They outlast its sessions.
select quote_literal(gid) as gid from pg_prepared_xacts
where owner = $1 and database = current_database();

-- name: end_schema_readers
-- Ends the sessions of reporting roles that hold a lock in the schema $1.
select count(pg_terminate_backend(pid)) from pg_stat_activity
where
    usename <> current_user
    and not has_table_privilege(usesysid, 'statement', 'insert')
    and pid in (
        select pg_locks.pid from pg_locks
        join pg_class on pg_class.oid = pg_locks.relation
        join pg_namespace on pg_namespace.oid = relnamespace
        where
            nspname = $1
            and pg_locks.database = (
                select oid from pg_database where datname = current_database()
            )
    );

-- name: end_blocking_readers
-- Ends the sessions of reporting roles that block the process $1. The table may not exist yet.
select count(pg_terminate_backend(pid)) from pg_stat_activity as activity
where
    pid = any(pg_blocking_pids($1))
    and usename <> current_user
    and has_table_privilege(usesysid, to_regclass('statement'), 'insert') is not true
    and exists (
        select from pg_namespace
        cross join aclexplode(nspacl) as acl
        where
            acl.grantee = activity.usesysid
            and obj_description(pg_namespace.oid, 'pg_namespace') like 'lrs reports of partner %'
    );
