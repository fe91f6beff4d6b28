-- The courses, and the one that stands for all deleted ones. What the vendor names xp is course_xp,
-- as it is in chapter_dim: beside course_fact, xp alone would be ambiguous.
select
    content_id as course_id,
    title,
    technology,
    topic,
    told.xp as course_xp,
    told.nb_hours_needed,
    told.slug,
    told.description,
    told.short_description,
    told.launched_date,
    content_id as id
from content
cross join lateral jsonb_to_record(attributes) as told (
    xp double precision,
    nb_hours_needed double precision,
    slug text,
    description text,
    short_description text,
    launched_date date
)
where partner_id = $1 and type = 'course' and deleted_at is null
union all
select -1, 'deleted course', null, null, null, null, null, null, null, null, -1
