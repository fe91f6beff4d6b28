-- The given statements, those that refer to them and all that these refer to: each once, with its
-- target and its payload (null if it is not here). `gains` marks those that may inherit something new.
with recursive rising (statement_id) as (
    select unnest($2::uuid[])
    union
    select reference.statement_id
    from rising
    join reference on reference.partner_id = $1 and reference.target_id = rising.statement_id
),
walked (statement_id) as (
    select rising.statement_id from rising
    union
    select reference.target_id
    from walked
    join reference on reference.partner_id = $1 and reference.statement_id = walked.statement_id
)
select
    node.statement_id,
    exists (select from rising where rising.statement_id = node.statement_id) as gains,
    reference.target_id,
    statement.payload
from walked as node
left join reference
    on reference.partner_id = $1 and reference.statement_id = node.statement_id
left join statement
    on statement.partner_id = $1 and statement.statement_id = node.statement_id
