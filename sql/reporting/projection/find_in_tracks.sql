-- The same of what was worked on before it was known that these are tracks, found by their links.
insert into track_content (partner_id, track_id, content_id)
select distinct $1, track.content_id, content.content_id
from unnest($2::bigint[], $3::bigint[]) as given (content_key, link_key)
join content as track on track.partner_id = $1 and track.content_key = given.content_key
join link on link.partner_id = $1 and link.key = given.link_key and link.roles & $4::smallint <> 0
join projection on projection.partner_id = $1 and link.stored <= projection.position
join statement on statement.partner_id = $1 and statement.statement_id = link.statement_id
join content
    on content.partner_id = $1
    and content.activity_id = statement.payload::jsonb -> 'object' ->> 'id'
where track.content_id <> content.content_id and link.roles & $5::smallint = 0
    and statement.payload::jsonb -> 'actor' ->> 'objectType' is distinct from 'Group'
    and not exists (
        select from reference
        where reference.partner_id = $1 and reference.target_id = statement.statement_id
            and reference.voids
        offset 0
    )
on conflict do nothing
