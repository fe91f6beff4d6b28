-- The projects.
select
    content_id as project_id,
    title,
    technology,
    told.xp,
    told.nb_hours_needed,
    told.is_guided,
    told.is_certification,
    told.description,
    told.short_description,
    content_id as id
from content
cross join lateral jsonb_to_record(attributes) as told (
    xp double precision,
    nb_hours_needed double precision,
    is_guided boolean,
    is_certification boolean,
    description text,
    short_description text
)
where partner_id = $1 and type = 'project'
