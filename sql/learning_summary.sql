-- Completions and hours of a partner, grouped: what operators see. $1 is the partner.

-- name: summarize_learning_by_week
-- The last $2 weeks with completed records or facts; a week begins on Monday (UTC).
select
    week::date::text as name,
    sum(completions)::bigint as completions,
    sum(hours)::double precision as hours
from (
    select
        date_trunc('week', completed_at, 'UTC') at time zone 'UTC' as week,
        count(*) as completions,
        0 as hours
    from learner_record
    where partner_id = $1 and completed_at >= now() - make_interval(weeks => $2)
    group by 1
    union all
    select date_trunc('week', day::timestamp), 0, coalesce(sum(time_spent), 0) / 3600
    from daily_fact
    where partner_id = $1 and day >= (now() - make_interval(weeks => $2))::date and has_events
    group by 1
) as part
group by week
order by week desc
limit $2;

-- name: summarize_learning_by_course
-- The $2 courses with the most completions; hours are those of the records of the course itself.
select
    coalesce(content_item.title, content_item.activity_id) as name,
    count(record.completed_at) as completions,
    (coalesce(sum(record.milliseconds), 0) / 3600000)::double precision as hours
from learner_record as record
join content_item
    on content_item.partner_id = $1 and content_item.content_id = record.content_id
where record.partner_id = $1 and content_item.type = 'course' and content_item.deleted_at is null
group by content_item.content_id, content_item.title, content_item.activity_id
order by completions desc, hours desc, content_item.content_id
limit $2;

-- name: summarize_learning_by_team
-- The $2 teams whose present members have the most completions.
select
    team.name,
    count(record.completed_at) as completions,
    (coalesce(sum(record.milliseconds), 0) / 3600000)::double precision as hours
from team
join team_membership as member
    on member.partner_id = $1 and member.team_id = team.team_id and member.to_day is null
join learner_record as record
    on record.partner_id = $1 and record.person_id = member.person_id
where team.partner_id = $1
group by team.team_id, team.name
order by completions desc, hours desc, team.team_id
limit $2;

-- name: summarize_learning_by_organization
-- The $2 organizations with the most completions; an empty name is no organization.
select
    organization as name,
    count(completed_at) as completions,
    (coalesce(sum(milliseconds), 0) / 3600000)::double precision as hours
from learner_record
where partner_id = $1
group by organization
order by completions desc, hours desc, organization
limit $2;

-- name: get_learning_summary
-- A stored summary.
select rows, computed_at from learning_summary where partner_id = $1 and grouping = $2;

-- name: put_learning_summary
-- Store a summary that took $3 seconds, with the position of the projection before it, $4.
insert into learning_summary (partner_id, grouping, computed_at, seconds, position, rows)
values ($1, $2, now(), $3, $4, $5)
on conflict (partner_id, grouping) do update
set computed_at = excluded.computed_at, seconds = excluded.seconds, position = excluded.position,
    rows = excluded.rows;

-- name: get_projection_position
-- The position of a partner's projection; null before the first statement.
select position from projection where partner_id = $1;

-- name: list_due_learning_summaries
-- Stored summaries whose reports have changed, of an age of $1 times their computation, or that are
-- older than $2 seconds: an import changes reports without a statement.
select learning_summary.partner_id, learning_summary.grouping
from learning_summary
join projection using (partner_id)
where
    now() > computed_at + make_interval(secs => $1 * seconds)
    and (
        projection.position > learning_summary.position
        or now() > computed_at + make_interval(secs => $2)
    );
