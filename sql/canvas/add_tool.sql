-- A new tool; no row comes back if its name or consumer key is taken within the partner.
insert into tool (partner_id, name, consumer_key, secret_jwe)
values ($1, $2, $3, $4)
on conflict do nothing
returning name
