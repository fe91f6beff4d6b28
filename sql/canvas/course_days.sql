-- How often a course was viewed on each day on which it was.
select day, page_views from course_day
where partner_id = $1 and course_id = $2
order by day
