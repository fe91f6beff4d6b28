-- Contents that were worked on within others, as far as those are tracks.
insert into track_content (partner_id, track_id, content_id)
select $1, track.content_id, content.content_id
from unnest($2::bigint[], $3::bigint[]) as given (content_key, around_key)
join content as track
    on track.partner_id = $1 and track.content_key = given.around_key and track.type = 'track'
join content on content.partner_id = $1 and content.content_key = given.content_key
where track.content_id <> content.content_id
on conflict do nothing
