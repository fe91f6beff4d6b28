-- The old secret stays good until $3. No row comes back for a credential that is unknown or revoked.
update credential
set previous_secret_hash = secret_hash, previous_secret_until = $3, secret_hash = $2
where key = $1 and revoked_at is null
returning key
