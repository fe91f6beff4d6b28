-- Operators, their sessions, links and tokens.

-- name: insert_operator
-- Returns no row if the operator exists.
insert into operator (email, role, partner_ids) values ($1, $2, $3)
on conflict do nothing
returning email;

-- name: get_operator
-- An operator by email.
select email, role, partner_ids, password_hash, created_at, disabled_at, last_login_at
from operator
where email = $1;

-- name: lock_operator
-- An operator by email, locked until the end of the transaction that changes it.
select email, role, partner_ids, password_hash, created_at, disabled_at, last_login_at
from operator
where email = $1
for update;

-- name: list_operators
-- The next operators after the email $1. Of the partners $2, if not null: operators who see no
-- other partner, and at least one.
select email, role, partner_ids, password_hash, created_at, disabled_at, last_login_at
from operator
where email > $1
    and ($2::integer[] is null or (partner_ids <@ $2::integer[] and partner_ids <> '{}'))
order by email
limit $3;

-- name: has_operators
-- Whether there is any operator.
select exists (select from operator);

-- name: count_unrestricted_owners
-- Active operators who can manage every other one.
select count(*) from operator
where role = 'owner' and partner_ids is null and disabled_at is null;

-- name: update_operator
-- Role, partners and state of an operator.
update operator set role = $2, partner_ids = $3, disabled_at = $4 where email = $1;

-- name: set_operator_password
-- Returns no row if the operator does not exist, or is disabled.
update operator set password_hash = $2 where email = $1 and disabled_at is null returning email;

-- name: set_operator_login
-- The time of the last login.
update operator set last_login_at = now() where email = $1;

-- name: insert_operator_session
-- A link, session or token, which expires $5 seconds from now.
insert into operator_session (token_hash, email, kind, label, expires_at)
values ($1, $2, $3, $4, now() + make_interval(secs => $5::double precision))
returning expires_at;

-- name: get_operator_session
-- The operator of a session or token, unless it has expired or the session is idle for longer than
-- $2 seconds.
select
    operator.email, operator.role, operator.partner_ids, session.kind,
    session.last_used_at < now() - interval '1 minute' as is_stale
from operator_session as session
join operator using (email)
where session.token_hash = $1 and session.kind in ('session', 'token')
    and session.expires_at > now() and operator.disabled_at is null
    and (session.kind = 'token'
        or session.last_used_at > now() - make_interval(secs => $2::double precision));

-- name: touch_operator_session
-- The session has been used.
update operator_session set last_used_at = now() where token_hash = $1;

-- name: get_operator_link
-- The operator of a link that has not expired.
select operator.email, operator.role, operator.partner_ids
from operator_session as session
join operator using (email)
where session.token_hash = $1 and session.kind = 'link' and session.expires_at > now()
    and operator.disabled_at is null;

-- name: delete_operator_link
-- A link is used once: returns no row for another one, or an expired one.
delete from operator_session
where token_hash = $1 and kind = 'link' and expires_at > now()
returning email;

-- name: delete_operator_session
-- Ends one session.
delete from operator_session where token_hash = $1 and kind = 'session' returning email;

-- name: delete_operator_sessions
-- Ends everything of an operator that has one of the kinds $2.
delete from operator_session where email = $1 and kind = any($2::text[]);

-- name: list_operator_sessions
-- Links, sessions and tokens of an operator that have not expired, newest first, up to $2. The id
-- is the beginning of the hash, which opens nothing.
select
    encode(substring(token_hash for 8), 'hex') as session_id, kind, label, created_at, expires_at,
    last_used_at
from operator_session
where email = $1 and expires_at > now()
order by created_at desc, token_hash
limit $2;

-- name: delete_operator_session_by_id
-- Ends one link, session or token of an operator; returns its kind and label.
delete from operator_session
where email = $1 and substring(token_hash for 8) = decode($2, 'hex')
returning kind, label;

-- name: delete_expired_operator_sessions
-- What has expired is refused already.
delete from operator_session where expires_at < now();

-- name: insert_idempotency_key
-- Returns no row if the key is in use; waits for the request that uses it.
insert into idempotency_key (email, key, request_hash) values ($1, $2, $3)
on conflict do nothing
returning key;

-- name: get_idempotent_response
-- The response to the first request with the key.
select request_hash, status, response_jwe from idempotency_key where email = $1 and key = $2;

-- name: set_idempotent_response
-- In the transaction of the change.
update idempotency_key set status = $3, response_jwe = $4 where email = $1 and key = $2;

-- name: delete_old_idempotency_keys
-- A key is kept for a day.
delete from idempotency_key where created_at < now() - interval '1 day';
