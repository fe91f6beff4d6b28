-- Every partner, by name.
select partner_id, name, title, home_page, created_at from partner order by name
