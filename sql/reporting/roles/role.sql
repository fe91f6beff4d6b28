-- What is known of a role; `unfit` says that it sees or may do more than the reports of a partner,
-- whose schema's comment is $2.
select
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
