-- A user's page views, newest first, from a place on. No bound is ever null, so that each stays a
-- condition of the index.
select statement_id, created_at, user_id, course_id, tool, url, interaction_seconds
from page_view
where
    partner_id = $1 and user_id = $2
    and created_at >= $3 and created_at <= $4
    and created_at <= $5 and (created_at < $5 or statement_id < $6)
order by created_at desc, statement_id desc
limit $7 offset $8
