-- Stores those of the given statements whose ids are new, with their links and references, in one
-- round trip. The time of storing is taken here, inside the transaction, because the bound of
-- statements/horizon.sql relies on it; it completes the open body that each statement comes with.
-- Sorted by id, so that overlapping batches cannot deadlock.
with clock as materialized (
    select
        moment as stored,
        to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as text
    from clock_timestamp() as moment
),
fresh as (
    insert into statement
        (partner_id, statement_id, stored, verb_key, authority_key, organization, digest, payload)
    select
        $1, item.statement_id, clock.stored, item.verb_key, item.authority_key, item.organization,
        item.digest,
        item.body
            || case when item.timed then '' else '"timestamp":"' || clock.text || '",' end
            || '"stored":"' || clock.text || '"}'
    from unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::text[], $6::bytea[], $7::boolean[], $8::text[])
        as item (statement_id, verb_key, authority_key, organization, digest, timed, body)
    cross join clock
    order by item.statement_id
    on conflict do nothing
    returning statement_id, stored
),
linked as (
    insert into link (partner_id, key, stored, statement_id, roles)
    select $1, item.key, fresh.stored, fresh.statement_id, item.roles
    from unnest($9::uuid[], $10::bigint[], $11::smallint[]) as item (statement_id, key, roles)
    join fresh using (statement_id)
),
referring as (
    insert into reference (partner_id, statement_id, target_id, stored, voids, settled)
    select $1, fresh.statement_id, item.target_id, fresh.stored, item.voids, false
    from unnest($12::uuid[], $13::uuid[], $14::boolean[]) as item (statement_id, target_id, voids)
    join fresh using (statement_id)
)
select
    fresh.statement_id,
    exists (
        select from reference
        where reference.partner_id = $1 and reference.target_id = fresh.statement_id
    ) as referred
from fresh
