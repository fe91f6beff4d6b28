update credential set revoked_at = now() where key = $1 and revoked_at is null returning key
