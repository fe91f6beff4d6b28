-- The intake ledger: items that arrived by hour, refusals, failed access, alarms.
--
-- Rows are written by connections of readers: the watermark waits for transactions of writers.

-- name: insert_intake_positions
-- The rows that writers of counts lock.
insert into intake_position (partner_id)
select partner_id from unnest($1::integer[]) as item (partner_id)
order by partner_id
on conflict (partner_id) do nothing;

-- name: lock_intake_positions
-- In the order of partners, so that two servers cannot deadlock.
select partner_id from intake_position
where partner_id = any($1::integer[])
order by partner_id
for update;

-- name: try_lock_intake_position
-- The position of a partner; no row while another server counts its statements.
select position from intake_position where partner_id = $1 for update skip locked;

-- name: list_intake_names
-- What an hour of a partner has already: its reasons, its organizations and the number of rows.
select
    item.partner_id,
    item.hour,
    array_agg(distinct count.code || ' ' || count.pointer) as reasons,
    array_agg(distinct count.organization) as organizations,
    count(*) as row_count
from unnest($1::integer[], $2::timestamptz[]) as item (partner_id, hour)
join intake_count as count on count.partner_id = item.partner_id and count.hour = item.hour
group by item.partner_id, item.hour;

-- name: add_intake_counts
-- Adds to the counts of an hour. Sorted, so that two servers cannot deadlock.
insert into intake_count as existing (
    partner_id, hour, source, credential, organization, outcome, code, pointer, items, bytes,
    last_at
)
select *
from unnest(
    $1::integer[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::bigint[], $10::bigint[], $11::timestamptz[]
) as item (
    partner_id, hour, source, credential, organization, outcome, code, pointer, items, bytes,
    last_at
)
order by partner_id, hour, source, credential, organization, outcome, code, pointer
on conflict (partner_id, hour, source, credential, organization, outcome, code, pointer)
do update set
    items = existing.items + excluded.items,
    bytes = existing.bytes + excluded.bytes,
    last_at = greatest(existing.last_at, excluded.last_at);

-- name: list_uncounted_partners
-- Partners with statements after the counted position.
select partner.partner_id
from partner
left join intake_position as counted using (partner_id)
cross join lateral (
    select from statement
    where statement.partner_id = partner.partner_id
        and statement.sequence > coalesce(counted.position, 0)
    order by statement.sequence
    limit 1
) as uncounted;

-- name: count_statements
-- The next $4 statements after the position $2 and before the sequence $3, grouped. $5 is the salt
-- of the partner, with which its keys are combined. `hour` counts from 1970: a third of the time of
-- date_trunc.
select
    (page.sequence >> 10) / 3600000000 as hour,
    page.authority_key # $5::bigint as authority_key,
    page.source,
    coalesce(page.organization, '') as organization,
    count(*) as items,
    sum(page.bytes)::bigint as bytes,
    max(page.sequence) as last
from (
    select sequence, authority_key, source, organization, octet_length(payload) as bytes
    from statement
    where partner_id = $1 and sequence > $2 and sequence < $3
    order by sequence
    limit $4
) as page
group by 1, 2, 3, 4;

-- name: set_intake_position
-- In the transaction that adds the counts of the statements up to it.
update intake_position set position = $2 where partner_id = $1;

-- name: list_authorities
-- What the accounts of a partner's authorities are built from: keys of credentials, tools, pipes,
-- and the account of operators.
select partner.home_page, credential.key as name, false as is_tool
from partner
join credential using (partner_id)
where partner_id = $1
union all
select partner.home_page, tool.name, true
from partner
join tool using (partner_id)
where partner_id = $1
union all
select partner.home_page, 'pipe ' || pipe.name, false
from partner
join pipe using (partner_id)
where partner_id = $1
union all
select home_page, '(operators)', false from partner where partner_id = $1;

-- name: delete_old_intake_counts
-- Deletes up to $2 counts of refused items before the time $1. Counts of stored items stay.
delete from intake_count
where (partner_id, hour, source, credential, organization, outcome, code, pointer) in (
    select
        old.partner_id, old.hour, old.source, old.credential, old.organization, old.outcome,
        old.code, old.pointer
    from partner
    cross join lateral (
        select * from intake_count
        where intake_count.partner_id = partner.partner_id and hour < $1 and outcome <> 'stored'
        limit $2
    ) as old
    limit $2
);

-- name: upsert_credential_uses
-- The times only go forward.
insert into credential_use as existing (partner_id, credential, last_used_at, last_refused_at)
select *
from unnest($1::integer[], $2::text[], $3::timestamptz[], $4::timestamptz[])
    as item (partner_id, credential, last_used_at, last_refused_at)
order by partner_id, credential
on conflict (partner_id, credential) do update set
    last_used_at = greatest(existing.last_used_at, excluded.last_used_at),
    last_refused_at = greatest(existing.last_refused_at, excluded.last_refused_at);

-- name: list_credential_uses
-- Of every credential and tool of a partner.
select credential, last_used_at, last_refused_at from credential_use where partner_id = $1;

-- name: get_last_statement_of_authority
-- When a statement of an authority was last stored; $1 is its key, combined with the salt.
select stored_at(sequence) as stored
from statement
where authority_key = $1 and sequence > 0
order by sequence desc
limit 1;

-- name: list_organizations_of_partner
-- Names of the organizations of statements and of imports, up to $2 of each. Those of statements
-- are read by a loose index scan: one lookup for each.
with recursive of_statements as (
    (
        select organization, 1 as number
        from statement
        where partner_id = $1 and organization is not null
        order by organization
        limit 1
    )
    union all
    select
        (
            select statement.organization
            from statement
            where statement.partner_id = $1 and statement.organization > previous.organization
            order by statement.organization
            limit 1
        ),
        previous.number + 1
    from of_statements as previous
    where previous.organization is not null and previous.number < $2
),
imported as (
    select name from learner_group where partner_id = $1 and name <> '' order by name limit $2
)
select organization as name from of_statements where organization is not null
union
select name from imported
order by name
limit $2;

-- name: insert_refusals
-- Refused items of one partner.
insert into refusal (
    partner_id, refusal_id, refused_at, source, credential, organization, outcome, code, pointer,
    item_index, statement_id, requested_id, version, request_id, problem, item, item_bytes
)
select $1, item.*
from unnest(
    $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::integer[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
    $16::bytea[], $17::integer[]
) as item (
    refusal_id, refused_at, source, credential, organization, outcome, code, pointer, item_index,
    statement_id, requested_id, version, request_id, problem, item, item_bytes
)
on conflict (partner_id, refusal_id) do nothing;

-- name: list_refusals
-- Newest first, after the id $2. Null selects all: credential $3, code $4, source $5, pointer $6,
-- organization $7, times from $8 (inclusive) to $9 (exclusive).
select
    refusal_id, refused_at, source, credential, organization, outcome, code, pointer, item_index,
    item_bytes, statement_id, request_id, resubmitted_at, item is not null as has_item, problem
from refusal
where partner_id = $1
    and refusal_id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    and ($3::text is null or credential = $3)
    and ($4::text is null or code = $4)
    and ($5::text is null or source = $5)
    and ($6::text is null or pointer = $6)
    and ($7::text is null or organization = $7)
    and ($8::timestamptz is null or refused_at >= $8)
    and ($9::timestamptz is null or refused_at < $9)
order by refusal_id desc
limit $10;

-- name: get_refusal
-- One refusal with its item.
select
    refusal_id, refused_at, source, credential, organization, outcome, code, pointer, item_index,
    item_bytes, statement_id, request_id, resubmitted_at, item is not null as has_item, problem,
    requested_id, version, item
from refusal
where partner_id = $1 and refusal_id = $2;

-- name: set_resubmitted
-- The time of the last resubmission that was accepted.
update refusal set resubmitted_at = now() where partner_id = $1 and refusal_id = $2;

-- name: delete_refusal
-- Returns no row if there is no such refusal.
delete from refusal where partner_id = $1 and refusal_id = $2 returning refusal_id;

-- name: delete_expired_refusals
-- Deletes up to $3 refusals with an id below $2, the lowest id of a time.
delete from refusal
where partner_id = $1
    and refusal_id in (
        select refusal_id from refusal
        where partner_id = $1 and refusal_id < $2
        order by refusal_id
        limit $3
    );

-- name: list_refusal_partners
-- Every partner with refusals, without reading them all (a loose index scan).
with recursive partner_with_refusals as (
    (select partner_id from refusal order by partner_id limit 1)
    union all
    select (
        select partner_id from refusal
        where partner_id > previous.partner_id
        order by partner_id
        limit 1
    )
    from partner_with_refusals as previous
    where previous.partner_id is not null
)
select partner_id from partner_with_refusals where partner_id is not null;

-- name: count_refusals_by_reason
-- The kept refusals of a partner by reason.
select code, pointer, count(*) as kept from refusal where partner_id = $1 group by code, pointer;

-- name: delete_refusals_of_reason
-- Deletes the oldest $4 refusals of a reason.
delete from refusal
where partner_id = $1
    and refusal_id in (
        select refusal_id from refusal
        where partner_id = $1 and code = $2 and pointer = $3
        order by refusal_id
        limit $4
    );

-- name: list_refusal_reasons
-- Reasons of refused items since the hour $2, from the counts: also of those that are not kept.
select
    code, pointer, source, outcome, sum(items)::bigint as items, min(hour) as first_hour,
    max(last_at) as last_at
from intake_count
where partner_id = $1 and hour >= $2 and outcome not in ('stored', 'duplicate', 'aborted')
group by code, pointer, source, outcome
order by items desc, code, pointer
limit $3;

-- name: list_intake_hours
-- Items by hour and outcome of the partners $1 since the hour $2.
select
    partner.partner_id, counted.hour, counted.outcome, counted.items::bigint as items,
    counted.bytes::bigint as bytes
from partner
cross join lateral (
    select hour, outcome, sum(items) as items, sum(bytes) as bytes
    from intake_count
    where intake_count.partner_id = partner.partner_id and hour >= $2
    group by hour, outcome
) as counted
where partner.partner_id = any($1::integer[])
order by partner.partner_id, counted.hour, counted.outcome;

-- name: list_intake_counts
-- The counts of a partner since the hour $2 and before the hour $3, newest hour first.
select
    hour, source, credential, organization, outcome, code, pointer, items, bytes, last_at
from intake_count
where partner_id = $1 and hour >= $2 and hour < $3
order by
    hour desc, source desc, credential desc, organization desc, outcome desc, code desc,
    pointer desc
limit $4;

-- name: list_last_statements
-- When each of the partners $1 (null: all) after the rank $2 and name $3 last stored a statement.
-- Partners with a firing alarm have the rank 0, others 1.
select partner.rank, partner.partner_id, partner.name, stored_at(last.sequence) as stored
from (
    select ranked.partner_id, ranked.name, ranked.rank
    from (
        select
            partner_id, name,
            (
                not exists (
                    select from alarm where alarm.partner_id = partner.partner_id and firing
                )
            )::integer as rank
        from partner
        where $1::integer[] is null or partner_id = any($1)
    ) as ranked
    where (ranked.rank, ranked.name) > ($2::integer, $3::text)
    order by ranked.rank, ranked.name
    limit $4
) as partner
left join lateral (
    select sequence from statement
    where statement.partner_id = partner.partner_id and sequence > 0
    order by sequence desc
    limit 1
) as last on true
order by partner.rank, partner.name;

-- name: list_stored_outcomes
-- The last statements of a partner after the sequence $2 and before the sequence $3, newest first.
-- $5 is the salt of the partner, with which its keys are combined.
select
    sequence, stored_at(sequence) as at, statement_id::text, source,
    coalesce(organization, '') as organization, authority_key # $5::bigint as authority_key
from statement
where partner_id = $1 and sequence > $2 and sequence < $3
order by sequence desc
limit $4;

-- name: upsert_attempts
-- Adds attempts of partners; equal ones are counted in one row.
insert into access_attempt as existing (
    partner_id, attempt_hash, status, code, reason, method, path, key, address, request_id,
    attempts, first_at, last_at
)
select *
from unnest(
    $1::integer[], $2::bytea[], $3::smallint[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::text[], $10::text[], $11::bigint[], $12::timestamptz[], $13::timestamptz[]
) as item (
    partner_id, attempt_hash, status, code, reason, method, path, key, address, request_id,
    attempts, first_at, last_at
)
order by partner_id, attempt_hash
on conflict (partner_id, attempt_hash) do update set
    attempts = existing.attempts + excluded.attempts,
    last_at = greatest(existing.last_at, excluded.last_at),
    request_id = excluded.request_id;

-- name: list_attempts
-- Newest first, before the time and hash of the last row of a page.
select
    status, code, reason, method, path, key, address, request_id, attempts, first_at, last_at,
    attempt_hash
from access_attempt
where partner_id = $1
    and (last_at, attempt_hash)
        < (coalesce($2::timestamptz, 'infinity'), coalesce($3::bytea, '\x'::bytea))
order by last_at desc, attempt_hash desc
limit $4;

-- name: delete_excess_attempts
-- Keeps the last $2 attempts of a partner, of one client address the last $3.
delete from access_attempt
where partner_id = $1
    and attempt_hash in (
        select attempt_hash
        from (
            select
                attempt_hash,
                row_number() over (order by last_at desc, attempt_hash) as number,
                row_number() over (partition by address order by last_at desc, attempt_hash)
                    as number_of_address
            from access_attempt
            where partner_id = $1
        ) as attempt
        where number > $2 or number_of_address > $3
    );

-- name: list_partners_of_keys
-- The partners of credentials, by key.
select key, partner_id from credential where key = any($1::text[]);

-- name: list_partners_of_names
-- The partners with these names.
select name, partner_id from partner where name = any($1::text[]);

-- name: list_active_hours
-- For the alarms: the hours with stored items of the partners $1 since the hour $2.
select partner_id, array_agg(distinct hour order by hour) as hours
from intake_count
where partner_id = any($1::integer[]) and hour >= $2 and outcome = 'stored'
group by partner_id;

-- name: list_refusal_rates
-- For the alarms: received and refused items of every partner since the hour $1.
select
    partner.partner_id,
    sum(recent.items)::bigint as received,
    (sum(recent.items) filter (
        where recent.outcome not in ('stored', 'duplicate', 'aborted', 'limited')
    ))::bigint as refused
from partner
join intake_count as recent on recent.partner_id = partner.partner_id and recent.hour >= $1
group by partner.partner_id;

-- name: list_partner_settings
-- For the alarms: the settings of every partner that is not disabled.
select partner_id, name, settings from partner where disabled_at is null order by partner_id;

-- name: claim_maintenance_round
-- One worker of all servers runs a round of the task $1, unless one began $2 seconds ago. Returns
-- no row if another worker does.
insert into maintenance_round as existing (partner_id, task, claimed_at)
values (0, $1, now())
on conflict (partner_id, task) do update set claimed_at = now()
where existing.claimed_at <= now() - make_interval(secs => $2::double precision)
returning task;

-- name: set_alarm
-- Returns no row unless the state changes; `since` is the time of the change.
insert into alarm as existing (partner_id, kind, firing, details, since)
values ($1, $2, $3, $4, now())
on conflict (partner_id, kind) do update set
    since = now(), retry_at = now(), failures = 0, firing = excluded.firing,
    details = excluded.details
where existing.firing <> excluded.firing
returning kind;

-- name: list_alarms
-- Of the partners $1 (null: all), firing ones first.
select
    alarm.partner_id, partner.name as partner, alarm.kind, alarm.firing, alarm.since,
    alarm.details, alarm.notified_at
from alarm
join partner using (partner_id)
where $1::integer[] is null or alarm.partner_id = any($1)
order by alarm.firing desc, alarm.since desc, partner.name, alarm.kind;

-- name: claim_notification
-- Leases a notification that is due for $1 seconds: a change that was not sent, or a firing alarm
-- whose last notification is $2 seconds old. No row: none is due, or another server sends it.
update alarm
set retry_at = now() + make_interval(secs => $1::double precision)
from (
    select alarm.partner_id, alarm.kind, partner.name
    from alarm
    join partner using (partner_id)
    where alarm.retry_at <= now()
        and (
            alarm.firing <> alarm.notified
            or (
                alarm.firing
                and alarm.notified_at <= now() - make_interval(secs => $2::double precision)
            )
        )
    order by alarm.retry_at
    limit 1
    for update of alarm skip locked
) as due
where alarm.partner_id = due.partner_id and alarm.kind = due.kind
returning
    alarm.partner_id, due.name as partner, alarm.kind, alarm.firing, alarm.since, alarm.details,
    alarm.failures;

-- name: complete_notification
-- The notification of the state $3 was accepted.
update alarm
set notified = $3::boolean, notified_at = now(), failures = 0, retry_at = now()
where partner_id = $1 and kind = $2;

-- name: postpone_notification
-- The notification failed; the next attempt is in $3 seconds.
update alarm
set failures = failures + 1, retry_at = now() + make_interval(secs => $3::double precision)
where partner_id = $1 and kind = $2;
