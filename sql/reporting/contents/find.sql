-- The content item that a name most likely means.
select content_id
from (
    select content.content_id, key.place
    from unnest($2::bigint[]) with ordinality as key (content_key, place)
    join content on content.partner_id = $1 and content.content_key = key.content_key
    union all
    select content_id, 100 from content where partner_id = $1 and content_id = $3
) as called
order by place
limit 1
