-- Partners and credentials.

-- name: insert_partner
-- Returns no row if the name is taken.
insert into partner (name, title, home_page) values ($1, $2, $3)
on conflict do nothing
returning partner_id, name, title, home_page, created_at, limits, settings;

-- name: get_partner
-- A partner by name.
select partner_id, name, title, home_page, created_at, limits, settings
from partner
where name = $1;

-- name: list_partners
-- Every partner, ordered by name.
select partner_id, name, title, home_page, created_at, limits, settings from partner order by name;

-- name: set_partner_limits
-- Returns no row if there is no such partner.
update partner set limits = $2::jsonb where name = $1 returning partner_id;

-- name: set_partner_settings
-- Returns no row if there is no such partner.
update partner set settings = $2::jsonb where name = $1 returning partner_id;

-- name: set_credential_limits
-- Returns no row if there is no such credential.
update credential set limits = $2::jsonb where key = $1 returning key;

-- name: insert_credential
-- Returns no row if a credential of any partner has the key.
insert into credential (key, partner_id, kind, label, scopes, secret_hash, expires_at)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict do nothing
returning key;

-- name: get_credential
-- Everything that authentication needs, in one lookup.
select
    credential.key, credential.partner_id, partner.name as partner, partner.home_page,
    credential.kind, credential.label, credential.scopes, credential.secret_hash,
    credential.previous_secret_hash, credential.previous_secret_until, credential.created_at,
    credential.expires_at, credential.revoked_at, credential.limits,
    partner.limits as partner_limits, partner.settings as partner_settings
from credential
join partner using (partner_id)
where credential.key = $1;

-- name: list_credentials
-- The credentials of one partner, or of all partners if $1 is null, oldest first.
select
    credential.key, credential.partner_id, partner.name as partner, partner.home_page,
    credential.kind, credential.label, credential.scopes, credential.secret_hash,
    credential.previous_secret_hash, credential.previous_secret_until, credential.created_at,
    credential.expires_at, credential.revoked_at, credential.limits,
    partner.limits as partner_limits, partner.settings as partner_settings
from credential
join partner using (partner_id)
where $1::text is null or partner.name = $1
order by partner.name, credential.created_at, credential.key;

-- name: rotate_credential
-- The previous secret stays valid until $3; null: it ends now. Returns no row if the credential
-- does not exist or is revoked.
update credential
set previous_secret_hash = secret_hash, previous_secret_until = $3, secret_hash = $2
where key = $1 and revoked_at is null
returning key;

-- name: revoke_credential
-- Returns no row if the credential does not exist or is revoked already.
update credential set revoked_at = now() where key = $1 and revoked_at is null returning key;
