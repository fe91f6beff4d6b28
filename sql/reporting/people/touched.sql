-- Whose facts and records are no longer right: those who lost or got identifiers, and members. The
-- offsets keep the look-ups what they are.
with touched as materialized (
    select unnest($2::integer[]) as person_id
    union
    select person_id from identifier where partner_id = $1 and agent_key = any($3::bigint[])
    union
    select person_id from person where partner_id = $1 and name = any($4::text[])
)
select touched.person_id, event.content_id
from touched
cross join lateral (
    select content_id from learning_event
    where partner_id = $1 and person_id = touched.person_id
    offset 0
) as event
union
select touched.person_id, record.content_id
from touched
cross join lateral (
    select content_id from learner_record
    where partner_id = $1 and person_id = touched.person_id
    offset 0
) as record
