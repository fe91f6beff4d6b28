-- What is assigned before anyone works on it; the projection fills in what it learns.
insert into content (partner_id, content_key, activity_id, attributes)
select distinct $1::integer, given.content_key, given.content, '{}'::jsonb
from jsonb_to_recordset($2::jsonb) as given (content_key bigint, content text)
where given.content is not null and not exists (
    select from content
    where content.partner_id = $1 and content.content_key = given.content_key
)
