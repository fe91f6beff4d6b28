-- The definitions of activities. Once there are $3 bytes of them, the others are null.
select activity_id, case when bytes_before < $3 then definition end as definition
from (
    select
        activity_id,
        definition,
        coalesce(
            sum(octet_length(definition::text)) over (
                rows between unbounded preceding and 1 preceding
            ),
            0
        ) as bytes_before
    from activity
    where partner_id = $1 and activity_hash = any($2::bytea[])
) as known
