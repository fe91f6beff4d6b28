-- What a backup holds, and how far it is.

-- name: list_durable_tables
-- The tables whose rows survive a crash of the database: a backup holds no others.
select relname as name
from pg_class
where relnamespace = 'public'::regnamespace and relkind = 'r' and relpersistence = 'p'
order by relname;

-- name: hash_statements_by_day
-- Statements per partner and UTC day of `stored`, with a hash that does not depend on their order.
-- md5 is the same on every version of PostgreSQL and every machine.
select
    partner.name as partner,
    (timestamp 'epoch' + (statement.sequence >> 10) * interval '1 microsecond')::date as day,
    count(*) as statements,
    to_hex(bit_xor((
        'x' || md5(
            statement.statement_id::text || encode(statement.digest, 'hex') || statement.payload
        )
    )::bit(64)::bigint)) as hash
from statement
join partner using (partner_id)
group by partner.name, day
order by partner.name, day;

-- name: get_tables_size
-- The bytes of all tables, without indexes.
select coalesce(sum(pg_table_size(oid)), 0)::bigint
from pg_class
where relnamespace = 'public'::regnamespace and relkind = 'r' and relpersistence = 'p';

-- name: list_copied_bytes
-- The bytes of each table that is copied at this moment.
select relid::bigint, bytes_processed from pg_stat_progress_copy
where datname = current_database();

-- name: has_tables
-- Whether the database has any table outside PostgreSQL's own schemas.
select exists (
    select from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    where relkind in ('r', 'p') and nspname not like 'pg\_%' and nspname <> 'information_schema'
);

-- name: list_report_readers
-- The roles that read reports, with their partner and the schema that they read.
select partner.name as partner, nspname as schema, reader.rolname as role
from pg_namespace
join partner
    on obj_description(pg_namespace.oid, 'pg_namespace')
        = 'lrs reports of partner ' || partner.partner_id
cross join lateral aclexplode(nspacl) as acl
join pg_roles as reader on reader.oid = acl.grantee
where acl.privilege_type = 'USAGE' and acl.grantee <> nspowner
order by partner.name, nspname, reader.rolname;
