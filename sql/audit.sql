-- Audit entries and properties of the server.

-- name: insert_audit_entry
-- Entries are never changed.
insert into audit_entry (partner_id, operator, via, action, object, before, after, request_id)
values ($1, $2, $3, $4, $5, $6::jsonb, $7::jsonb, $8);

-- name: set_server_property
-- A property that a server records.
insert into server_property (name, value) values ($1, $2)
on conflict (name) do update set value = excluded.value, updated_at = now()
where server_property.value <> excluded.value;

-- name: get_server_property
-- A property that a server has recorded.
select value from server_property where name = $1;

-- name: list_audit_entries
-- The entries before the time $1 and id $2, newest first: of the partners $3, by the operator $4,
-- with an action that begins with $5, of the object $6, from $7 on, if not null.
select
    entry.at, entry.entry_id, partner.name as partner, entry.operator, entry.via, entry.action,
    entry.object, entry.before, entry.after, entry.request_id
from audit_entry as entry
left join partner using (partner_id)
where (entry.at, entry.entry_id) < ($1::timestamptz, $2::uuid)
    and ($3::integer[] is null or entry.partner_id = any($3::integer[]))
    and ($4::text is null or entry.operator = $4)
    and ($5::text is null or starts_with(entry.action, $5))
    and ($6::text is null or entry.object = $6)
    and ($7::timestamptz is null or entry.at >= $7)
order by entry.at desc, entry.entry_id desc
limit $8;

-- name: get_database_size
-- In bytes, indexes included.
select pg_database_size(current_database());

-- name: get_archive_state
-- Continuous archiving; the last attempt failed if no segment was archived since.
select
    current_setting('archive_mode') <> 'off' as is_on,
    last_archived_wal as last_segment,
    last_archived_time as last_archived_at,
    failed_count as failures,
    last_failed_time as last_failed_at,
    coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) as is_failing
from pg_stat_archiver;

-- name: count_queues
-- References of statements that are to be resolved, up to 10,000, and pipes that are due as in
-- claim_pipe.
select
    (
        select count(*)
        from (select from reference_backlog where retry_at < 'infinity' limit 10000) as unresolved
    ) as references,
    (
        select count(*)
        from pipe
        join partner using (partner_id)
        where pipe.state in ('running', 'waiting', 'failing') and pipe.next_try_at <= now()
            and (pipe.lease_until is null or pipe.lease_until < now())
            and partner.disabled_reason is null
    ) as pipes;

-- name: count_connections
-- Connections to this database by application name.
select application_name, count(*)
from pg_stat_activity
where datname = current_database() and backend_type = 'client backend'
group by application_name
order by application_name;
