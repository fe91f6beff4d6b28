-- All that a request needs to know of its sender, in one look-up.
select
    credential.key, credential.partner_id, partner.name as partner, partner.home_page,
    credential.kind, credential.label, credential.scopes, credential.secret_hash,
    credential.previous_secret_hash, credential.previous_secret_until, credential.created_at,
    credential.expires_at, credential.revoked_at
from credential
join partner using (partner_id)
where credential.key = $1
