-- Stores those of the given statements whose ids are new, with their links and references, in one
-- round trip. Inserted sorted by id, so that overlapping batches cannot deadlock. Says how many were
-- new; which ones only if not all were; and which of them are referred to already.
fresh as (
    insert into statement (
        partner_id, statement_id, sequence, verb_key, authority_key, actor_key, object_key,
        organization, digest, payload
    )
    select * from complete
    order by statement_id
    on conflict (partner_id, statement_id) do nothing
    returning statement_id, sequence
),
linked as (
    insert into index_entry (partner_id, key, sequence, roles)
    select $1, item.key, fresh.sequence, item.roles
    from unnest($13::uuid[], $11::bigint[], $12::smallint[]) as item (statement_id, key, roles)
    join fresh using (statement_id)
),
referring as (
    insert into statement_reference (partner_id, statement_id, target_id, sequence, voids, resolved)
    select $1, fresh.statement_id, item.target_id, fresh.sequence, item.voids, false
    from unnest($14::uuid[], $15::uuid[], $16::boolean[]) as item (statement_id, target_id, voids)
    join fresh using (statement_id)
)
select
    count(*) as stored,
    case
        when count(*) < cardinality($2::uuid[]) then array_agg(fresh.statement_id::text)
    end as statement_ids,
    array_agg(fresh.statement_id::text) filter (
        where exists (
            select from statement_reference
            where statement_reference.partner_id = $1 and statement_reference.target_id = fresh.statement_id
        )
    ) as referred
from fresh
