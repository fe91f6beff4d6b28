-- The names of an agent, in order, until there are $3 bytes of them.
select name
from (
    select
        name,
        coalesce(
            sum(octet_length(name)) over (
                order by name rows between unbounded preceding and 1 preceding
            ),
            0
        ) as bytes_before
    from agent_name
    where partner_id = $1 and agent_hash = $2
) as known
where bytes_before < $3
order by name
