-- The statements beyond the place $2 and before $3, where what is complete ends by the bound of
-- statements/horizon.sql, in order; and whether each is voided by now, whichever came first. They end
-- with the one that brings them to $5 bytes, which are told of all up to each.
select
    statement.place,
    statement.bytes,
    statement.statement_id,
    statement.organization,
    statement.payload,
    exists (
        select from reference
        where reference.partner_id = $1 and reference.target_id = statement.statement_id
            and reference.voids
        offset 0
    ) as voided
from (
    select *, sum(octet_length(payload)) over (order by place) as bytes
    from statement
    where partner_id = $1 and place > $2 and place < $3
    order by place
    limit $4
) as statement
where statement.bytes - octet_length(statement.payload) < $5
order by statement.place
