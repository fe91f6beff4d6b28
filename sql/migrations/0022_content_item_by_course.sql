-- outside a transaction
-- The parts of a course.

drop index concurrently if exists content_item_by_course;

create index concurrently content_item_by_course on content_item (partner_id, course_id)
    where course_id is not null;
