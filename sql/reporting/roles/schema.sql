-- Whose schema it is, by its comment, and the roles that may read it.
select
    obj_description(oid, 'pg_namespace') as comment,
    array(
        select rolname from aclexplode(nspacl) join pg_roles on pg_roles.oid = grantee
        where rolname <> current_user
    )::text[] as readers
from pg_namespace
where nspname = $1
