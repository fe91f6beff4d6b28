-- StatementRefs: a statement inherits the filters of the statement it refers to (xAPI 1.0.3
-- Communication 2.1.3). A reference is resolved once the whole chain of targets is stored.
-- `between x and x … offset 0` is a lookup by the whole key under any plan, as in statements.sql.

-- name: list_reference_chains
-- The statements $2, those that refer to them and all that these refer to, each once, with its
-- target and payload (null if not stored). `may_inherit` marks those whose inherited filters may
-- grow.
with recursive referring (statement_id) as (
    select unnest($2::uuid[])
    union
    select statement_reference.statement_id
    from referring
    cross join lateral (
        select statement_id from statement_reference
        where partner_id = $1
            and target_id between referring.statement_id and referring.statement_id
        order by target_id
        offset 0
    ) as statement_reference
),
reachable (statement_id) as (
    select referring.statement_id from referring
    union
    select statement_reference.target_id
    from reachable
    cross join lateral (
        select target_id from statement_reference
        where partner_id = $1
            and statement_id between reachable.statement_id and reachable.statement_id
        order by statement_id
        offset 0
    ) as statement_reference
)
select
    node.statement_id,
    exists (select from referring where referring.statement_id = node.statement_id) as may_inherit,
    statement_reference.target_id,
    statement.payload
from reachable as node
left join lateral (
    select target_id from statement_reference
    where partner_id = $1
        and statement_id between node.statement_id and node.statement_id
    order by statement_id
    offset 0
) as statement_reference on true
left join lateral (
    select payload from statement
    where partner_id = $1
        and statement_id between node.statement_id and node.statement_id
    order by statement_id
    offset 0
) as statement on true;

-- name: resolve_references
-- Inserts inherited index entries and marks the references $5 as resolved. Rows that other
-- transactions may write are locked in one order, which prevents deadlocks.
with item as (
    select *
    from unnest($2::uuid[], $3::bigint[], $4::smallint[]) as item (statement_id, key, roles)
),
resolved as (
    update statement_reference set resolved = true
    where partner_id = $1 and statement_id in (
        select statement_id from statement_reference
        where partner_id = $1 and not resolved and statement_id = any($5::uuid[])
        order by statement_id
        for update
    )
)
insert into index_entry (partner_id, key, sequence, roles)
select $1, item.key, statement_reference.sequence, item.roles
from item
cross join lateral (
    select sequence from statement_reference
    where partner_id = $1
        and statement_id between item.statement_id and item.statement_id
    order by statement_id
    offset 0
) as statement_reference
order by item.key, statement_reference.sequence
on conflict (partner_id, key, sequence)
do update set roles = index_entry.roles | excluded.roles
where index_entry.roles | excluded.roles <> index_entry.roles;

-- name: list_pending_references
-- References whose target is stored but whose inherited filters are missing: left by a crash
-- between two commits. Every target contributes at least its verb. References to statements that
-- are not stored lack nothing and are skipped: there may be many.
select statement_reference.partner_id, array_agg(statement_reference.statement_id) as statement_ids
from statement_reference
join statement as target
    on target.partner_id = statement_reference.partner_id
    and target.statement_id = statement_reference.target_id
where not statement_reference.resolved
    and not exists (
        select from index_entry
        where index_entry.partner_id = statement_reference.partner_id
            and index_entry.key = target.verb_key
            and index_entry.sequence = statement_reference.sequence
    )
group by statement_reference.partner_id;

-- name: has_open_writers
-- Whether another writer's transaction that was open at $2 still is. Writers are recognized as in
-- get_watermark: a reporting role can choose any application_name.
select exists (
    select from pg_stat_activity
    where datname = current_database()
        and application_name = $1
        and xact_start <= $2
        and pid <> pg_backend_pid()
        and has_table_privilege(usesysid, 'statement', 'insert')
);
