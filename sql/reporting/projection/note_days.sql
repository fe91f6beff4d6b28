-- Notes that the facts of these days have changed, later than any change noted before: who has read
-- up to the last one then misses nothing. Only under the lock of the projection.
with moment as materialized (
    select greatest(
        clock_timestamp(), max(changed_at) + interval '1 microsecond'
    ) as changed_at
    from changed_day
    where partner_id = $1
)
insert into changed_day (partner_id, day, changed_at)
select $1, given.day, moment.changed_at
from unnest($2::date[]) as given (day)
cross join moment
on conflict (partner_id, day) do update set changed_at = excluded.changed_at
