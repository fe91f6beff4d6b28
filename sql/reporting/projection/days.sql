-- The facts of some learners and contents, made anew from all their events like the records, with the
-- days that differ noted. A total counts by what it is above the totals before it; that is told over
-- all days, and only then are those left out on which the learner did not belong to the group.
with touched as (
    select distinct person_id, content_id
    from unnest($2::integer[], $3::integer[]) as touched (person_id, content_id)
),
event as (
    select
        event.*,
        (event.at at time zone 'UTC')::date as day,
        case
            when event.total and event.milliseconds is not null then greatest(
                event.milliseconds
                    - coalesce(max(event.milliseconds) filter (where event.total) over before, 0),
                0
            )
            else event.milliseconds
        end as gained
    from touched
    cross join lateral (
        select * from learning_event
        where partner_id = $1
            and (person_id, content_id) >= (touched.person_id, touched.content_id)
            and (person_id, content_id) <= (touched.person_id, touched.content_id)
        offset 0
    ) as event
    window before as (
        partition by event.person_id, event.content_id, event.organization
        order by event.at, event.statement_id
        rows between unbounded preceding and 1 preceding
    )
),
worked as (
    select
        person_id,
        content_id,
        day,
        min(at) filter (where kind = 'started') as first_start,
        min(at) filter (where kind <> 'registered') as first_work,
        min(at) filter (where kind = 'completed') as first_completion,
        sum(gained) as milliseconds,
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
    where
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
                and event.day >= group_membership.from_day
                and (group_membership.to_day is null or event.day < group_membership.to_day)
            offset 0
        )
    group by person_id, content_id, day
),
fresh as (
    select
        person_id,
        content_id,
        day,
        coalesce(min(first_start) over so_far, min(first_work) over so_far) as started_at,
        min(first_completion) over so_far as completed_at,
        (milliseconds / 1000.0)::double precision as time_spent,
        xp::double precision as xp,
        score,
        percentile,
        is_mobile
    from worked
    window so_far as (partition by person_id, content_id order by day)
),
known as (
    select fact.*
    from touched
    cross join lateral (
        select ctid as place, * from learner_day
        where partner_id = $1
            and (person_id, content_id) >= (touched.person_id, touched.content_id)
            and (person_id, content_id) <= (touched.person_id, touched.content_id)
        offset 0
    ) as fact
),
changed as materialized (
    select fresh.*, known.place, coalesce(fresh.day, known.day) as changed_day
    from fresh
    full join known
        on known.person_id = fresh.person_id and known.content_id = fresh.content_id
        and known.day = fresh.day
    where fresh.day is null or known.day is null or (
        fresh.started_at, fresh.completed_at, fresh.time_spent, fresh.xp, fresh.score,
        fresh.percentile, fresh.is_mobile
    ) is distinct from (
        known.started_at, known.completed_at, known.time_spent, known.xp, known.score,
        known.percentile, known.is_mobile
    )
),
gone as (
    delete from learner_day
    where partner_id = $1 and ctid = any(array(select place from changed where day is null))
),
written as (
    insert into learner_day
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
)
select distinct changed_day as day from changed
