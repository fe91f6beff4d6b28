-- Recomputing learner records and daily facts from events, and the days that changed by it. Only
-- under the row lock on `projection`.

-- name: recompute_records
-- Recomputes the learner records of pairs of learner and content item from all their events, and
-- writes only rows that differ. Joins that a wrong estimate could ruin leave the planner no choice:
-- a full join is never a nested loop, and only the primary key has the pairs as a range.
with pair as (
    select distinct person_id, content_id
    from unnest($2::integer[], $3::integer[]) as pair (person_id, content_id)
),
event as (
    select event.*
    from pair
    cross join lateral (
        select * from learning_event
        where partner_id = $1
            and (person_id, content_id) >= (pair.person_id, pair.content_id)
            and (person_id, content_id) <= (pair.person_id, pair.content_id)
        offset 0
    ) as event
),
computed as (
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
            coalesce(sum(milliseconds) filter (where not is_cumulative), 0)
                + coalesce(max(milliseconds) filter (where is_cumulative), 0),
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
existing as (
    select record.*
    from pair
    cross join lateral (
        select ctid as row_id, * from learner_record
        where partner_id = $1
            and (person_id, content_id) >= (pair.person_id, pair.content_id)
            and (person_id, content_id) <= (pair.person_id, pair.content_id)
        offset 0
    ) as record
),
changed as materialized (
    select computed.*, existing.row_id
    from computed
    full join existing
        on existing.person_id = computed.person_id and existing.content_id = computed.content_id
        and existing.organization = computed.organization
    where (
        computed.started_at, computed.last_activity_at, computed.completed_at,
        computed.milliseconds, computed.progress, computed.best_score, computed.last_score,
        computed.attempts, computed.success, computed.status, computed.source
    ) is distinct from (
        existing.started_at, existing.last_activity_at, existing.completed_at,
        existing.milliseconds, existing.progress, existing.best_score, existing.last_score,
        existing.attempts, existing.success, existing.status, existing.source
    )
),
present as materialized (
    select greatest(
        clock_timestamp(),
        (select max(updated_at) + interval '1 microsecond' from learner_record
        where partner_id = $1),
        (select max(deleted_at) + interval '1 microsecond' from deleted_record
        where partner_id = $1)
    ) as time
),
deleted as (
    delete from learner_record
    where partner_id = $1 and ctid = any(array(select row_id from changed where person_id is null))
    returning person_id, content_id, organization
),
buried as (
    insert into deleted_record (partner_id, person_id, content_id, organization, deleted_at)
    select $1, person_id, content_id, organization, present.time from deleted cross join present
    on conflict (partner_id, person_id, content_id, organization) do update
    set deleted_at = excluded.deleted_at
),
restored as (
    delete from deleted_record
    using changed
    where changed.row_id is null and deleted_record.partner_id = $1
        and deleted_record.person_id = changed.person_id
        and deleted_record.content_id = changed.content_id
        and deleted_record.organization = changed.organization
)
insert into learner_record
    (partner_id, person_id, content_id, organization, started_at, last_activity_at, completed_at,
    milliseconds, progress, best_score, last_score, attempts, success, status, source, updated_at)
select
    $1, person_id, content_id, organization, started_at, last_activity_at, completed_at,
    milliseconds, progress, best_score, last_score, attempts, success, status, source, present.time
from changed
cross join present
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
    source = excluded.source,
    updated_at = excluded.updated_at;

-- name: recompute_facts
-- Recomputes the daily facts and the content days of pairs of learner and content item like
-- recompute_records, and returns the days that changed. A cumulative time counts by what it exceeds
-- earlier ones by; that is computed over all days before days on which the learner was not a member
-- are left out. Content days have these too, and each organization apart; their sums by content
-- item are adjusted by what changes.
with pair as (
    select distinct person_id, content_id
    from unnest($2::integer[], $3::integer[]) as pair (person_id, content_id)
),
event as (
    select
        event.*,
        (event.at at time zone 'UTC')::date as day,
        case
            when event.is_cumulative and event.milliseconds is not null then greatest(
                event.milliseconds
                    - coalesce(
                        max(event.milliseconds) filter (where event.is_cumulative) over earlier, 0
                    ),
                0
            )
            else event.milliseconds
        end as increment,
        event.kind = 'registered'
            and event.milliseconds is null
            and event.xp is null
            and event.score is null
            and event.progress is null as is_enrolment,
        not exists (
            select from group_membership
            where group_membership.partner_id = $1
                and group_membership.person_id = event.person_id
            offset 0
        )
        or exists (
            select from group_membership
            join learner_group using (partner_id, group_id)
            where group_membership.partner_id = $1
                and group_membership.person_id = event.person_id
                and event.organization in ('', learner_group.name)
                and (event.at at time zone 'UTC')::date >= group_membership.from_day
                and (
                    group_membership.to_day is null
                    or (event.at at time zone 'UTC')::date < group_membership.to_day
                )
            offset 0
        ) as is_member
    from pair
    cross join lateral (
        select * from learning_event
        where partner_id = $1
            and (person_id, content_id) >= (pair.person_id, pair.content_id)
            and (person_id, content_id) <= (pair.person_id, pair.content_id)
        offset 0
    ) as event
    window earlier as (
        partition by event.person_id, event.content_id, event.organization
        order by event.at, event.statement_id
        rows between unbounded preceding and 1 preceding
    )
),
daily as (
    select
        person_id,
        content_id,
        day,
        min(at) filter (where kind = 'started') as first_start,
        min(at) filter (where kind <> 'registered') as first_work,
        min(at) filter (where kind = 'completed') as first_completion,
        sum(increment) as milliseconds,
        sum(xp) as xp,
        (
            array_agg(score order by at desc, statement_id desc) filter (where score is not null)
        )[1] as score,
        (
            array_agg(percentile order by at desc, statement_id desc)
            filter (where percentile is not null)
        )[1] as percentile,
        bool_or(is_mobile) as is_mobile
    from event
    where is_member
    group by person_id, content_id, day
),
computed as (
    select
        person_id,
        content_id,
        day,
        coalesce(min(first_start) over until_day, min(first_work) over until_day) as started_at,
        min(first_completion) over until_day as completed_at,
        (milliseconds / 1000.0)::double precision as time_spent,
        xp::double precision as xp,
        score,
        percentile,
        is_mobile
    from daily
    window until_day as (partition by person_id, content_id order by day)
),
existing as (
    select fact.*
    from pair
    cross join lateral (
        select ctid as row_id, * from daily_fact
        where partner_id = $1
            and (person_id, content_id) >= (pair.person_id, pair.content_id)
            and (person_id, content_id) <= (pair.person_id, pair.content_id)
        offset 0
    ) as fact
),
changed as materialized (
    select computed.*, existing.row_id, coalesce(computed.day, existing.day) as changed_day
    from computed
    full join existing
        on existing.person_id = computed.person_id and existing.content_id = computed.content_id
        and existing.day = computed.day
    where computed.day is null or existing.day is null or (
        computed.started_at, computed.completed_at, computed.time_spent, computed.xp,
        computed.score, computed.percentile, computed.is_mobile
    ) is distinct from (
        existing.started_at, existing.completed_at, existing.time_spent, existing.xp,
        existing.score, existing.percentile, existing.is_mobile
    )
),
deleted as (
    delete from daily_fact
    where partner_id = $1 and ctid = any(array(select row_id from changed where day is null))
),
upserted as (
    insert into daily_fact
        (partner_id, person_id, content_id, day, started_at, completed_at, time_spent, xp, score,
        percentile, is_mobile)
    select
        $1, person_id, content_id, day, started_at, completed_at, time_spent, xp, score,
        percentile, is_mobile
    from changed
    where day is not null
    on conflict (partner_id, person_id, content_id, day) do update
    set
        started_at = excluded.started_at,
        completed_at = excluded.completed_at,
        time_spent = excluded.time_spent,
        xp = excluded.xp,
        score = excluded.score,
        percentile = excluded.percentile,
        is_mobile = excluded.is_mobile
),
content_daily as (
    select
        person_id,
        content_id,
        organization,
        day,
        sum(increment) as milliseconds,
        sum(xp) as xp,
        (
            array_agg(score order by at desc, statement_id desc) filter (where score is not null)
        )[1] as score,
        (
            array_agg(progress order by at desc, statement_id desc)
            filter (where progress is not null)
        )[1] as progress,
        bool_or(kind = 'completed') as completes,
        bool_or(kind <> 'registered') as works,
        count(*)::integer as statements,
        (count(*) filter (where is_enrolment))::integer as enrolments,
        bool_and(is_member) as is_member
    from event
    group by person_id, content_id, organization, day
),
content_computed as (
    select
        person_id,
        content_id,
        organization,
        day,
        (milliseconds / 1000.0)::double precision as time_spent,
        xp::double precision as xp,
        score,
        case when bool_or(completes) over until_day then 100 else progress end as progress,
        case
            when bool_or(completes) over until_day then 'completed'
            when bool_or(works) over until_day then 'in_progress'
            else 'not_started'
        end as status,
        statements,
        enrolments,
        is_member
    from content_daily
    window until_day as (partition by person_id, content_id, organization order by day)
),
content_existing as (
    select content_day.*
    from pair
    cross join lateral (
        select ctid as row_id, * from content_day
        where partner_id = $1
            and (person_id, content_id) >= (pair.person_id, pair.content_id)
            and (person_id, content_id) <= (pair.person_id, pair.content_id)
        offset 0
    ) as content_day
),
content_changed as materialized (
    select
        computed.*,
        existing.row_id,
        coalesce(computed.content_id, existing.content_id) as counted_content_id,
        coalesce(computed.day, existing.day) as changed_day,
        coalesce(computed.statements, 0) - coalesce(existing.statements, 0) as more_statements,
        (case when computed.is_member then computed.enrolments else 0 end)
            - (case when existing.is_member then existing.enrolments else 0 end)
            as more_enrolments,
        (case when not computed.is_member then computed.statements else 0 end)
            - (case when not existing.is_member then existing.statements else 0 end)
            as more_outside
    from content_computed as computed
    full join content_existing as existing
        on existing.person_id = computed.person_id and existing.content_id = computed.content_id
        and existing.organization = computed.organization and existing.day = computed.day
    where computed.day is null or existing.day is null or (
        computed.time_spent, computed.xp, computed.score, computed.progress, computed.status,
        computed.statements, computed.enrolments, computed.is_member
    ) is distinct from (
        existing.time_spent, existing.xp, existing.score, existing.progress, existing.status,
        existing.statements, existing.enrolments, existing.is_member
    )
),
content_deleted as (
    delete from content_day
    where partner_id = $1
        and ctid = any(array(select row_id from content_changed where day is null))
),
content_upserted as (
    insert into content_day
        (partner_id, person_id, content_id, organization, day, time_spent, xp, score, progress,
        status, statements, enrolments, is_member)
    select
        $1, person_id, content_id, organization, day, time_spent, xp, score, progress, status,
        statements, enrolments, is_member
    from content_changed
    where day is not null
    on conflict (partner_id, person_id, content_id, organization, day) do update
    set
        time_spent = excluded.time_spent,
        xp = excluded.xp,
        score = excluded.score,
        progress = excluded.progress,
        status = excluded.status,
        statements = excluded.statements,
        enrolments = excluded.enrolments,
        is_member = excluded.is_member
),
counted as (
    insert into content_count
        (partner_id, content_id, statements, enrolments, outside_membership)
    select
        $1, counted_content_id, sum(more_statements), sum(more_enrolments), sum(more_outside)
    from content_changed
    group by counted_content_id
    having (sum(more_statements), sum(more_enrolments), sum(more_outside)) <> (0, 0, 0)
    on conflict (partner_id, content_id) do update
    set
        statements = content_count.statements + excluded.statements,
        enrolments = content_count.enrolments + excluded.enrolments,
        outside_membership = content_count.outside_membership + excluded.outside_membership
)
select changed_day as day from changed
union
select changed_day from content_changed;

-- name: recompute_content_counts
-- Corrects the sums of content days by content item, at the end of a rebuild.
with computed as (
    select
        content_id,
        sum(statements) as statements,
        coalesce(sum(enrolments) filter (where is_member), 0) as enrolments,
        coalesce(sum(statements) filter (where not is_member), 0) as outside_membership
    from content_day
    where partner_id = $1
    group by content_id
),
deleted as (
    delete from content_count
    where partner_id = $1 and statements <> 0
        and not exists (select from computed where computed.content_id = content_count.content_id)
)
insert into content_count (partner_id, content_id, statements, enrolments, outside_membership)
select
    $1, computed.content_id, computed.statements, computed.enrolments, computed.outside_membership
from computed
left join content_count as existing
    on existing.partner_id = $1 and existing.content_id = computed.content_id
where (computed.statements, computed.enrolments, computed.outside_membership)
    is distinct from (existing.statements, existing.enrolments, existing.outside_membership)
on conflict (partner_id, content_id) do update
set
    statements = excluded.statements,
    enrolments = excluded.enrolments,
    outside_membership = excluded.outside_membership;

-- name: list_days_of_content_items
-- The days with facts of content items; content days have those outside memberships too.
select distinct day from content_day where partner_id = $1 and content_id = any($2::integer[]);

-- name: record_changed_days
-- Records that the facts of these days changed, at a time after all changes recorded before: a
-- reader that has read up to the last change misses nothing.
with change as materialized (
    select greatest(
        clock_timestamp(), max(changed_at) + interval '1 microsecond'
    ) as changed_at
    from changed_day
    where partner_id = $1
)
insert into changed_day (partner_id, day, changed_at)
select $1, item.day, change.changed_at
from unnest($2::date[]) as item (day)
cross join change
on conflict (partner_id, day) do update set changed_at = excluded.changed_at;
