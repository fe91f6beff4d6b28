-- Recomputing learner records and daily facts from events, and the days that changed by it. Only
-- under the row lock on `projection`.

-- name: recompute
-- Recomputes the records, facts and content days of pairs of learner ($2) and content item ($3)
-- from all their events, and the facts of the courses that the items are parts of; writes only rows
-- that differ, and returns the days that changed. Content days have the days outside memberships
-- too, and each organization apart; their sums by content item are adjusted by what changes. With
-- $4 the pairs are all pairs of their learners. Joins that a wrong estimate could ruin leave the
-- planner no choice: a full join is never a nested loop, and only the primary key has the pairs as
-- a range.
with pair as (
    select item.person_id, item.content_id, content_item.course_id
    from unnest($2::integer[], $3::integer[]) as item (person_id, content_id)
    cross join lateral (
        select course_id from content_item where partner_id = $1 and content_id = item.content_id
        offset 0
    ) as content_item
),
learner as materialized (
    select item.person_id, item.content_ids, item.course_ids, member.names, member.from_days,
    member.to_days
    from (
        select
            person_id,
            array_agg(content_id) as content_ids,
            array_agg(course_id) as course_ids
        from (
            select person_id, content_id, course_id from pair
            union
            select person_id, course_id, null from pair where course_id is not null
        ) as item
        group by person_id
    ) as item
    cross join lateral (
        select
            array_agg(learner_group.name) as names,
            array_agg(group_membership.from_day) as from_days,
            array_agg(group_membership.to_day) as to_days
        from group_membership
        cross join lateral (
            select name from learner_group
            where partner_id = $1 and group_id = group_membership.group_id
            offset 0
        ) as learner_group
        where group_membership.partner_id = $1 and group_membership.person_id = item.person_id
    ) as member
),
event as (
    select
        event.*,
        content_item.course_id,
        event.kind = 'registered'
            and event.milliseconds is null
            and event.xp is null
            and event.score is null
            and event.raw_score is null
            and event.percentile is null as is_enrolment,
        -- Reports show an event on days of membership, and all events of a learner in no group.
        learner.names is null or exists (
            select from unnest(learner.names, learner.from_days, learner.to_days)
                as period (name, from_day, to_day)
            where event.organization in ('', period.name) and event.day >= period.from_day
                and (period.to_day is null or event.day < period.to_day)
        ) as is_member
    from learner
    cross join lateral unnest(learner.content_ids, learner.course_ids)
        as content_item (content_id, course_id)
    cross join lateral (
        select
            person_id, content_id, alias_id, organization, kind, source, at, sequence, statement_id,
            registration, milliseconds, is_cumulative, progress, score, raw_score, percentile, xp,
            success, is_mobile, coalesce(day, (at at time zone 'UTC')::date) as day
        from learning_event
        where partner_id = $1
            and (person_id, content_id) >= (learner.person_id, content_item.content_id)
            and (person_id, content_id) <= (learner.person_id, content_item.content_id)
        offset 0
    ) as event
),
-- The highest total at each time; an epoch ends with a completion and with a start.
total as (
    select
        *,
        count(*) filter (where starts) over work as starts_before,
        count(*) filter (where starts) over work
            + count(*) filter (where completes) over (
                work rows between unbounded preceding and 1 preceding
            ) as epoch
    from (
        select
            person_id,
            content_id,
            organization,
            alias_id,
            at,
            min(day) as day,
            bool_and(is_member) as is_member,
            max(milliseconds) as milliseconds,
            bool_or(kind = 'started') as starts,
            bool_or(kind = 'completed') as completes
        from event
        where is_cumulative
        group by person_id, content_id, organization, alias_id, at
    ) as simultaneous
    window work as (partition by person_id, content_id, organization, alias_id order by at)
),
-- The first total of an epoch that falls opens an attempt, whose totals restart.
fall as (
    select
        *,
        milliseconds < lag(milliseconds) over work as falls,
        first_value(epoch) over work as first_epoch,
        starts_before = lag(starts_before) over work as is_unstarted
    from total
    where milliseconds is not null
    window work as (partition by person_id, content_id, organization, alias_id order by at)
),
opening as (
    select
        *,
        coalesce(falls, false) and epoch > first_epoch and count(*) filter (where falls) over (
            partition by person_id, content_id, organization, alias_id, epoch order by at
        ) = 1 as opens
    from fall
),
attempt as (
    select
        *,
        count(*) filter (where opens) over (
            partition by person_id, content_id, organization, alias_id order by at
        ) as attempt
    from opening
),
gain as (
    select
        person_id,
        content_id,
        organization,
        day,
        is_member,
        opens and is_unstarted as is_unstarted_attempt,
        greatest(milliseconds - coalesce(max(milliseconds) over (
            partition by person_id, content_id, organization, alias_id, attempt order by at
            rows between unbounded preceding and 1 preceding
        ), 0), 0) as milliseconds
    from attempt
),
record as (
    select
        work.*,
        case when work.own_milliseconds is not null or gained.milliseconds is not null then least(
            coalesce(work.own_milliseconds, 0) + coalesce(gained.milliseconds, 0),
            9223372036854775807
        )::bigint end as milliseconds,
        case
            when work.started_at is null then 0
            else greatest(work.registered_attempts, 1) + coalesce(gained.attempts, 0)
        end as attempts
    from (
        select
            person_id,
            content_id,
            organization,
            min(at) filter (where kind <> 'registered') as started_at,
            max(at) as last_activity_at,
            min(at) filter (where kind = 'completed') as completed_at,
            sum(milliseconds) filter (where not is_cumulative) as own_milliseconds,
            case
                when bool_or(kind = 'completed') then 100
                else (
                    array_agg(
                        progress
                        order by
                            at desc, case when is_cumulative then progress end desc nulls last,
                            sequence desc, statement_id desc
                    ) filter (where progress is not null)
                )[1]
            end as progress,
            max(score) as best_score,
            (
                array_agg(score order by at desc, sequence desc, statement_id desc)
                filter (where score is not null)
            )[1] as last_score,
            max(raw_score) as best_raw_score,
            (
                array_agg(raw_score order by at desc, sequence desc, statement_id desc)
                filter (where raw_score is not null)
            )[1] as last_raw_score,
            count(distinct registration)
                + count(*) filter (where kind = 'started' and registration is null)
                as registered_attempts,
            (
                array_agg(success order by at desc, sequence desc, statement_id desc)
                filter (where success is not null)
            )[1] as success,
            case
                when bool_or(kind = 'completed') then 'completed'
                when bool_and(kind = 'registered') then 'not_started'
                else 'in_progress'
            end as status,
            (array_agg(source order by at desc, sequence desc, statement_id desc))[1] as source
        from event
        group by person_id, content_id, organization
    ) as work
    full join (
        select
            person_id,
            content_id,
            organization,
            sum(milliseconds) as milliseconds,
            count(*) filter (where is_unstarted_attempt) as attempts
        from gain
        group by person_id, content_id, organization
    ) as gained
        on gained.person_id = work.person_id and gained.content_id = work.content_id
        and gained.organization = work.organization
),
existing_record as (
    select record.*
    from learner
    cross join lateral unnest(learner.content_ids) as content_item (content_id)
    cross join lateral (
        select ctid as row_id, * from learner_record
        where partner_id = $1
            and (person_id, content_id) >= (learner.person_id, content_item.content_id)
            and (person_id, content_id) <= (learner.person_id, content_item.content_id)
        offset 0
    ) as record
),
changed_record as materialized (
    select record.*, existing.row_id
    from record
    full join existing_record as existing
        on existing.person_id = record.person_id and existing.content_id = record.content_id
        and existing.organization = record.organization
    where (
        record.started_at, record.last_activity_at, record.completed_at, record.milliseconds,
        record.progress, record.best_score, record.last_score, record.best_raw_score,
        record.last_raw_score, record.attempts, record.success, record.status, record.source
    ) is distinct from (
        existing.started_at, existing.last_activity_at, existing.completed_at,
        existing.milliseconds, existing.progress, existing.best_score, existing.last_score,
        existing.best_raw_score, existing.last_raw_score, existing.attempts, existing.success,
        existing.status, existing.source
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
    where partner_id = $1
        and ctid = any(array(select row_id from changed_record where person_id is null))
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
    using changed_record as changed
    where changed.row_id is null and deleted_record.partner_id = $1
        and deleted_record.person_id = changed.person_id
        and deleted_record.content_id = changed.content_id
        and deleted_record.organization = changed.organization
),
upserted_record as (
    insert into learner_record
        (partner_id, person_id, content_id, organization, started_at, last_activity_at,
        completed_at, milliseconds, progress, best_score, last_score, best_raw_score,
        last_raw_score, attempts, success, status, source, updated_at)
    select
        $1, person_id, content_id, organization, started_at, last_activity_at, completed_at,
        milliseconds, progress, best_score, last_score, best_raw_score, last_raw_score, attempts,
        success, status, source, present.time
    from changed_record
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
        best_raw_score = excluded.best_raw_score,
        last_raw_score = excluded.last_raw_score,
        attempts = excluded.attempts,
        success = excluded.success,
        status = excluded.status,
        source = excluded.source,
        updated_at = excluded.updated_at
),
-- An enrolment alone is no work of a day.
daily as (
    select
        person_id,
        content_id,
        day,
        min(course_id) as course_id,
        min(at) filter (where kind <> 'registered') as first_work,
        min(at) filter (where kind = 'completed') as first_completion,
        sum(milliseconds) filter (where not is_cumulative) as milliseconds,
        sum(xp) as xp,
        (
            array_agg(score order by at desc, sequence desc, statement_id desc)
            filter (where score is not null)
        )[1] as score,
        (
            array_agg(raw_score order by at desc, sequence desc, statement_id desc)
            filter (where raw_score is not null)
        )[1] as raw_score,
        (
            array_agg(percentile order by at desc, sequence desc, statement_id desc)
            filter (where percentile is not null)
        )[1] as percentile,
        bool_or(is_mobile) as is_mobile
    from event
    where is_member
    group by person_id, content_id, day
    having not bool_and(is_enrolment)
),
own as (
    select
        daily.person_id,
        daily.content_id,
        daily.day,
        daily.course_id,
        min(daily.first_work) over work as started_at,
        min(daily.first_completion) over (work order by daily.day) as completed_at,
        case when daily.milliseconds is not null or gained.milliseconds is not null then (
            (coalesce(daily.milliseconds, 0) + coalesce(gained.milliseconds, 0)) / 1000.0
        )::double precision end as time_spent,
        daily.xp::double precision as xp,
        daily.score,
        daily.raw_score,
        daily.percentile,
        daily.is_mobile
    from daily
    full join (
        select person_id, content_id, day, sum(milliseconds) as milliseconds
        from gain
        where is_member
        group by person_id, content_id, day
    ) as gained
        on gained.person_id = daily.person_id and gained.content_id = daily.content_id
        and gained.day = daily.day
    window work as (partition by daily.person_id, daily.content_id)
),
-- Work on the parts of courses: as computed above, or as stored. Sums of numeric do not depend on
-- the order.
part as (
    select
        person_id,
        course_id as content_id,
        day,
        min(started_at) as started_at,
        sum(time_spent::numeric) as time_spent,
        sum(xp::numeric) as xp
    from (
        select person_id, course_id, day, started_at, time_spent, xp
        from own
        where course_id is not null
        union all
        select
            fact.person_id, content_item.content_id, fact.day, fact.started_at, fact.time_spent,
            fact.xp
        from learner
        cross join lateral unnest(learner.content_ids, learner.course_ids)
            as content_item (content_id, course_id)
        cross join lateral (
            select content_id from content_item as part
            where part.partner_id = $1 and part.course_id = content_item.content_id
            offset 0
        ) as part
        cross join lateral (
            select * from daily_fact
            where partner_id = $1
                and (person_id, content_id) >= (learner.person_id, part.content_id)
                and (person_id, content_id) <= (learner.person_id, part.content_id)
            offset 0
        ) as fact
        where not $4::boolean and content_item.course_id is null and fact.has_events
            and part.content_id <> all(learner.content_ids)
    ) as fact
    group by person_id, course_id, day
),
fact as (
    select
        coalesce(own.person_id, part.person_id) as person_id,
        coalesce(own.content_id, part.content_id) as content_id,
        coalesce(own.day, part.day) as day,
        own.day is not null as has_events,
        own.started_at,
        min(own.completed_at) over (
            work order by coalesce(own.day, part.day)
        ) as completed_at,
        own.time_spent,
        own.xp,
        own.score,
        own.raw_score,
        own.percentile,
        own.is_mobile,
        case when bool_or(part.day is not null) over work then least(
            min(own.started_at) over work, min(part.started_at) over work
        ) end as course_started_at,
        case when bool_or(part.day is not null) over work
            and (own.time_spent is not null or part.time_spent is not null)
        then (
            coalesce(own.time_spent::numeric, 0) + coalesce(part.time_spent, 0)
        )::double precision end as course_time_spent,
        case when bool_or(part.day is not null) over work
            and (own.xp is not null or part.xp is not null)
        then (
            coalesce(own.xp::numeric, 0) + coalesce(part.xp, 0)
        )::double precision end as course_xp
    from own
    full join part
        on part.person_id = own.person_id and part.content_id = own.content_id
        and part.day = own.day
    window work as (
        partition by coalesce(own.person_id, part.person_id),
        coalesce(own.content_id, part.content_id)
    )
),
existing_fact as (
    select fact.*
    from learner
    cross join lateral unnest(learner.content_ids) as content_item (content_id)
    cross join lateral (
        select ctid as row_id, * from daily_fact
        where partner_id = $1
            and (person_id, content_id) >= (learner.person_id, content_item.content_id)
            and (person_id, content_id) <= (learner.person_id, content_item.content_id)
        offset 0
    ) as fact
),
changed_fact as materialized (
    select fact.*, existing.row_id, coalesce(fact.day, existing.day) as changed_day
    from fact
    full join existing_fact as existing
        on existing.person_id = fact.person_id and existing.content_id = fact.content_id
        and existing.day = fact.day
    where fact.day is null or existing.day is null or (
        fact.started_at, fact.completed_at, fact.time_spent, fact.xp, fact.score, fact.raw_score,
        fact.percentile, fact.is_mobile, fact.course_started_at, fact.course_time_spent,
        fact.course_xp, fact.has_events
    ) is distinct from (
        existing.started_at, existing.completed_at, existing.time_spent, existing.xp,
        existing.score, existing.raw_score, existing.percentile, existing.is_mobile,
        existing.course_started_at, existing.course_time_spent, existing.course_xp,
        existing.has_events
    )
),
deleted_fact as (
    delete from daily_fact
    where partner_id = $1
        and ctid = any(array(select row_id from changed_fact where day is null))
),
upserted_fact as (
    insert into daily_fact
        (partner_id, person_id, content_id, day, started_at, completed_at, time_spent, xp, score,
        raw_score, percentile, is_mobile, course_started_at, course_time_spent, course_xp,
        has_events)
    select
        $1, person_id, content_id, day, started_at, completed_at, time_spent, xp, score, raw_score,
        percentile, is_mobile, course_started_at, course_time_spent, course_xp, has_events
    from changed_fact
    where day is not null
    on conflict (partner_id, person_id, content_id, day) do update
    set
        started_at = excluded.started_at,
        completed_at = excluded.completed_at,
        time_spent = excluded.time_spent,
        xp = excluded.xp,
        score = excluded.score,
        raw_score = excluded.raw_score,
        percentile = excluded.percentile,
        is_mobile = excluded.is_mobile,
        course_started_at = excluded.course_started_at,
        course_time_spent = excluded.course_time_spent,
        course_xp = excluded.course_xp,
        has_events = excluded.has_events
),
content_daily as (
    select
        person_id,
        content_id,
        organization,
        day,
        sum(milliseconds) filter (where not is_cumulative) as milliseconds,
        sum(xp) as xp,
        (
            array_agg(score order by at desc, sequence desc, statement_id desc)
            filter (where score is not null)
        )[1] as score,
        (
            array_agg(raw_score order by at desc, sequence desc, statement_id desc)
            filter (where raw_score is not null)
        )[1] as raw_score,
        (
            array_agg(
                progress
                order by
                    at desc, case when is_cumulative then progress end desc nulls last,
                    sequence desc, statement_id desc
            ) filter (where progress is not null)
        )[1] as progress,
        bool_or(kind = 'completed') as completes,
        bool_or(kind <> 'registered') as works,
        count(*)::integer as statements,
        (count(*) filter (where is_enrolment))::integer as enrolments,
        (count(*) filter (where kind not in (
            'created', 'edited', 'integrated', 'published', 'publish_failed', 'shared', 'upvoted',
            'viewed'
        )))::integer as without_workspace_column,
        bool_and(is_member) as is_member
    from event
    group by person_id, content_id, organization, day
),
content_computed as (
    select
        work.person_id,
        work.content_id,
        work.organization,
        work.day,
        case when work.milliseconds is not null or gained.milliseconds is not null then (
            (coalesce(work.milliseconds, 0) + coalesce(gained.milliseconds, 0)) / 1000.0
        )::double precision end as time_spent,
        work.xp::double precision as xp,
        work.score,
        work.raw_score,
        case when bool_or(completes) over until_day then 100 else progress end as progress,
        case
            when bool_or(completes) over until_day then 'completed'
            when bool_or(works) over until_day then 'in_progress'
            else 'not_started'
        end as status,
        statements,
        enrolments,
        without_workspace_column,
        is_member
    from content_daily as work
    full join (
        select person_id, content_id, organization, day, sum(milliseconds) as milliseconds
        from gain
        group by person_id, content_id, organization, day
    ) as gained
        on gained.person_id = work.person_id and gained.content_id = work.content_id
        and gained.organization = work.organization and gained.day = work.day
    window until_day as (
        partition by work.person_id, work.content_id, work.organization order by work.day
    )
),
content_existing as (
    select content_day.*
    from learner
    cross join lateral unnest(learner.content_ids) as content_item (content_id)
    cross join lateral (
        select ctid as row_id, * from content_day
        where partner_id = $1
            and (person_id, content_id) >= (learner.person_id, content_item.content_id)
            and (person_id, content_id) <= (learner.person_id, content_item.content_id)
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
        (case when computed.is_member then computed.without_workspace_column else 0 end)
            - (case when existing.is_member then existing.without_workspace_column else 0 end)
            as more_without_workspace_column,
        (case when not computed.is_member then computed.statements else 0 end)
            - (case when not existing.is_member then existing.statements else 0 end)
            as more_outside
    from content_computed as computed
    full join content_existing as existing
        on existing.person_id = computed.person_id and existing.content_id = computed.content_id
        and existing.organization = computed.organization and existing.day = computed.day
    where computed.day is null or existing.day is null or (
        computed.time_spent, computed.xp, computed.score, computed.raw_score, computed.progress,
        computed.status, computed.statements, computed.enrolments,
        computed.without_workspace_column, computed.is_member
    ) is distinct from (
        existing.time_spent, existing.xp, existing.score, existing.raw_score, existing.progress,
        existing.status, existing.statements, existing.enrolments,
        existing.without_workspace_column, existing.is_member
    )
),
content_deleted as (
    delete from content_day
    where partner_id = $1
        and ctid = any(array(select row_id from content_changed where day is null))
),
content_upserted as (
    insert into content_day
        (partner_id, person_id, content_id, organization, day, time_spent, xp, score, raw_score,
        progress, status, statements, enrolments, without_workspace_column, is_member)
    select
        $1, person_id, content_id, organization, day, time_spent, xp, score, raw_score, progress,
        status, statements, enrolments, without_workspace_column, is_member
    from content_changed
    where day is not null
    on conflict (partner_id, person_id, content_id, organization, day) do update
    set
        time_spent = excluded.time_spent,
        xp = excluded.xp,
        score = excluded.score,
        raw_score = excluded.raw_score,
        progress = excluded.progress,
        status = excluded.status,
        statements = excluded.statements,
        enrolments = excluded.enrolments,
        without_workspace_column = excluded.without_workspace_column,
        is_member = excluded.is_member
),
counted as (
    insert into content_count
        (partner_id, content_id, statements, enrolments, without_workspace_column,
        outside_membership)
    select
        $1, counted_content_id, sum(more_statements), sum(more_enrolments),
        sum(more_without_workspace_column), sum(more_outside)
    from content_changed
    group by counted_content_id
    having (
        sum(more_statements), sum(more_enrolments), sum(more_without_workspace_column),
        sum(more_outside)
    ) <> (0, 0, 0, 0)
    on conflict (partner_id, content_id) do update
    set
        statements = content_count.statements + excluded.statements,
        enrolments = content_count.enrolments + excluded.enrolments,
        without_workspace_column
            = content_count.without_workspace_column + excluded.without_workspace_column,
        outside_membership = content_count.outside_membership + excluded.outside_membership
)
select changed_day as day from changed_fact
union
select changed_day from content_changed;

-- name: recompute_content_counts
-- Corrects the sums of content days by content item, at the end of a rebuild.
with computed as (
    select
        content_id,
        sum(statements) as statements,
        coalesce(sum(enrolments) filter (where is_member), 0) as enrolments,
        coalesce(sum(without_workspace_column) filter (where is_member), 0)
            as without_workspace_column,
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
insert into content_count (
    partner_id, content_id, statements, enrolments, without_workspace_column, outside_membership
)
select
    $1, computed.content_id, computed.statements, computed.enrolments,
    computed.without_workspace_column, computed.outside_membership
from computed
left join content_count as existing
    on existing.partner_id = $1 and existing.content_id = computed.content_id
where (
    computed.statements, computed.enrolments, computed.without_workspace_column,
    computed.outside_membership
) is distinct from (
    existing.statements, existing.enrolments, existing.without_workspace_column,
    existing.outside_membership
)
on conflict (partner_id, content_id) do update
set
    statements = excluded.statements,
    enrolments = excluded.enrolments,
    without_workspace_column = excluded.without_workspace_column,
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
