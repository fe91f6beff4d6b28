-- The practices.
select content_id as practice_id, title, told.status, technology, told.xp, content_id as id
from content
cross join lateral jsonb_to_record(attributes) as told (status text, xp double precision)
where partner_id = $1 and type = 'practice'
