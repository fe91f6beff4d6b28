-- No row comes back for a tool that is unknown or revoked already.
update tool set revoked_at = now()
where partner_id = $1 and name = $2 and revoked_at is null
returning name
