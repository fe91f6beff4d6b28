-- The chapters with their courses, and the one that stands for all deleted ones.
select
    chapter.content_id as chapter_id,
    chapter.title,
    told.slug,
    told.xp,
    coalesce(course.technology, chapter.technology) as technology,
    coalesce(course.topic, chapter.topic) as topic,
    told.nb_exercises,
    course.title as course_title,
    course_told.slug as course_slug,
    course_told.xp as course_xp,
    course_told.description as course_description,
    course_told.short_description as course_short_description,
    course_told.launched_date as course_launched_date,
    chapter.content_id as id
from content as chapter
cross join lateral jsonb_to_record(chapter.attributes) as told (
    slug text, xp double precision, nb_exercises integer
)
left join content as course
    on
        course.partner_id = chapter.partner_id
        and course.content_key = chapter.parent_key
        and course.type = 'course'
left join lateral jsonb_to_record(course.attributes) as course_told (
    slug text, xp double precision, description text, short_description text, launched_date date
) on true
where chapter.partner_id = $1 and chapter.type = 'chapter' and chapter.deleted_at is null
union all
select
    -1, 'deleted chapter', null, null, null, null, null, null, null, null, null, null, null, -1
