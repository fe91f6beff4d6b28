-- When facts of the partner last changed.
select max(changed_at) as changed_at from changed_day where partner_id = $1
