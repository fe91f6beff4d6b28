-- The same of what was worked on before it was known that these are tracks, found by its links to
-- them. Keys in `statement` and `link` are the partner's own: $5 is what makes them that. A payload is
-- read as json, not as jsonb, which has no room for every number that JSON has.
insert into track_content (partner_id, track_id, content_id)
select distinct $1, track.content_id, content.content_id
from unnest($2::bigint[], $3::bigint[]) as given (content_key, link_key)
join content as track on track.partner_id = $1 and track.content_key = given.content_key
join link
    on link.partner_id = $1
    and link.key = given.link_key # $5::bigint
    and link.roles & $4::smallint <> 0
join projection on projection.partner_id = $1 and link.place <= projection.position
join statement on statement.partner_id = $1 and statement.place = link.place
join content
    on content.partner_id = $1 and content.content_key = statement.object_key # $5::bigint
where track.content_id <> content.content_id
    and statement.payload::json -> 'actor' ->> 'objectType' is distinct from 'Group'
on conflict do nothing
