-- Statements by their ids, and whether each has been voided. $4 is what the partner's keys are
-- combined with, as in lrs/store/keys.py.
select
    statement.statement_id::text,
    convert_to(statement.payload, 'UTF8') as payload,
    stored_at(statement.place) as stored,
    statement.organization,
    statement.authority_key # $4::bigint as authority_key,
    statement.verb_key <> $3 and exists (
        select from reference
        where reference.partner_id = $1
            and reference.target_id = statement.statement_id
            and reference.voids
    ) as voided
from statement
where statement.partner_id = $1 and statement.statement_id = any($2::uuid[])
