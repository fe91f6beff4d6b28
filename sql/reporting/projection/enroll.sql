-- A partner whose statements were never followed begins at the beginning.
insert into projection (partner_id, through, position, statement_id)
values ($1, 'epoch', 'epoch', '00000000-0000-0000-0000-000000000000')
on conflict do nothing
