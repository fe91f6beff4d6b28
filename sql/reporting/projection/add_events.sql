-- Adds events, and returns whose and of what they are.
insert into learning_event
    (partner_id, person_id, content_id, statement_id, organization, at, agent_key, source, total,
    kind, registration, milliseconds, progress, score, percentile, xp, success, is_mobile)
select
    $1, identifier.person_id, content.content_id, told.statement_id, told.organization, told.at,
    told.agent_key, told.source, told.total, told.kind, told.registration, told.milliseconds,
    told.progress, told.score, told.percentile, told.xp, told.success, told.is_mobile
from unnest(
    $2::uuid[], $3::text[], $4::timestamptz[], $5::bigint[], $6::bigint[], $7::text[],
    $8::boolean[], $9::text[], $10::uuid[], $11::bigint[], $12::double precision[],
    $13::double precision[], $14::double precision[], $15::numeric[], $16::boolean[],
    $17::boolean[]
) as told (
    statement_id, organization, at, agent_key, content_key, source, total, kind, registration,
    milliseconds, progress, score, percentile, xp, success, is_mobile
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
on conflict do nothing
returning person_id, content_id
