-- What is stored under ids that were refused as known. Must run after insert.sql, as a statement of
-- its own: only then does it see what a concurrent transaction has just committed. The payload comes
-- along only where the digests differ, to say in what, and until there are $4 bytes of payloads.
-- Looked up as in insert_all.sql.
select distinct
    known.statement_id,
    known.asked,
    known.stored,
    case when known.stored <> known.asked and known.bytes_before < $4 then known.payload end
        as payload
from (
    select
        statement.statement_id,
        item.digest as asked,
        statement.digest as stored,
        statement.payload,
        coalesce(
            sum(octet_length(statement.payload)) filter (where statement.digest <> item.digest) over (
                rows between unbounded preceding and 1 preceding
            ),
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
) as known
