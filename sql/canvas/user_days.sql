-- How often a user viewed a course, by day, for the days with a view.
select day, page_views from user_day
where partner_id = $1 and course_id = $2 and user_id = $3
order by day
