-- A page of a course's users with their views, the most that one of them has, and the medians of
-- the lower and the upper half (the middle one is in neither), which make the levels.
with ranked as materialized (
    select
        user_id, page_views, activity_seconds,
        row_number() over (order by page_views, user_id) as place,
        count(*) over () as users
    from course_activity
    where partner_id = $1 and course_id = $2
),
bound as (
    select
        max(page_views) as most,
        avg(page_views) filter (
            where place in ((users / 2 + 1) / 2, users / 4 + 1)
        ) as lower_quartile,
        avg(page_views) filter (
            where place - (users - users / 2) in ((users / 2 + 1) / 2, users / 4 + 1)
        ) as upper_quartile
    from ranked
),
asked as (
    select *, count(*) over () as total from ranked where $3::text is null or user_id = $3
)
select
    asked.user_id, asked.page_views, asked.activity_seconds, asked.total, bound.most,
    case
        when asked.page_views = 0 then 0
        when asked.page_views < bound.lower_quartile then 1
        when asked.page_views < bound.upper_quartile then 2
        else 3
    end as level
from asked
cross join bound
order by
    case when $4 = 'page_views' then asked.page_views end,
    case when $4 = 'page_views_descending' then asked.page_views end desc,
    case when $4 = 'name_descending' then asked.user_id end desc,
    asked.user_id
limit $5 offset $6
