-- How far the reports of a partner have come, and when their facts last changed.
select
    (select through from projection where partner_id = $1) as through,
    (select max(changed_at) from changed_day where partner_id = $1) as changed_at
