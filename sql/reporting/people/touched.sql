-- Whose facts and records are no longer right: those who lost or got identifiers, and members.
with touched as materialized (
    select unnest($2::integer[]) as person_id
    union
    select person_id from identifier where partner_id = $1 and agent_key = any($3::bigint[])
    union
    select person_id from person where partner_id = $1 and name = any($4::text[])
)
select learning_event.person_id, learning_event.content_id
from touched
join learning_event
    on learning_event.partner_id = $1 and learning_event.person_id = touched.person_id
union
select learner_record.person_id, learner_record.content_id
from touched
join learner_record
    on learner_record.partner_id = $1 and learner_record.person_id = touched.person_id
