-- Takes those of the nonces that were never seen; of two transactions that want the same one, the
-- later waits for the earlier. Sorted, so that they cannot deadlock.
insert into callback_nonce (partner_id, tool, nonce, expires_at)
select $1, item.tool, item.nonce, now() + $4::interval
from unnest($2::text[], $3::bytea[]) as item (tool, nonce)
order by item.tool, item.nonce
on conflict do nothing
returning tool, nonce
