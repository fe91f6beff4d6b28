-- A partner whose statements were never followed begins at the beginning.
insert into projection (partner_id, through, position)
values ($1, 'epoch', 0)
on conflict do nothing
