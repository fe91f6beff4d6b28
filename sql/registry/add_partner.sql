-- A new tenant; no row comes back if the name is taken.
insert into partner (name, title, home_page) values ($1, $2, $3)
on conflict do nothing
returning partner_id, name, title, home_page, created_at
