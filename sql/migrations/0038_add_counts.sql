-- Counts that pipes add up.

create function add_counts(total jsonb, more jsonb)
returns jsonb
language sql
immutable parallel safe
return (
    select coalesce(jsonb_object_agg(key, value), '{}')
    from (
        select key, sum(value::bigint) as value
        from (
            select * from jsonb_each_text(total)
            union all
            select * from jsonb_each_text(more)
        ) as item (key, value)
        group by key
    ) as added
);

comment on function add_counts(jsonb, jsonb) is
    'The sums of two objects of numbers, member by member.';
