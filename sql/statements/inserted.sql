-- How insert_one.sql and insert_all.sql end: how many statements were stored, and which of them are
-- referred to already.
select
    count(*) as stored,
    array_agg(fresh.statement_id::text) filter (
        where exists (
            select from statement_reference
            where statement_reference.partner_id = $1 and statement_reference.target_id = fresh.statement_id
        )
    ) as referred
from fresh
