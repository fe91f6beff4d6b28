-- Stores the given statements with their links if no id is known; else nothing. Fails
-- (unique_violation) if somebody stores one of them meanwhile. What they tell follows: tell.sql.
-- Whether an id is known is asked as for a range in order, which one index alone has: while a table is
-- new, the planner takes any other that begins with the partner for as good.
known as materialized (
    select exists (
        select from unnest($2::uuid[]) as given (statement_id)
        where exists (
            select from statement
            where partner_id = $1
                and statement_id between given.statement_id and given.statement_id
            order by statement_id
            offset 0
        )
    ) as one
),
fresh as (
    insert into statement (
        partner_id, statement_id, sequence, verb_key, authority_key, actor_key, object_key,
        organization, digest, payload
    )
    select * from complete
    where not (select one from known)
    order by statement_id
    returning statement_id, sequence
),
linked as (
    insert into index_entry (partner_id, key, sequence, roles)
    select $1, item.key, fresh.sequence, item.roles
    from unnest($20::uuid[], $11::bigint[], $12::smallint[]) as item (statement_id, key, roles)
    join fresh using (statement_id)
)
