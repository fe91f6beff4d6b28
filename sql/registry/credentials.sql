-- A partner's credentials (every partner's, if none is named), newest last.
select
    credential.key, credential.partner_id, partner.name as partner, partner.home_page,
    credential.kind, credential.label, credential.scopes, credential.secret_hash,
    credential.previous_secret_hash, credential.previous_secret_until, credential.created_at,
    credential.expires_at, credential.revoked_at
from credential
join partner using (partner_id)
where $1::text is null or partner.name = $1
order by partner.name, credential.created_at, credential.key
