-- The statements beyond the place $2 and before $3, where what is complete ends by the bound of
-- statements/horizon.sql, in order; and whether each is voided by now, whichever came first.
select
    statement.place,
    statement.statement_id,
    statement.organization,
    statement.payload,
    exists (
        select from reference
        where reference.partner_id = $1 and reference.target_id = statement.statement_id
            and reference.voids
        offset 0
    ) as voided
from statement
where statement.partner_id = $1 and statement.place > $2 and statement.place < $3
order by statement.place
limit $4
