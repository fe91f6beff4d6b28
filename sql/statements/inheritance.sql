-- The given statements, those that refer to them and all that these refer to: each once, with its
-- target and its payload (null if it is not here). `gains` marks those that may inherit something new.
-- Looked up as in insert_all.sql.
with recursive rising (statement_id) as (
    select unnest($2::uuid[])
    union
    select reference.statement_id
    from rising
    cross join lateral (
        select statement_id from reference
        where partner_id = $1
            and target_id between rising.statement_id and rising.statement_id
        order by target_id
        offset 0
    ) as reference
),
walked (statement_id) as (
    select rising.statement_id from rising
    union
    select reference.target_id
    from walked
    cross join lateral (
        select target_id from reference
        where partner_id = $1
            and statement_id between walked.statement_id and walked.statement_id
        order by statement_id
        offset 0
    ) as reference
)
select
    node.statement_id,
    exists (select from rising where rising.statement_id = node.statement_id) as gains,
    reference.target_id,
    statement.payload
from walked as node
left join lateral (
    select target_id from reference
    where partner_id = $1
        and statement_id between node.statement_id and node.statement_id
    order by statement_id
    offset 0
) as reference on true
left join lateral (
    select payload from statement
    where partner_id = $1
        and statement_id between node.statement_id and node.statement_id
    order by statement_id
    offset 0
) as statement on true
