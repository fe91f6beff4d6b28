-- Only if there is none: servers that start together agree on the first.
insert into signing_key (kid, private_jwe, public_jwk)
select $1, $2, $3
where not exists (select from signing_key where retired_at is null)
