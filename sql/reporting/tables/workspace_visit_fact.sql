-- Visits to workspaces, by visitor, group and day.
select
    event.person_id as visitor_id,
    event.content_id as workspace_id,
    event.day as visited_at,
    (sum(event.milliseconds) filter (where not event.total))::double precision / 1000 as nb_seconds,
    event.group_id
from shown_event as event
join content on content.partner_id = event.partner_id and content.content_id = event.content_id
where event.partner_id = $1 and content.type = 'workspace' and event.kind = 'viewed'
group by event.person_id, event.content_id, event.day, event.group_id
