-- What callbacks change beside storing their statements, in one round trip: a page view each, and
-- the counters. Counters of one key are added up first and sorted, so that transactions that count
-- for the same learners cannot deadlock.
with item as materialized (
    select item.*, clock.moment, (clock.moment at time zone 'UTC')::date as day
    from unnest(
        $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::integer[],
        $9::boolean[]
    ) as item (statement_id, tool, user_id, course_id, url, seconds, interaction_seconds, viewed)
    cross join clock_timestamp() as clock (moment)
),
viewed as (
    insert into page_view
        (partner_id, statement_id, created_at, user_id, course_id, tool, url, interaction_seconds)
    select $1, statement_id, moment, user_id, course_id, tool, url, interaction_seconds
    from item
    where viewed
    order by statement_id
),
spent as (
    insert into course_activity as known
        (partner_id, course_id, user_id, activity_seconds, page_views)
    select
        $1, course_id, user_id, coalesce(sum(seconds), 0)::bigint, count(*) filter (where viewed)
    from item
    group by course_id, user_id
    order by course_id, user_id
    on conflict (partner_id, course_id, user_id) do update
    set
        activity_seconds = known.activity_seconds + excluded.activity_seconds,
        page_views = known.page_views + excluded.page_views
),
by_course as (
    insert into course_day as known (partner_id, course_id, day, page_views)
    select $1, course_id, day, count(*)
    from item
    where viewed
    group by course_id, day
    order by course_id, day
    on conflict (partner_id, course_id, day) do update
    set page_views = known.page_views + excluded.page_views
),
by_user as (
    insert into user_day as known (partner_id, course_id, user_id, day, page_views)
    select $1, course_id, user_id, day, count(*)
    from item
    where viewed
    group by course_id, user_id, day
    order by course_id, user_id, day
    on conflict (partner_id, course_id, user_id, day) do update
    set page_views = known.page_views + excluded.page_views
)
insert into tool_access as known (partner_id, course_id, user_id, tool, accesses, last_access)
select $1, course_id, user_id, tool, count(*), max(moment)
from item
group by course_id, user_id, tool
order by course_id, user_id, tool
on conflict (partner_id, course_id, user_id, tool) do update
set
    accesses = known.accesses + excluded.accesses,
    last_access = greatest(known.last_access, excluded.last_access)
