-- References that lack what their target speaks of, though it is here: left by a crash between two
-- commits. Whatever is inherited of a target, its verb is. Those that wait for what is not here lack
-- nothing, and are passed over: there may be many.
select reference.partner_id, array_agg(reference.statement_id) as statement_ids
from reference
join statement as target
    on target.partner_id = reference.partner_id and target.statement_id = reference.target_id
where not reference.settled
    and not exists (
        select from link
        where link.partner_id = reference.partner_id
            and link.key = target.verb_key
            and link.place = reference.place
    )
group by reference.partner_id
