-- The newest signs; all that are not retired verify.
select kid, private_jwe, public_jwk from signing_key
where retired_at is null
order by created_at desc, kid
