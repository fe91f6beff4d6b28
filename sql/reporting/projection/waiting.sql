-- For one partner or for all: since when the oldest statement waits that was not followed yet.
select
    partner.partner_id,
    partner.name,
    (
        select stored_at(statement.place)
        from statement
        where statement.partner_id = partner.partner_id
            and statement.place > coalesce(projection.position, 0)
        order by statement.place
        limit 1
    ) as since,
    projection.through,
    clock_timestamp() as now
from partner
left join projection using (partner_id)
where $1::integer is null or partner.partner_id = $1
order by partner.partner_id
