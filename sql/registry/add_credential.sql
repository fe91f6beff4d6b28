insert into credential (key, partner_id, kind, label, scopes, secret_hash, expires_at)
values ($1, $2, $3, $4, $5, $6, $7)
