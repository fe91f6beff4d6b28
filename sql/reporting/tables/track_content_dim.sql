-- What the tracks consist of.
select
    track_content.track_id as track_version_id,
    track_content.track_id,
    concat_ws('-', content.type, content.content_id) as content_id,
    content.type as content_type,
    content.title as content_title,
    track_content.position,
    told.xp
from track_content
join content
    on
        content.partner_id = track_content.partner_id
        and content.content_id = track_content.content_id
join content as track
    on track.partner_id = track_content.partner_id and track.content_id = track_content.track_id
cross join lateral jsonb_to_record(content.attributes) as told (xp double precision)
where track_content.partner_id = $1 and track.type = 'track'
