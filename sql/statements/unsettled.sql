-- References that lack something of what is here: left by a crash between two commits. Those whose
-- direct target is here but a further one is not are found each time; they are few.
select reference.partner_id, array_agg(reference.statement_id) as statement_ids
from reference
join statement as target
    on target.partner_id = reference.partner_id and target.statement_id = reference.target_id
where not reference.settled
group by reference.partner_id
