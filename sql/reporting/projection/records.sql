-- The records of some learners and contents, made anew from all their events. Only what differs from
-- what is there is written. The joins that could go wrong on a bad guess leave the planner no choice:
-- a full join is never a loop, and only the primary key has these pairs as a range.
with touched as (
    select distinct person_id, content_id
    from unnest($2::integer[], $3::integer[]) as touched (person_id, content_id)
),
event as (
    select event.*
    from touched
    cross join lateral (
        select * from learning_event
        where partner_id = $1
            and (person_id, content_id) >= (touched.person_id, touched.content_id)
            and (person_id, content_id) <= (touched.person_id, touched.content_id)
        offset 0
    ) as event
),
fresh as (
    select
        person_id,
        content_id,
        organization,
        coalesce(
            min(at) filter (where kind = 'started'), min(at) filter (where kind <> 'registered')
        ) as started_at,
        max(at) as last_activity_at,
        min(at) filter (where kind = 'completed') as completed_at,
        case when count(milliseconds) > 0 then least(
            coalesce(sum(milliseconds) filter (where not total), 0)
                + coalesce(max(milliseconds) filter (where total), 0),
            9223372036854775807
        )::bigint end as milliseconds,
        case
            when bool_or(kind = 'completed') then 100
            else (
                array_agg(progress order by at desc, statement_id desc)
                filter (where progress is not null)
            )[1]
        end as progress,
        max(score) as best_score,
        (
            array_agg(score order by at desc, statement_id desc) filter (where score is not null)
        )[1] as last_score,
        case
            when bool_and(kind = 'registered') then 0
            else greatest(
                count(distinct registration)
                    + count(*) filter (where kind = 'started' and registration is null),
                1
            )
        end as attempts,
        (
            array_agg(success order by at desc, statement_id desc)
            filter (where success is not null)
        )[1] as success,
        case
            when bool_or(kind = 'completed') then 'completed'
            when bool_and(kind = 'registered') then 'not_started'
            else 'in_progress'
        end as status,
        (array_agg(source order by at desc, statement_id desc))[1] as source
    from event
    group by person_id, content_id, organization
),
known as (
    select record.*
    from touched
    cross join lateral (
        select ctid as place, * from learner_record
        where partner_id = $1
            and (person_id, content_id) >= (touched.person_id, touched.content_id)
            and (person_id, content_id) <= (touched.person_id, touched.content_id)
        offset 0
    ) as record
),
changed as materialized (
    select fresh.*, known.place
    from fresh
    full join known
        on known.person_id = fresh.person_id and known.content_id = fresh.content_id
        and known.organization = fresh.organization
    where (
        fresh.started_at, fresh.last_activity_at, fresh.completed_at, fresh.milliseconds,
        fresh.progress, fresh.best_score, fresh.last_score, fresh.attempts, fresh.success,
        fresh.status, fresh.source
    ) is distinct from (
        known.started_at, known.last_activity_at, known.completed_at, known.milliseconds,
        known.progress, known.best_score, known.last_score, known.attempts, known.success,
        known.status, known.source
    )
),
gone as (
    delete from learner_record
    where partner_id = $1 and ctid = any(array(select place from changed where person_id is null))
)
insert into learner_record
    (partner_id, person_id, content_id, organization, started_at, last_activity_at, completed_at,
    milliseconds, progress, best_score, last_score, attempts, success, status, source)
select
    $1, person_id, content_id, organization, started_at, last_activity_at, completed_at,
    milliseconds, progress, best_score, last_score, attempts, success, status, source
from changed
where person_id is not null
on conflict (partner_id, person_id, content_id, organization) do update
set
    started_at = excluded.started_at,
    last_activity_at = excluded.last_activity_at,
    completed_at = excluded.completed_at,
    milliseconds = excluded.milliseconds,
    progress = excluded.progress,
    best_score = excluded.best_score,
    last_score = excluded.last_score,
    attempts = excluded.attempts,
    success = excluded.success,
    status = excluded.status,
    source = excluded.source
