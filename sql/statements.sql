-- Statements by id, and the watermark. Lists of statements are built by the page query.
--
-- `between x and x … order by … offset 0` is a lookup by the whole primary key under any plan. While
-- a table is new, the planner takes any other index that begins with the partner for as good.

-- name: list_stored_digests
-- Digests stored under ids that were not new, beside the digests sent. Must be a statement of its
-- own after the insert: only then does it see what a concurrent transaction has just committed. A
-- payload is returned only where the digests differ, to name the differences, and only until the
-- payloads exceed $4 bytes in sum.
select distinct
    existing.statement_id,
    existing.digest,
    existing.stored_digest,
    case when existing.stored_digest <> existing.digest and existing.bytes_before < $4 then
        existing.payload
    end as payload
from (
    select
        statement.statement_id,
        item.digest,
        statement.digest as stored_digest,
        statement.payload,
        coalesce(
            sum(octet_length(statement.payload)) filter (where statement.digest <> item.digest)
                over (rows between unbounded preceding and 1 preceding),
            0
        ) as bytes_before
    from unnest($2::uuid[], $3::bytea[]) as item (statement_id, digest)
    cross join lateral (
        select statement_id, digest, payload from statement
        where partner_id = $1
            and statement_id between item.statement_id and item.statement_id
        order by statement_id
        offset 0
    ) as statement
) as existing;

-- name: get_statements
-- Statements by id, and whether each is voided. $3 is the key of the voiding verb, $4 the partner's
-- salt, with which its keys are combined.
select
    statement.statement_id::text,
    convert_to(statement.payload, 'UTF8') as payload,
    stored_at(statement.sequence) as stored,
    statement.organization,
    statement.authority_key # $4::bigint as authority_key,
    statement.verb_key <> $3 and exists (
        select from statement_reference
        where statement_reference.partner_id = $1
            and statement_reference.target_id = statement.statement_id
            and statement_reference.voids
    ) as voided
from statement
where statement.partner_id = $1 and statement.statement_id = any($2::uuid[]);

-- name: get_watermark
-- The time up to which the store is complete: no statement with `stored` at or before it can still
-- appear. A writer takes `stored` from the clock inside its transaction, after its xact_start is
-- visible here: a writer that is not seen has committed, or stores after now(). Must be read before
-- the page, in a statement of its own. Writers are recognized by application_name and the privilege
-- to insert, because a reporting role can choose any name. `blind`: the state of a writer cannot be
-- seen; `standby`: none can; in both cases there is no watermark.
select
    now(),
    least(now(), min(xact_start)) - interval '1 microsecond' as watermark,
    coalesce(bool_or(state = 'disabled' or query = '<insufficient privilege>'), false) as blind,
    pg_is_in_recovery() as standby
from pg_stat_activity
where
    datname = current_database()
    and application_name = $1
    and has_table_privilege(usesysid, 'statement', 'insert');
