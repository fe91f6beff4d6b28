-- Statements by their ids, and whether each has been voided.
select
    statement.statement_id,
    convert_to(statement.payload, 'UTF8') as payload,
    statement.stored,
    statement.organization,
    statement.authority_key,
    statement.verb_key <> $3 and exists (
        select from reference
        where reference.partner_id = $1
            and reference.target_id = statement.statement_id
            and reference.voids
    ) as voided
from statement
where statement.partner_id = $1 and statement.statement_id = any($2::uuid[])
