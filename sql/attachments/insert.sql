-- Keeps each content once per partner, whichever statements came with it.
insert into attachment (partner_id, sha2, content)
select $1, item.sha2, item.content
from unnest($2::bytea[], $3::bytea[]) as item (sha2, content)
order by item.sha2
on conflict do nothing
