-- What is known of a role: the names of its settings, whether it may have any number of connections,
-- and whether it is `unfit`, as it sees or may do more than the reports of a partner, whose schema's
-- comment is $2.
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
    ) as unfit
from pg_roles
where rolname = $1
