-- The versions of the schema that are applied; used by the migrations alone.

-- name: create_schema_migration
-- `if not exists` is not atomic: a server that loses the race gets an error, and goes on.
create table if not exists schema_migration (
    version    integer primary key,
    name       text not null,
    applied_at timestamptz not null default now()
);

-- name: lock_schema_migration
-- Lets one server migrate at a time. Others poll: `create index concurrently` waits for the end of
-- all transactions, and would wait for theirs.
lock table schema_migration in exclusive mode nowait;

-- name: insert_schema_migration
-- Inserts nothing if the migration is applied already.
insert into schema_migration (version, name) values ($1, $2) on conflict do nothing;

-- name: has_schema_migration
-- Whether the database has any schema.
select to_regclass('schema_migration') is not null;

-- name: get_schema_version
-- The latest version that is applied.
select coalesce(max(version), 0) from schema_migration;

-- name: list_schema_versions
-- All versions that are applied.
select version from schema_migration;
