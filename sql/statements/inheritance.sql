-- Everything that the given statements, and those that refer to them at any distance, refer to:
-- pairs of a referring statement and one of its direct or indirect targets, stored or missing.
with recursive rising (statement_id) as (
    select unnest($2::uuid[])
    union
    select reference.statement_id
    from rising
    join reference on reference.partner_id = $1 and reference.target_id = rising.statement_id
),
falling (statement_id, target_id) as (
    select reference.statement_id, reference.target_id
    from rising
    join reference on reference.partner_id = $1 and reference.statement_id = rising.statement_id
    union
    select falling.statement_id, reference.target_id
    from falling
    join reference on reference.partner_id = $1 and reference.statement_id = falling.target_id
)
select
    falling.statement_id,
    target.statement_id is null as missing,
    case when falling.statement_id <> falling.target_id then target.payload end as payload
from falling
left join statement as target
    on target.partner_id = $1 and target.statement_id = falling.target_id
