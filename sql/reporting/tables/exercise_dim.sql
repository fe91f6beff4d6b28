-- The exercises with their chapters and courses, and the one that stands for all deleted ones. An
-- exercise may belong to a course without a chapter.
select
    exercise.content_id as exercise_id,
    exercise.title,
    told.exercise_type as type,
    told.number,
    told.xp,
    coalesce(course.technology, exercise.technology) as technology,
    coalesce(course.topic, exercise.topic) as topic,
    course.title as course_title,
    course_told.slug as course_slug,
    course_told.xp as course_xp,
    course_told.description as course_description,
    course_told.short_description as course_short_description,
    course_told.launched_date as course_launched_date,
    chapter.title as chapter_title,
    chapter_told.slug as chapter_slug,
    chapter_told.xp as chapter_xp,
    chapter_told.nb_exercises as chapter_nb_exercises,
    exercise.content_id as id
from content as exercise
cross join lateral jsonb_to_record(exercise.attributes) as told (
    exercise_type text, number integer, xp double precision
)
left join content as chapter
    on
        chapter.partner_id = exercise.partner_id
        and chapter.content_key = exercise.parent_key
        and chapter.type = 'chapter'
left join lateral jsonb_to_record(chapter.attributes) as chapter_told (
    slug text, xp double precision, nb_exercises integer
) on true
left join content as course
    on
        course.partner_id = exercise.partner_id
        and course.content_key = coalesce(chapter.parent_key, exercise.parent_key)
        and course.type = 'course'
left join lateral jsonb_to_record(course.attributes) as course_told (
    slug text, xp double precision, description text, short_description text, launched_date date
) on true
where exercise.partner_id = $1 and exercise.type = 'exercise' and exercise.deleted_at is null
union all
select
    -1, 'deleted exercise', null, null, null, null, null, null, null, null, null, null, null, null,
    null, null, null, -1
