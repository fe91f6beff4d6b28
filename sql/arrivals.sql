-- What arrives, for the console.

-- name: list_firing_alarms
-- The alarms that are firing, by partner.
select partner.name as partner, alarm.kind, alarm.since, alarm.details
from alarm
join partner using (partner_id)
where alarm.firing
order by partner.name, alarm.kind;

-- name: count_credential_effect
-- What a revocation stops: items of the credential in the last 24 hours, by outcome.
select
    coalesce(sum(items) filter (where outcome = 'stored'), 0)::bigint as stored,
    coalesce(sum(items) filter (where outcome not in ('stored', 'duplicate', 'aborted')), 0)::bigint
        as refused
from intake_count
where partner_id = $1 and hour >= $3 and credential = $2;
