-- The given statements, those that refer to them and all that these refer to, up to $3 steps away:
-- each once, with its target and its payload (null if it is not here). `gains` marks those that
-- may inherit something new.
with recursive rising (statement_id, steps) as (
    select unnest($2::uuid[]), 0
    union
    select reference.statement_id, rising.steps + 1
    from rising
    join reference on reference.partner_id = $1 and reference.target_id = rising.statement_id
    where rising.steps < $3
),
walked (statement_id, steps) as (
    select distinct rising.statement_id, 0 from rising
    union
    select reference.target_id, walked.steps + 1
    from walked
    join reference on reference.partner_id = $1 and reference.statement_id = walked.statement_id
    where walked.steps < $3
)
select
    node.statement_id,
    exists (select from rising where rising.statement_id = node.statement_id) as gains,
    reference.target_id,
    statement.payload
from (select distinct walked.statement_id from walked) as node
left join reference
    on reference.partner_id = $1 and reference.statement_id = node.statement_id
left join statement
    on statement.partner_id = $1 and statement.statement_id = node.statement_id
