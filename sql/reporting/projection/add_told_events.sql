-- Adds the events of the people from one to another that are told and not there, in order.
insert into learning_event
    (at, agent_key, milliseconds, partner_id, person_id, content_id, statement_id, registration,
    progress, score, percentile, xp, total, success, is_mobile, kind, source, organization)
select
    told.at, told.agent_key, told.milliseconds, told.partner_id, told.person_id, told.content_id,
    told.statement_id, told.registration, told.progress, told.score, told.percentile, told.xp,
    told.total, told.success, told.is_mobile, told.kind, told.source, told.organization
from (
    select * from told_event where person_id between $2 and $3
) as told
full join (
    select person_id, content_id, statement_id from learning_event
    where partner_id = $1 and person_id between $2 and $3
) as known
    on known.person_id = told.person_id and known.content_id = told.content_id
    and known.statement_id = told.statement_id
where known.statement_id is null
order by told.person_id, told.content_id, told.statement_id
