-- The days of 1970 to 2099, the same for all partners: $1 is only named.
select
    to_char(day, 'YYYYMMDD')::integer as date_id,
    day as date,
    date_part('year', day)::integer as year,
    date_part('quarter', day)::integer as quarter,
    date_part('month', day)::integer as month,
    trim(to_char(day, 'Month')) as month_name,
    date_part('week', day)::integer as week,
    date_trunc('week', day::timestamp)::date as week_start_date,
    date_part('day', day)::integer as day,
    date_part('isodow', day)::integer as day_of_week,
    trim(to_char(day, 'Day')) as day_name,
    date_part('isodow', day) > 5 as is_weekend,
    to_char(day, 'YYYYMMDD')::integer as id
from (
    select date '1970-01-01' + number as day
    from generate_series(0, date '2099-12-31' - date '1970-01-01') as number
    where $1::integer is not null
) as calendar
