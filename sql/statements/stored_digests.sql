-- What is stored under ids that were refused as known. Must run after insert.sql, as a statement of
-- its own: only then does it see what a concurrent transaction has just committed. The payload comes
-- along only where the digests differ, to say in what. Looked up as in insert_all.sql.
select distinct
    statement.statement_id,
    item.digest as asked,
    statement.digest as stored,
    case when statement.digest <> item.digest then statement.payload end as payload
from unnest($2::uuid[], $3::bytea[]) as item (statement_id, digest)
cross join lateral (
    select statement_id, digest, payload from statement
    where partner_id = $1
        and statement_id between item.statement_id and item.statement_id
    order by statement_id
    offset 0
) as statement
