-- Learners on tracks: since the first thing told of them there, until they complete it.
select
    group_id,
    person_id as user_id,
    content_id as track_version_id,
    min(date_id) as date_id,
    min(at) as started_at,
    min(at) filter (where kind = 'completed') as completed_at,
    not bool_or(kind = 'completed') as is_currently_active
from shown_event
where
    partner_id = $1
    and content_id in (select content_id from content where partner_id = $1 and type = 'track')
group by group_id, person_id, content_id
