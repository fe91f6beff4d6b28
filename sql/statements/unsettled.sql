-- References whose target is here but has not been linked: left by a crash between two commits.
select reference.partner_id, array_agg(reference.statement_id) as statement_ids
from reference
join statement as target
    on target.partner_id = reference.partner_id and target.statement_id = reference.target_id
where not reference.settled and reference.statement_id <> reference.target_id
group by reference.partner_id
