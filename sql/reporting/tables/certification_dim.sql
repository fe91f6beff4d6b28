-- The certifications.
select content_id as certification_id, title as certification_name, told.version as certification_version
from content
cross join lateral jsonb_to_record(attributes) as told (version text)
where partner_id = $1 and type = 'certification'
