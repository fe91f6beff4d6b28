-- Rate limits and quotas that all workers of all servers share.

-- name: insert_rate_limits
-- The rows that take_tokens updates, with a whole quota. Sorted, as all locks on these rows.
insert into rate_limit (partner_id, subject, arrival)
select $1, subject, 0 from unnest($2::text[]) as item (subject)
order by subject
on conflict (partner_id, subject) do nothing;

-- name: take_tokens
-- The generic cell rate algorithm (lrs/limits/gcra.py) for several subjects of a partner. Every
-- time comes from the clock of the database; a clock that steps back costs at most one window.
with request as (
    select subject, kept, wanted, window_seconds, window_seconds / quota as emission_interval
    from unnest(
        $2::text[], $3::double precision[], $4::double precision[], $5::integer[], $6::integer[]
    ) as item (subject, quota, window_seconds, kept, wanted)
),
locked as (
    select subject, arrival from rate_limit
    where partner_id = $1 and subject = any($2::text[])
    order by subject
    for update
),
clock as materialized (
    select extract(epoch from clock_timestamp())::double precision as now
    from (select count(*) from locked) as after_lock
),
renewed as (
    select
        subject, wanted, emission_interval, window_seconds, now,
        greatest(least(arrival - now, window_seconds) - kept * emission_interval, 0)
            + kept * emission_interval as ahead
    from locked
    join request using (subject)
    cross join clock
),
granted as (
    select
        *,
        floor((window_seconds - ahead) / emission_interval + 0.001)::integer as available
    from renewed
)
update rate_limit
set arrival = now + ahead + least(wanted, available) * emission_interval
from granted
where rate_limit.partner_id = $1 and rate_limit.subject = granted.subject
returning
    granted.subject,
    least(wanted, available) as tokens,
    greatest(available - wanted, 0) as remaining,
    greatest(ahead + (least(wanted, available) + 1) * emission_interval - window_seconds, 0)
        as retry_after;

-- name: insert_quota_usage
-- The rows that take_quota updates. Stored bytes are counted later: see recount_stored_bytes.
insert into quota_usage (partner_id, subject, resource, day, used)
select $1, item.subject, item.resource, '1970-01-01', 0
from unnest($2::text[], $3::text[]) as item (subject, resource)
order by item.subject, item.resource
on conflict (partner_id, subject, resource) do nothing;

-- name: take_quota
-- Leases parts of quotas. `kept` was leased on the day `leased_on` and is not used yet: it is
-- returned, unless that day is over. Of each quota `needed` to `wanted` are leased, or nothing if
-- less than `needed` is left. Statements are counted by UTC day; a clock that steps back opens no
-- new day. Stored bytes have one day, 1970-01-01. What the worker $9 has of them is in `leases`:
-- the new part, and what it `held` for requests whose outcome is not known yet.
with request as (
    select * from unnest(
        $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::date[], $7::bigint[],
        $8::bigint[], $10::bigint[]
    ) as item (subject, resource, quota, kept, leased_on, needed, wanted, held)
),
locked as (
    select subject, resource, day, used, coalesce(leases, '{}') as leases from quota_usage
    where partner_id = $1 and subject = any($2::text[])
    order by subject, resource
    for update
),
clock as materialized (
    select clock_timestamp() at time zone 'UTC' as now
    from (select count(*) from locked) as after_lock
),
dated as (
    select
        subject, resource, used, day as counted_on, quota, kept, leased_on, needed, wanted, held,
        leases, now,
        case when resource = 'bytes' then day else greatest(day, now::date) end as day
    from locked
    join request using (subject, resource)
    cross join clock
),
returned as (
    select
        *,
        case when day = counted_on
            then greatest(used - case when day = leased_on then kept else 0 end, 0)
            else 0
        end as in_use
    from dated
),
granted as (
    select
        *,
        case when quota - in_use >= needed then least(wanted, quota - in_use) else 0 end as amount
    from returned
)
update quota_usage
set
    day = granted.day,
    used = in_use + amount,
    leases = case
        when granted.resource <> 'bytes' then null
        when amount + held = 0 then granted.leases - $9::text
        else granted.leases
            || jsonb_build_object(
                $9::text,
                jsonb_build_array(
                    amount + held, extract(epoch from now at time zone 'UTC')::bigint
                )
            )
    end
from granted
where quota_usage.partner_id = $1
    and quota_usage.subject = granted.subject
    and quota_usage.resource = granted.resource
returning
    granted.subject, granted.resource, granted.day, amount, in_use,
    extract(epoch from granted.day + 1 - now)::double precision as seconds_left;

-- name: get_quota_usage
-- What a partner has used of its quotas, with what its servers have leased.
select subject, resource, day, used, counted_at from quota_usage
where partner_id = $1
order by subject, resource;

-- name: claim_byte_count
-- A partner with a quota of stored bytes that was not counted for a day, marked as counted. $1 is
-- the quota of partners without an override.
update quota_usage
set counted_at = now()
where resource = 'bytes' and subject = '' and partner_id = (
    select quota_usage.partner_id
    from quota_usage
    join partner using (partner_id)
    where quota_usage.resource = 'bytes' and quota_usage.subject = ''
        and coalesce((partner.limits ->> 'max_stored_bytes')::bigint, $1) > 0
        and coalesce(quota_usage.counted_at < now() - interval '1 day', true)
    order by quota_usage.counted_at nulls first
    limit 1
    for update of quota_usage skip locked
)
returning partner_id;

-- name: recount_stored_bytes
-- Counts what a partner stores. Counter and tables are read in one snapshot. What workers have
-- leased before is added, and what is leased during the count: so a request in flight is counted
-- before or after its commit. What a worker has stored since its last report, a second ago at most,
-- is counted twice until the next count. Leases of workers that have ended are not counted.
with counted as materialized (
    select
        (
            select coalesce(sum(octet_length(payload)), 0) from statement where partner_id = $1
        ) + (
            select coalesce(sum(octet_length(content)), 0) from document where partner_id = $1
        ) + (
            select coalesce(sum(octet_length(content)), 0) from attachment where partner_id = $1
        ) as bytes,
        usage.used as used_before,
        (
            select coalesce(sum((lease ->> 0)::bigint), 0)
            from jsonb_each(coalesce(usage.leases, '{}')) as leases (worker, lease)
            where (lease ->> 1)::bigint > extract(epoch from now()) - 120
        ) as leased
    from quota_usage as usage
    where usage.partner_id = $1 and usage.subject = '' and usage.resource = 'bytes'
)
update quota_usage
set
    used = greatest(used - used_before + counted.bytes + counted.leased, 0),
    counted_at = now()
from counted
where partner_id = $1 and subject = '' and resource = 'bytes'
returning counted.bytes;

-- name: insert_concurrency_limit
-- The row that take_slots updates.
insert into concurrency_limit (partner_id, subject, slots) values ($1, $2, '{}')
on conflict (partner_id, subject) do nothing;

-- name: take_slots
-- Leases up to $5 of the $4 slots of a subject to the worker $3, for $6 seconds, instead of what it
-- has leased before. Leases of workers that have ended expire.
with locked as (
    select slots from concurrency_limit where partner_id = $1 and subject = $2 for update
),
clock as materialized (
    select extract(epoch from clock_timestamp())::double precision as now
    from (select count(*) from locked) as after_lock
),
others as (
    select
        coalesce(jsonb_object_agg(worker, lease), '{}') as slots,
        coalesce(sum((lease ->> 0)::integer), 0)::integer as leased
    from locked
    cross join clock
    cross join jsonb_each(locked.slots) as leases (worker, lease)
    -- A lease that ends later than a new one was taken before the clock stepped back.
    where worker <> $3 and (lease ->> 1)::double precision between now and now + $6
),
granted as (
    select greatest(least($5, $4 - leased), 0) as amount from others
)
update concurrency_limit
set slots = others.slots
    || jsonb_build_object($3::text, jsonb_build_array(amount, now + $6::double precision))
from others, granted, clock
where concurrency_limit.partner_id = $1 and concurrency_limit.subject = $2
returning amount;
