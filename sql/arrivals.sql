-- What arrives, for the console.

-- name: list_firing_alarms
-- The alarms of the partners $1 that are firing.
select partner.name as partner, alarm.kind, alarm.since, alarm.details
from alarm
join partner using (partner_id)
where alarm.firing and alarm.partner_id = any($1::integer[])
order by partner.name, alarm.kind;

-- name: count_credential_effect
-- What a revocation stops: items of the credential in the last 24 hours, by outcome.
select
    coalesce(sum(items) filter (where outcome = 'stored'), 0)::bigint as stored,
    coalesce(sum(items) filter (where outcome not in ('stored', 'duplicate', 'aborted')), 0)::bigint
        as refused
from intake_count
where partner_id = $1 and hour >= $3 and credential = $2;

-- name: list_arrival_reasons
-- Why items of the partners $1 do not arrive, since the hour $2: the most frequent
-- reason of refused items, the last denied request and the number of those, and why a partner is
-- disabled.
select
    partner.name as partner,
    partner.disabled_reason,
    refused.code as refused_code,
    refused.pointer as refused_pointer,
    denied.requests as denied_requests,
    denied.last_at as last_denied_at,
    denied.code as denied_code
from partner
left join lateral (
    select code, pointer
    from intake_count
    where intake_count.partner_id = partner.partner_id and hour >= $2
        and outcome not in ('stored', 'duplicate', 'aborted')
    group by code, pointer
    order by sum(items) desc
    limit 1
) as refused on true
left join lateral (
    select
        sum(attempts)::bigint as requests, max(last_at) as last_at,
        (array_agg(status || ' ' || code order by last_at desc))[1] as code
    from access_attempt
    where access_attempt.partner_id = partner.partner_id and last_at >= $2
) as denied on true
where partner.partner_id = any($1::integer[])
order by partner.name;

-- name: count_attempts_without_partner
-- Denied requests since the time $1 that name no partner.
select coalesce(sum(attempts), 0)::bigint from access_attempt
where partner_id = 0 and last_at >= $1;
