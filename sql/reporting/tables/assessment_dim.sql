-- The assessments.
select content_id as assessment_id, title, told.slug, technology, content_id as id
from content
cross join lateral jsonb_to_record(attributes) as told (slug text)
where partner_id = $1 and type = 'assessment'
