-- Statements: insert, lookup by id, and the watermark. Lists are built by the page query.
--
-- `between x and x … order by … offset 0` is a lookup by the whole primary key under any plan.
-- While a table is new, the planner takes any other index that begins with the partner for as good.
-- For the same reason, the last statement is looked up with `sequence > 0`.

-- name: insert_plain_statements
-- Stores the statements whose ids are new, with their index entries. The same as insert_statements
-- for rows without a StatementRef and without pending definitions and names, which is what most
-- requests send: it takes 13 to 18 % less of the backend's CPU (10 rows: 511 instead of 624 µs).
--
-- Returns the number of new statements, their ids unless all are new, and those that pending
-- references wait for.
with clock as materialized (
    select
        greatest(
            (extract(epoch from greatest(clock_timestamp(), now())) * 1000000)::bigint,
            (
                select (extract(epoch from floor) * 1000000)::bigint
                from statement_clock
                order by floor desc
                limit 1
            ),
            (
                select sequence >> 10
                from statement
                where partner_id = $1 and sequence > 0
                order by sequence desc
                limit 1
            )
        ) as microseconds
),
item as (
    select
        item.*,
        (clock.microseconds + item.ordinal) << 10 | (pg_backend_pid() & 1023) as sequence
    from unnest(
        $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[],
        $8::bytea[], $9::boolean[], $10::text[], $14::smallint[]
    ) with ordinality as item (
        statement_id, verb_key, authority_key, actor_key, object_key, organization, digest,
        has_timestamp, body, source, ordinal
    )
    cross join clock
),
stamped as (
    select
        item.*,
        to_char(stored_at(item.sequence) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
            as stored
    from item
),
inserted as (
    insert into statement (
        partner_id, statement_id, sequence, verb_key, authority_key, actor_key, object_key,
        organization, digest, source, payload
    )
    select
        $1, statement_id, sequence, verb_key, authority_key, actor_key, object_key, organization,
        digest, source,
        body
            || case when has_timestamp then '' else '"timestamp":"' || stored || '",' end
            || '"stored":"' || stored || '"}'
    from stamped
    order by statement_id
    on conflict (partner_id, statement_id) do nothing
    returning statement_id, sequence
),
index_entries as (
    insert into index_entry (partner_id, key, sequence, roles)
    select $1, item.key, inserted.sequence, item.roles
    from unnest($11::uuid[], $12::bigint[], $13::smallint[]) as item (statement_id, key, roles)
    join inserted using (statement_id)
)
select
    count(*) as stored,
    case
        when count(*) < cardinality($2::uuid[]) then array_agg(inserted.statement_id::text)
    end as statement_ids,
    array_agg(inserted.statement_id::text) filter (
        where exists (
            select from statement_reference
            where statement_reference.partner_id = $1
                and not statement_reference.resolved
                and coalesce(waits_for, target_id)
                    between inserted.statement_id and inserted.statement_id
            order by coalesce(waits_for, target_id)
            offset 0
        )
    ) as waited_for
from inserted;

-- name: insert_statements
-- Stores the statements whose ids are new, with their index entries, references, activity
-- definitions and agent names, in one round trip. Of an atomic batch ($2) all or none: nothing if
-- one id exists, and an error if another transaction stores one meanwhile.
--
-- `stored` is the latest of the clock, the start of the transaction, and the microsecond after both
-- the partner's last statement and the floor of statement_clock: get_watermark relies on each.
-- Statements of a batch are stored a microsecond apart, so that lists keep their order; the low
-- bits of a sequence tell writers apart. Of two writers that collide in statement_by_sequence, the
-- later one is retried.
--
-- Rows are sorted, and definitions and names follow one after the other, so that overlapping
-- batches cannot deadlock. Returns the number of new statements, their ids unless all are new,
-- those that pending references wait for, and the activities whose stored definition changed.
with clock as materialized (
    select
        greatest(
            (extract(epoch from greatest(clock_timestamp(), now())) * 1000000)::bigint,
            (
                select (extract(epoch from floor) * 1000000)::bigint
                from statement_clock
                order by floor desc
                limit 1
            ),
            (
                select sequence >> 10
                from statement
                where partner_id = $1 and sequence > 0
                order by sequence desc
                limit 1
            )
        ) as microseconds
),
item as (
    select
        item.*,
        (clock.microseconds + item.ordinal) << 10 | (pg_backend_pid() & 1023) as sequence
    from unnest(
        $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[],
        $9::bytea[], $10::boolean[], $11::text[], $33::smallint[]
    ) with ordinality as item (
        statement_id, verb_key, authority_key, actor_key, object_key, organization, digest,
        has_timestamp, body, source, ordinal
    )
    cross join clock
),
stamped as (
    select
        item.*,
        to_char(stored_at(item.sequence) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
            as stored
    from item
),
inserted as (
    insert into statement (
        partner_id, statement_id, sequence, verb_key, authority_key, actor_key, object_key,
        organization, digest, source, payload
    )
    select
        $1, statement_id, sequence, verb_key, authority_key, actor_key, object_key, organization,
        digest, source,
        body
            || case when has_timestamp then '' else '"timestamp":"' || stored || '",' end
            || '"stored":"' || stored || '"}'
    from stamped
    where not $2 or not exists (
        select from unnest($3::uuid[]) as item (statement_id)
        cross join lateral (
            select from statement
            where partner_id = $1
                and statement_id between item.statement_id and item.statement_id
            order by statement_id
            offset 0
        ) as existing
    )
    order by statement_id
    on conflict (partner_id, statement_id) do nothing
    returning statement_id, sequence
),
index_entries as (
    insert into index_entry (partner_id, key, sequence, roles)
    select $1, item.key, inserted.sequence, item.roles
    from (
        select * from unnest($12::uuid[], $13::bigint[], $14::smallint[])
        union all
        select reference.statement_id, inherited.key, inherited.roles
        from unnest($28::uuid[], $29::integer[]) as reference (statement_id, key_set)
        join unnest($30::integer[], $31::bigint[], $32::smallint[])
            as inherited (key_set, key, roles) using (key_set)
    ) as item (statement_id, key, roles)
    join inserted using (statement_id)
),
statement_references as (
    insert into statement_reference (
        partner_id, statement_id, target_id, sequence, voids, resolved, waits_for
    )
    select
        $1, inserted.statement_id, item.target_id, inserted.sequence, item.voids, item.resolved,
        item.waits_for
    from unnest($15::uuid[], $16::uuid[], $17::boolean[], $26::boolean[], $27::uuid[])
        as item (statement_id, target_id, voids, resolved, waits_for)
    join inserted using (statement_id)
),
definitions as (
    insert into activity as existing (partner_id, activity_hash, activity_id, definition)
    select
        $1, item.activity_hash, item.activity_id,
        merge_definitions(item.definition order by item.ordinal)
    from unnest($18::uuid[], $19::bytea[], $20::text[], $21::jsonb[]) with ordinality
        as item (statement_id, activity_hash, activity_id, definition, ordinal)
    join inserted using (statement_id)
    group by item.activity_hash, item.activity_id
    order by item.activity_hash
    on conflict (partner_id, activity_hash) do update
    set definition = merge_definition(existing.definition, excluded.definition)
    where existing.definition <> merge_definition(existing.definition, excluded.definition)
    returning activity_id
),
names as (
    insert into agent_name (partner_id, agent_hash, name_hash, name)
    select $1, item.agent_hash, item.name_hash, item.name
    from unnest($22::uuid[], $23::bytea[], $24::bytea[], $25::text[])
        as item (statement_id, agent_hash, name_hash, name)
    join inserted using (statement_id)
    where (select count(*) from definitions) >= 0
    order by item.agent_hash, item.name_hash
    on conflict do nothing
)
select
    case
        when not $2 or count(*) in (0, cardinality($3::uuid[])) then count(*)
        else abort_batch()
    end as stored,
    case
        when count(*) < cardinality($3::uuid[]) then array_agg(inserted.statement_id::text)
    end as statement_ids,
    array_agg(inserted.statement_id::text) filter (
        where exists (
            select from statement_reference
            where statement_reference.partner_id = $1
                and not statement_reference.resolved
                and coalesce(waits_for, target_id)
                    between inserted.statement_id and inserted.statement_id
            order by coalesce(waits_for, target_id)
            offset 0
        )
    ) as waited_for,
    array(select activity_id from definitions) as changed_activities
from inserted;

-- name: list_stored_digests
-- Digests stored under ids that were not new, beside the digests sent. Must be a statement of its
-- own after the insert: only then does it see what a concurrent transaction has just committed. A
-- payload is returned only where the digests differ, to name the differences, and only until the
-- payloads exceed $4 bytes in sum.
select distinct
    existing.statement_id,
    existing.digest,
    existing.stored_digest,
    case when existing.stored_digest <> existing.digest and existing.bytes_before < $4 then
        existing.payload
    end as payload
from (
    select
        statement.statement_id,
        item.digest,
        statement.digest as stored_digest,
        statement.payload,
        coalesce(
            sum(octet_length(statement.payload)) filter (where statement.digest <> item.digest)
                over (rows between unbounded preceding and 1 preceding),
            0
        ) as bytes_before
    from unnest($2::uuid[], $3::bytea[]) as item (statement_id, digest)
    cross join lateral (
        select statement_id, digest, payload from statement
        where partner_id = $1
            and statement_id between item.statement_id and item.statement_id
        order by statement_id
        offset 0
    ) as statement
) as existing;

-- name: get_statements
-- Statements by id, and whether each is voided. $3 is the key of the voiding verb, $4 the partner's
-- salt, with which its keys are combined.
select
    statement.statement_id::text,
    convert_to(statement.payload, 'UTF8') as payload,
    stored_at(statement.sequence) as stored,
    statement.organization,
    statement.authority_key # $4::bigint as authority_key,
    statement.verb_key <> $3 and exists (
        select from statement_reference
        where statement_reference.partner_id = $1
            and statement_reference.target_id = statement.statement_id
            and statement_reference.voids
    ) as voided
from statement
where statement.partner_id = $1 and statement.statement_id = any($2::uuid[]);

-- name: get_statement_source
-- The code of the source of a statement; null if it was stored before sources were.
select source from statement where partner_id = $1 and statement_id = $2;

-- name: get_watermark
-- A candidate for the watermark of a partner ($2, null for none): the last `stored`, or the floor
-- if it is later. A writer whose snapshot is later than this one stores after the candidate,
-- whatever the clock does. So the candidate is a watermark once the writers that are open now have
-- ended. PostgreSQL takes the snapshot before it reads pg_stat_activity, and `now` afterwards. A
-- writer is open from before its snapshot until its rows are visible; it stores at xact_start or
-- later.
--
-- Writers are recognized by application_name ($1) and the privilege to insert, because a reporting
-- role can choose any name. `writers_hidden`: the state of a writer cannot be seen; `standby`: none
-- can. In both cases there is no watermark.
select
    greatest(
        (select floor from statement_clock order by floor desc limit 1),
        (
            select stored_at(sequence)
            from statement
            where partner_id = $2 and sequence > 0
            order by sequence desc
            limit 1
        ),
        'epoch'
    ) as candidate,
    activity.pids,
    activity.xact_starts,
    activity.writers_hidden,
    pg_is_in_recovery() as standby,
    clock_timestamp() as now
from (
    select
        array_agg(pid) filter (where xact_start is not null) as pids,
        array_agg(xact_start) filter (where xact_start is not null) as xact_starts,
        coalesce(
            bool_or(state = 'disabled' or query = '<insufficient privilege>'), false
        ) as writers_hidden
    from pg_stat_activity
    where
        datname = current_database()
        and application_name = $1
        and has_table_privilege(usesysid, 'statement', 'insert')
) as activity;

-- name: raise_floor
-- Lets the watermark follow the clock while no statements arrive. A new row instead of an update:
-- an insert finds the greatest row first, however many dead ones a long transaction retains.
insert into statement_clock (floor) values (clock_timestamp()) on conflict do nothing;

-- name: delete_old_floors
-- Only the greatest row counts.
delete from statement_clock where floor < (select max(floor) from statement_clock);
