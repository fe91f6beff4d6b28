select content_id, activity_id, type, title, deleted_at
from content
where partner_id = $1 and content_id > $2
    and ($3::boolean is null or (deleted_at is not null) = $3)
order by content_id
limit $4
