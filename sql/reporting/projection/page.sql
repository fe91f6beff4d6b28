-- The statements beyond a position, up to the bound of statements/horizon.sql, in the order in which
-- they were stored; and whether each is voided by now, whichever came first.
select
    statement.statement_id,
    statement.stored,
    statement.organization,
    statement.payload,
    exists (
        select from reference
        where reference.partner_id = $1 and reference.target_id = statement.statement_id
            and reference.voids
        offset 0
    ) as voided
from statement
where statement.partner_id = $1 and statement.stored >= $2 and statement.stored <= $4
    and (statement.stored > $2 or statement.statement_id > $3)
order by statement.stored, statement.statement_id
limit $5
