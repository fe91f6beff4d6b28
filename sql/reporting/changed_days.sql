-- The days whose facts have changed since.
select day from changed_day
where partner_id = $1 and changed_at > $2
order by day
