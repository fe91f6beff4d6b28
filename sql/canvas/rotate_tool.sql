-- The old secret stays good until $4. No row comes back for a tool that is unknown or revoked.
update tool
set previous_secret_jwe = secret_jwe, previous_secret_until = $4, secret_jwe = $3
where partner_id = $1 and name = $2 and revoked_at is null
returning consumer_key
