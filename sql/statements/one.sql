-- One statement by its id, and whether it has been voided.
select
    convert_to(statement.payload, 'UTF8') as payload,
    statement.stored,
    statement.organization,
    statement.authority_key,
    statement.verb_key <> $3 and exists (
        select from reference
        where reference.partner_id = $1 and reference.target_id = $2 and reference.voids
    ) as voided
from statement
where statement.partner_id = $1 and statement.statement_id = $2
