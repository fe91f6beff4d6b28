select partner_id, name, title, home_page, created_at from partner where name = $1
