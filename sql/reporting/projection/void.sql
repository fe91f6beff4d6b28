-- Takes away the events of statements that are voided now, and returns whose and of what they were.
-- They are found by what their statements say: an index by statement alone would cost every event.
delete from learning_event
where partner_id = $1 and ctid = any(array(
    select event.place
    from unnest($2::uuid[], $3::bigint[], $4::bigint[]) as told (
        statement_id, agent_key, content_key
    )
    cross join lateral (
        select person_id from identifier
        where partner_id = $1 and agent_key = told.agent_key
        offset 0
    ) as identifier
    cross join lateral (
        select content_id from content
        where partner_id = $1 and content_key = told.content_key
        offset 0
    ) as content
    cross join lateral (
        select ctid as place from learning_event
        where partner_id = $1 and person_id = identifier.person_id
            and content_id = content.content_id and statement_id = told.statement_id
        offset 0
    ) as event
))
returning person_id, content_id
