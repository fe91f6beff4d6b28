-- What is stored under ids that were refused as known. Must run after insert.sql, as a statement of
-- its own: only then does it see what a concurrent transaction has just committed. The payload comes
-- along only where the digests differ, to say in what.
select distinct
    statement.statement_id,
    item.digest as asked,
    statement.digest as stored,
    case when statement.digest <> item.digest then statement.payload end as payload
from unnest($2::uuid[], $3::bytea[]) as item (statement_id, digest)
join statement on statement.partner_id = $1 and statement.statement_id = item.statement_id
