-- What learners on tracks did with each content of their tracks, on all days together.
with enrolled as (
    select
        group_id,
        person_id,
        content_id as track_id,
        min(date_id) as date_id,
        min(at) as started_at,
        min(at) filter (where kind = 'completed') as completed_at
    from shown_event
    where
        partner_id = $1
        and content_id in (select content_id from content where partner_id = $1 and type = 'track')
    group by group_id, person_id, content_id
)

select
    enrolled.group_id,
    enrolled.person_id as user_id,
    enrolled.track_id as track_version_id,
    concat_ws('-', content.type, content.content_id) as content_id,
    enrolled.date_id,
    enrolled.started_at,
    enrolled.completed_at,
    work.xp,
    work.nb_seconds
from enrolled
join track_content
    on track_content.partner_id = $1 and track_content.track_id = enrolled.track_id
join content on content.partner_id = $1 and content.content_id = track_content.content_id
left join lateral (
    select sum(xp) as xp, sum(time_spent) as nb_seconds
    from learner_day
    where
        partner_id = $1
        and person_id = enrolled.person_id
        and content_id = track_content.content_id
) as work on true
