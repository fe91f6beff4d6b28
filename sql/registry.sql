-- Partners and credentials.

-- name: insert_partner
-- Returns no row if the name is taken.
insert into partner (name, title, home_page) values ($1, $2, $3)
on conflict do nothing
returning
    partner_id, name, title, home_page, created_at, limits, settings, disabled_at, disabled_reason;

-- name: get_partner
-- A partner by name.
select
    partner_id, name, title, home_page, created_at, limits, settings, disabled_at, disabled_reason
from partner
where name = $1;

-- name: lock_partner
-- A partner by name, locked until the end of the transaction that changes it.
select
    partner_id, name, title, home_page, created_at, limits, settings, disabled_at, disabled_reason
from partner
where name = $1
for update;

-- name: list_partner_page
-- The next partners after the name $1, of the ids $2 if not null, whose name or title contains the
-- pattern $3.
select
    partner_id, name, title, home_page, created_at, limits, settings, disabled_at, disabled_reason
from partner
where name > $1 and ($2::integer[] is null or partner_id = any($2::integer[]))
    and ($3::text is null or name ilike $3 or title ilike $3)
order by name
limit $4;

-- name: set_partner
-- Title, home page and state of a partner.
update partner
set title = $2, home_page = $3, disabled_at = $4, disabled_reason = $5
where partner_id = $1
returning partner_id;

-- name: has_statements
-- Whether a partner has any statement.
select exists (select from statement where partner_id = $1);

-- name: list_partners
-- Every partner, ordered by name.
select
    partner_id, name, title, home_page, created_at, limits, settings, disabled_at, disabled_reason
from partner
order by name;

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
    partner.limits as partner_limits, partner.settings as partner_settings,
    partner.disabled_at as partner_disabled_at,
    partner.disabled_reason as partner_disabled_reason
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
    partner.limits as partner_limits, partner.settings as partner_settings,
    partner.disabled_at as partner_disabled_at,
    partner.disabled_reason as partner_disabled_reason
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

-- name: list_credential_page
-- The next credentials after partner $1, time $2 and key $3, of the ids of partners $4 if not null,
-- with the last use.
select
    partner.name as partner, credential.key, credential.kind, credential.label, credential.scopes,
    credential.created_at, credential.expires_at, credential.revoked_at,
    credential.previous_secret_until, credential.limits, credential_use.last_used_at,
    credential_use.last_refused_at
from credential
join partner using (partner_id)
left join credential_use
    on credential_use.partner_id = credential.partner_id
    and credential_use.credential = credential.key
where ($4::integer[] is null or credential.partner_id = any($4::integer[]))
    and (partner.name, credential.created_at, credential.key) > ($1, $2::timestamptz, $3)
order by partner.name, credential.created_at, credential.key
limit $5;

-- name: get_credential_of_partner
-- One credential of a partner, with the last use.
select
    partner.name as partner, credential.key, credential.kind, credential.label, credential.scopes,
    credential.created_at, credential.expires_at, credential.revoked_at,
    credential.previous_secret_until, credential.limits, credential_use.last_used_at,
    credential_use.last_refused_at
from credential
join partner using (partner_id)
left join credential_use
    on credential_use.partner_id = credential.partner_id
    and credential_use.credential = credential.key
where credential.partner_id = $1 and credential.key = $2;

-- name: lock_credential
-- Returns no row if the partner has no such credential.
select key from credential where partner_id = $1 and key = $2 for update;

-- name: set_credential
-- Label, scopes, end and limits of a credential.
update credential
set label = $3, scopes = $4, expires_at = $5, limits = $6::jsonb
where partner_id = $1 and key = $2;
