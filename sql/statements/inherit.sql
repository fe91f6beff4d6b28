-- Links statements to what their targets speak of, and marks as settled those that have it all.
-- Rows that others may be at too are taken in one order, so that nobody deadlocks. Looked up as in
-- insert_all.sql.
with item as (
    select * from unnest($2::uuid[], $3::bigint[], $4::smallint[]) as item (statement_id, key, roles)
),
settled as (
    update reference set settled = true
    where partner_id = $1 and statement_id in (
        select statement_id from reference
        where partner_id = $1 and not settled and statement_id = any($5::uuid[])
        order by statement_id
        for update
    )
)
insert into link (partner_id, key, place, roles)
select $1, item.key, reference.place, item.roles
from item
cross join lateral (
    select place from reference
    where partner_id = $1
        and statement_id between item.statement_id and item.statement_id
    order by statement_id
    offset 0
) as reference
order by item.key, reference.place
on conflict (partner_id, key, place)
do update set roles = link.roles | excluded.roles
where link.roles | excluded.roles <> link.roles
