-- Takes away the events of the people from one to another that are not told any more, or otherwise.
-- A full join, so that the planner can choose no loop.
delete from learning_event
where partner_id = $1 and ctid = any(array(
    select known.place
    from (
        select * from told_event where person_id between $2 and $3
    ) as told
    full join (
        select ctid as place, * from learning_event
        where partner_id = $1 and person_id between $2 and $3
    ) as known
        on known.person_id = told.person_id and known.content_id = told.content_id
        and known.statement_id = told.statement_id
    where (
        told.at, told.agent_key, told.milliseconds, told.registration, told.progress, told.score,
        told.percentile, told.xp, told.total, told.success, told.is_mobile, told.kind, told.source,
        told.organization
    ) is distinct from (
        known.at, known.agent_key, known.milliseconds, known.registration, known.progress,
        known.score, known.percentile, known.xp, known.total, known.success, known.is_mobile,
        known.kind, known.source, known.organization
    )
))
