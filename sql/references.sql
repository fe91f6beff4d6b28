-- StatementRefs: a statement inherits the filters of the statement it refers to (xAPI 1.0.3
-- Communication 2.1.3). A reference is pending until its whole chain of targets is stored.
--
-- The planner cannot estimate chains. `between x and x … limit` is a lookup by the whole key under
-- any plan, and bounds the estimate: hash tables stay small.

-- name: list_reference_chains
-- The statements $2, the targets they refer to, and so on, the nearest first, each once: its
-- target, whether it is stored, and its payload. At most 2,000 statements; a row more tells that
-- there are others. Once payloads exceed $3 bytes in sum, the others are null.
with recursive chain (statement_id) as (
    select unnest($2::uuid[])
    union
    select reference.target_id
    from chain
    cross join lateral (
        select target_id from statement_reference
        where partner_id = $1 and statement_id between chain.statement_id and chain.statement_id
        order by statement_id
        limit 1
    ) as reference
)
select
    statement_id::text,
    target_id::text,
    payload is not null as is_stored,
    case when bytes_before < $3 then payload end as payload
from (
    select
        node.statement_id,
        reference.target_id,
        statement.payload,
        coalesce(
            sum(octet_length(statement.payload))
                over (rows between unbounded preceding and 1 preceding),
            0
        ) as bytes_before
    from (select statement_id from chain limit 2001) as node
    left join lateral (
        select target_id from statement_reference
        where partner_id = $1 and statement_id between node.statement_id and node.statement_id
        order by statement_id
        limit 1
    ) as reference on true
    left join lateral (
        select payload from statement
        where partner_id = $1 and statement_id between node.statement_id and node.statement_id
        order by statement_id
        limit 1
    ) as statement on true
) as node;

-- name: list_waiting_references
-- At most $3 pending references that wait for one of the statements $2.
select
    reference.statement_id::text,
    reference.target_id::text,
    item.statement_id::text as waits_for
from unnest($2::uuid[]) as item (statement_id)
cross join lateral (
    select statement_id, target_id from statement_reference
    where partner_id = $1
        and not resolved
        and coalesce(waits_for, target_id) between item.statement_id and item.statement_id
    order by coalesce(waits_for, target_id)
    limit $3::integer
) as reference
limit $3::integer;

-- name: resolve_references
-- The references $2 inherit the keys of the sets $3 as index entries; $4, $5 and $6 are the keys of
-- the sets. Each then waits for the statement in $7, or is resolved if that is null. `on conflict`
-- is a lookup by the whole key under any plan. Rows that other transactions may write are written
-- in one order, which prevents deadlocks.
with stored as materialized (
    select
        item.statement_id, item.key_set, item.waits_for,
        reference.target_id, reference.sequence, reference.voids
    from unnest($2::uuid[], $3::integer[], $7::uuid[]) as item (statement_id, key_set, waits_for)
    cross join lateral (
        select target_id, sequence, voids from statement_reference
        where partner_id = $1
            and statement_id between item.statement_id and item.statement_id
        order by statement_id
        limit 1
    ) as reference
),
updated as (
    insert into statement_reference as existing (
        partner_id, statement_id, target_id, sequence, voids, resolved, waits_for
    )
    select $1, statement_id, target_id, sequence, voids, waits_for is null, waits_for
    from stored
    order by statement_id
    on conflict (partner_id, statement_id) do update
    set resolved = excluded.resolved, waits_for = excluded.waits_for
    where not existing.resolved
)
insert into index_entry (partner_id, key, sequence, roles)
select $1, inherited.key, stored.sequence, inherited.roles
from stored
join unnest($4::integer[], $5::bigint[], $6::smallint[]) as inherited (key_set, key, roles)
    using (key_set)
order by inherited.key, stored.sequence
on conflict (partner_id, key, sequence)
do update set roles = index_entry.roles | excluded.roles
where index_entry.roles | excluded.roles <> index_entry.roles;

-- name: scan_pending_references
-- Adds stored statements to the backlog that pending references still wait for: a crash between two
-- commits has left them. Reads up to $3 pending references of all partners after the position
-- ($1, $2), and returns the next position; no row at the end. Most pending references wait for a
-- statement that is not stored, and there may be many.
with pending as materialized (
    select partner_id, coalesce(waits_for, target_id) as statement_id
    from statement_reference
    where not resolved and (partner_id, coalesce(waits_for, target_id)) > ($1::integer, $2::uuid)
    order by partner_id, coalesce(waits_for, target_id)
    limit $3::integer
),
added as (
    insert into reference_backlog (partner_id, statement_id)
    select item.partner_id, item.statement_id
    from (select distinct partner_id, statement_id from pending) as item
    cross join lateral (
        select from statement
        where partner_id = item.partner_id
            and statement_id between item.statement_id and item.statement_id
        order by statement_id
        limit 1
    ) as stored
    order by item.partner_id, item.statement_id
    on conflict do nothing
)
select partner_id, statement_id from pending
order by partner_id desc, statement_id desc
limit 1;

-- name: insert_reference_backlog
-- Leaves references that wait for the statements $2 to the background.
insert into reference_backlog (partner_id, statement_id)
select distinct $1::integer, item.statement_id
from unnest($2::uuid[]) as item (statement_id)
order by item.statement_id
on conflict do nothing;

-- name: list_backlog_partners
-- Partners with a backlog that is due. Reads one entry of each partner, however many there are. An
-- entry is also due if its time is farther away than any backoff: the clock was set back.
with recursive partner (partner_id) as (
    (select partner_id from reference_backlog order by partner_id limit 1)
    union all
    select (
        select entry.partner_id from reference_backlog as entry
        where entry.partner_id > partner.partner_id
        order by entry.partner_id
        limit 1
    )
    from partner
    where partner.partner_id is not null
)
select partner.partner_id from partner
where exists (
    select from reference_backlog as entry
    where entry.partner_id = partner.partner_id
        and not entry.retry_at between now() and now() + interval '2 hours'
        and entry.retry_at < 'infinity'
);

-- name: lock_backlog_entry
-- The entry of a partner that is due for the longest time, unless another server is resolving it.
select statement_id::text from reference_backlog
where partner_id = $1
    and not retry_at between now() and now() + interval '2 hours'
    and retry_at < 'infinity'
order by retry_at, statement_id
limit 1
for update skip locked;

-- name: postpone_backlog_entry
-- Moves an entry behind the others of its partner: more references wait for the statement.
update reference_backlog set retry_at = clock_timestamp(), attempts = 0
where partner_id = $1 and statement_id = $2;

-- name: retry_backlog_entry
-- Schedules the next attempt after a failed one, with exponential backoff; the last one of $3
-- attempts gives up. Returns the number of attempts.
update reference_backlog
set
    attempts = attempts + 1,
    retry_at = case
        when attempts + 1 < $3::integer then now() + interval '10 seconds' * power(2, attempts)
        else 'infinity'
    end
where partner_id = $1 and statement_id = $2
returning attempts;

-- name: delete_backlog_entry
-- No reference waits for the statement any more.
delete from reference_backlog where partner_id = $1 and statement_id = $2;

-- name: list_open_writers
-- The open transactions of other writers, each with its start, which identifies it. Writers are
-- recognized as in get_watermark: a reporting role can choose any application_name.
select pid, xact_start from pg_stat_activity
where datname = current_database()
    and application_name = $1
    and xact_start is not null
    and pid <> pg_backend_pid()
    and has_table_privilege(usesysid, 'statement', 'insert');

-- name: list_references_to_statement
-- The first $3 statements that refer to a statement, and whether they void it.
select statement_id::text, voids
from statement_reference
where partner_id = $1 and target_id = $2
order by sequence
limit $3;
