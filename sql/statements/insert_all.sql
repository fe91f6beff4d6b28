-- Stores the given statements with their links, and what they tell of activities and agents, if no
-- id is known; else nothing. Fails (unique_violation) if somebody stores one of them meanwhile.
-- Says how many were stored, and which of them are referred to already.
--
-- Sorted, and each table only when the one before is done, so that writers cannot deadlock.
known as materialized (
    select exists (
        select from unnest($2::uuid[]) as given (statement_id)
        where exists (
            select from statement
            where statement.partner_id = $1 and statement.statement_id = given.statement_id
            offset 0
        )
    ) as one
),
fresh as (
    insert into statement (
        partner_id, statement_id, place, verb_key, authority_key, actor_key, object_key,
        organization, digest, payload
    )
    select * from complete
    where not (select one from known)
    order by statement_id
    returning statement_id, place
),
linked as (
    insert into link (key, place, roles)
    select item.key, fresh.place, item.roles
    from unnest($11::uuid[], $12::bigint[], $13::smallint[]) as item (statement_id, key, roles)
    join fresh using (statement_id)
),
-- A language map gains languages, extensions gain keys, any other member is replaced by the newer
-- one. Rows that would not change are not written.
defined as (
    insert into activity as known (partner_id, activity_hash, activity_id, definition)
    select $1, item.activity_hash, item.activity_id, item.definition
    from unnest($14::bytea[], $15::text[], $16::jsonb[])
        as item (activity_hash, activity_id, definition)
    where (select count(*) from fresh) = cardinality($2::uuid[])
    order by item.activity_hash
    on conflict (partner_id, activity_hash) do update
    set definition = known.definition || excluded.definition || jsonb_strip_nulls(
        jsonb_build_object(
            'name', (known.definition -> 'name') || (excluded.definition -> 'name'),
            'description',
            (known.definition -> 'description') || (excluded.definition -> 'description'),
            'extensions',
            (known.definition -> 'extensions') || (excluded.definition -> 'extensions')
        )
    )
    where known.definition <> known.definition || excluded.definition || jsonb_strip_nulls(
        jsonb_build_object(
            'name', (known.definition -> 'name') || (excluded.definition -> 'name'),
            'description',
            (known.definition -> 'description') || (excluded.definition -> 'description'),
            'extensions',
            (known.definition -> 'extensions') || (excluded.definition -> 'extensions')
        )
    )
    returning activity_hash
),
named as (
    insert into agent_name (partner_id, agent_hash, name_hash, name)
    select $1, item.agent_hash, item.name_hash, item.name
    from unnest($17::bytea[], $18::bytea[], $19::text[]) as item (agent_hash, name_hash, name)
    where
        (select count(*) from fresh) = cardinality($2::uuid[])
        and (select count(*) from defined) >= 0
    order by item.agent_hash, item.name_hash
    on conflict do nothing
)
select
    count(*) as stored,
    array_agg(fresh.statement_id::text) filter (
        where exists (
            select from reference
            where reference.partner_id = $1 and reference.target_id = fresh.statement_id
        )
    ) as referred
from fresh
