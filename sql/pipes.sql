-- Pipes, their runs, their dead letters, and where pulled statements come from.

-- name: insert_pipe
-- Returns no row if the partner has a pipe of this name.
insert into pipe (
    partner_id, name, direction, url, credentials_jwe, version, filter, options, cursor
)
values ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8::text::jsonb, $9::text::jsonb)
on conflict do nothing
returning name;

-- name: list_pipes
-- The pipes of one partner, or of all partners if $1 is null.
select
    pipe.*, partner.name as partner, partner.home_page,
    lease_until is not null and lease_until > now() as is_leased,
    (
        select count(*)
        from dead_letter
        where dead_letter.partner_id = pipe.partner_id and dead_letter.pipe = pipe.name
    ) as dead_letters
from pipe
join partner using (partner_id)
where $1::integer is null or pipe.partner_id = $1
order by partner.name, pipe.name;

-- name: get_pipe
-- One pipe by name.
select
    pipe.*, partner.name as partner, partner.home_page,
    lease_until is not null and lease_until > now() as is_leased,
    (
        select count(*)
        from dead_letter
        where dead_letter.partner_id = pipe.partner_id and dead_letter.pipe = pipe.name
    ) as dead_letters
from pipe
join partner using (partner_id)
where pipe.partner_id = $1 and pipe.name = $2;

-- name: claim_pipe
-- Leases one due pipe whose direction is among $1, for $3 seconds. With a partner and a name ($4,
-- $5), that pipe, due or not. Pipes that another process locks or leases are skipped.
with due as (
    select pipe.partner_id, pipe.name
    from pipe
    join partner using (partner_id)
    where pipe.direction = any($1::text[])
        and (pipe.lease_until is null or pipe.lease_until < now())
        and partner.disabled_reason is null
        and case
            when $4::integer is null
                then pipe.state in ('running', 'waiting', 'failing') and pipe.next_try_at <= now()
            else pipe.partner_id = $4 and pipe.name = $5 and pipe.state not in ('paused', 'done')
        end
    order by pipe.next_try_at
    limit 1
    for update of pipe skip locked
)
update pipe
set lease = $2, lease_until = now() + make_interval(secs => $3)
from due, partner
where pipe.partner_id = due.partner_id and pipe.name = due.name
    and partner.partner_id = pipe.partner_id
returning
    pipe.*, partner.name as partner, partner.home_page, true as is_leased,
    0::bigint as dead_letters;

-- name: renew_pipe_lease
-- Returns no row if the lease is lost.
update pipe
set lease_until = now() + make_interval(secs => $4)
where partner_id = $1 and name = $2 and lease = $3
returning name;

-- name: commit_pipe_step
-- Moves the cursor and adds counts, if the lease ($3) is still held. A pipe that was paused
-- meanwhile stays paused, and a cursor that an operator changed meanwhile ($12) stays as it is.
-- `$11` is the number of seconds until the next try. The commit does not wait for the disk: after a
-- crash of the database, the steps of its last moment are repeated, and make duplicates only.
update pipe
set cursor = case when cursor_version = $12 then $4::text::jsonb else cursor end,
    state = case when pipe.state = 'paused' then pipe.state else $5 end,
    last_error = $6,
    failures = $7,
    counts = add_counts(pipe.counts, $8::text::jsonb),
    requests = add_counts(pipe.requests, $9::text::jsonb),
    position_at = coalesce($10, position_at),
    next_try_at = now() + make_interval(secs => $11),
    last_success_at = case when $7 = 0 then now() else last_success_at end
from partner
where pipe.partner_id = $1 and pipe.name = $2 and pipe.lease = $3
    and partner.partner_id = pipe.partner_id
    and set_config('synchronous_commit', 'off', true) = 'off'
returning
    pipe.*, partner.name as partner, partner.home_page, true as is_leased,
    0::bigint as dead_letters;

-- name: release_pipe
-- Ends the lease of a process.
update pipe set lease = null, lease_until = null
where partner_id = $1 and name = $2 and lease = $3;

-- name: set_pipe_config
-- Changes what operators configure; a cursor ($8) that is not null replaces that of the pipe.
update pipe
set url = $3, credentials_jwe = $4, version = $5, filter = $6::text::jsonb,
    options = $7::text::jsonb, cursor = coalesce($8::text::jsonb, cursor),
    cursor_version = cursor_version + ($8::text is not null)::integer,
    config_version = config_version + 1, next_try_at = now()
where partner_id = $1 and name = $2
returning name;

-- name: set_pipe_state
-- Starts or pauses a pipe. A start forgets earlier failures.
update pipe
set state = $3, next_try_at = now(), config_version = config_version + 1,
    failures = case when $3 = 'paused' then failures else 0 end,
    last_error = case when $3 = 'paused' then last_error end
where partner_id = $1 and name = $2
returning name;

-- name: set_pipe_cursor
-- Sets the cursor of a pipe that no process runs, such as that of an import.
update pipe
set cursor = $3::text::jsonb, config_version = config_version + 1
where partner_id = $1 and name = $2 and (lease_until is null or lease_until < now())
returning name;

-- name: delete_pipe
-- With its runs and dead letters.
delete from pipe where partner_id = $1 and name = $2
returning name;

-- name: upsert_pipe_run
-- The counts of a run so far; nothing if the pipe is removed.
insert into pipe_run (
    partner_id, pipe, run_id, started_at, ended_at, server, error, counts, requests, position_at
)
select $1::integer, $2::text, $3, $4, now(), $5, $6, $7::text::jsonb, $8::text::jsonb, $9
where exists (select from pipe where partner_id = $1 and name = $2)
on conflict (partner_id, pipe, run_id) do update
set ended_at = excluded.ended_at, error = excluded.error, counts = excluded.counts,
    requests = excluded.requests, position_at = excluded.position_at;

-- name: list_pipe_runs
-- A page of the runs of a pipe, newest first, before the position ($3, $4).
select started_at, ended_at, run_id, server, error, counts, requests, position_at
from pipe_run
where partner_id = $1 and pipe = $2
    and ($3::timestamptz is null or (started_at, run_id) < ($3, $4::uuid))
order by started_at desc, run_id desc
limit $5;

-- name: delete_old_pipe_runs
-- Runs of all pipes that started before the time $1.
delete from pipe_run where started_at < $1;

-- name: upsert_dead_letters
-- Keeps refused statements; those that are refused again count their attempts.
insert into dead_letter (
    partner_id, pipe, statement_id, reason, status, url, request, response
)
select $1, $2, item.*
from unnest($3::uuid[], $4::text[], $5::integer[], $6::text[], $7::text[], $8::text[]) as item
on conflict (partner_id, pipe, statement_id) do update
set reason = excluded.reason, status = excluded.status, url = excluded.url,
    request = excluded.request, response = excluded.response, retry = false,
    attempts = dead_letter.attempts + 1;

-- name: list_dead_letters
-- A page of the dead letters of a pipe in the order of their ids, after the id $3.
select * from dead_letter
where partner_id = $1 and pipe = $2 and ($3::uuid is null or statement_id > $3)
order by statement_id
limit $4;

-- name: get_dead_letter
-- One dead letter of a pipe.
select * from dead_letter where partner_id = $1 and pipe = $2 and statement_id = $3;

-- name: correct_dead_letter
-- Replaces what is sent of a dead letter, and makes the pipe due.
with letter as (
    update dead_letter set request = $4, retry = true
    where partner_id = $1 and pipe = $2 and statement_id = $3
    returning statement_id
),
due as (
    update pipe set next_try_at = now()
    where partner_id = $1 and name = $2
)
select count(*) from letter;

-- name: list_letters_to_retry
-- Dead letters that an operator wants to be sent again.
select * from dead_letter
where partner_id = $1 and pipe = $2 and retry
order by statement_id
limit $3;

-- name: retry_dead_letters
-- Marks the dead letters with these ids, or all if $3 is null, and makes the pipe due.
with letter as (
    update dead_letter set retry = true
    where partner_id = $1 and pipe = $2
        and ($3::uuid[] is null or statement_id = any($3))
    returning statement_id
),
due as (
    update pipe set next_try_at = now()
    where partner_id = $1 and name = $2
)
select count(*) from letter;

-- name: delete_dead_letters
-- Deletes the dead letters with these ids, or all if $3 is null.
delete from dead_letter
where partner_id = $1 and pipe = $2 and ($3::uuid[] is null or statement_id = any($3))
returning statement_id;

-- name: insert_statement_origins
-- What the source of a pipe says of statements that it has. The commit does not wait for the disk:
-- what a crash of PostgreSQL loses is read again, before the cursor moves or in the overlap.
insert into statement_origin (
    partner_id, pipe, origin, statement_id, stored, authority, refused
)
select $1, $2, $3, item.statement_id, item.stored, item.authority::jsonb, item.refused
from unnest($4::uuid[], $5::timestamptz[], $6::text[], $7::boolean[])
    as item (statement_id, stored, authority, refused)
cross join (select set_config('synchronous_commit', 'off', true) as value) as setting
where setting.value is not null
order by item.statement_id
on conflict do nothing;

-- name: get_statement_origin
-- What the source of the pipe $3 says of a statement.
select origin, stored, authority from statement_origin
where partner_id = $1 and statement_id = $2 and pipe = $3;

-- name: set_origin_stored
-- A statement that was refused as it came is stored after a correction. What the source says stays.
insert into statement_origin (partner_id, pipe, origin, statement_id, stored, authority)
values ($1, $2, $3, $4, $5, $6::text::jsonb)
on conflict (partner_id, statement_id, pipe) do update set refused = false;

-- name: list_statements_of_pipe
-- Those of the statements whose origin the pipe $3 has recorded. In this and similar queries,
-- `offset 0` keeps the subquery an index lookup, whatever the statistics are.
select item.statement_id::text
from unnest($2::uuid[]) as item (statement_id)
cross join lateral (
    select from statement_origin
    where partner_id = $1 and statement_id = item.statement_id and pipe = $3
    offset 0
) as matching;

-- name: delete_refused_origins
-- The pipe reads these statements again.
delete from statement_origin where partner_id = $1 and pipe = $2 and refused;

-- name: list_statement_origins
-- The sources that have a statement, at most $3, and whether the pipe still exists.
select
    item.pipe, item.origin, item.stored, item.authority, item.refused,
    pipe.name is not null as pipe_exists
from statement_origin as item
left join pipe on pipe.partner_id = item.partner_id and pipe.name = item.pipe
where item.partner_id = $1 and item.statement_id = $2
order by item.pipe
limit $3;

-- name: list_statements_of_origins
-- Those of the statements that one of the origins $3 has.
select item.statement_id::text
from unnest($2::uuid[]) as item (statement_id)
cross join lateral (
    select from statement_origin
    where partner_id = $1 and statement_id = item.statement_id and origin = any($3::text[])
    offset 0
) as matching;

-- name: list_stored_ids
-- Those of the ids that are stored.
select item.statement_id::text
from unnest($2::uuid[]) as item (statement_id)
cross join lateral (
    select from statement
    where partner_id = $1 and statement_id = item.statement_id
    offset 0
) as matching;

-- name: list_pipe_credentials
-- Pages of the encrypted credentials of every pipe, after the pipe ($1, $2).
select pipe.partner_id, partner.name as partner, pipe.name, pipe.credentials_jwe
from pipe
join partner using (partner_id)
where (pipe.partner_id, pipe.name) > ($1, $2)
order by pipe.partner_id, pipe.name
limit $3;

-- name: replace_pipe_credentials
-- Replaces credentials that are still the old ones ($3).
update pipe set credentials_jwe = $4
where partner_id = $1 and name = $2 and credentials_jwe = $3
returning name;

-- name: list_failing_pipes
-- Pipes that have failed for a minute, or have paused themselves: no operator has changed them
-- since their last step.
select partner_id, name, last_error
from pipe
where last_error is not null
    and case state
        when 'failing' then coalesce(last_success_at, created_at) < now() - interval '1 minute'
        when 'paused' then (cursor ->> 'config_version')::integer = config_version
        else false
    end
order by partner_id, name;
