-- The same of what was worked on before it was known that these are tracks, found by their links.
insert into track_content (partner_id, track_id, content_id)
select distinct $1, track.content_id, learning_event.content_id
from unnest($2::bigint[], $3::bigint[]) as given (content_key, link_key)
join content as track on track.partner_id = $1 and track.content_key = given.content_key
join link on link.partner_id = $1 and link.key = given.link_key and link.roles & $4::smallint <> 0
join learning_event
    on learning_event.partner_id = $1 and learning_event.statement_id = link.statement_id
where learning_event.source = 'xapi' and track.content_id <> learning_event.content_id
on conflict do nothing
