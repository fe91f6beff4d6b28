-- Keys that sign access tokens.

-- name: list_active_signing_keys
-- All keys that are not retired verify tokens. The first one signs: the newest of those older than
-- $1, which all servers have loaded, or else the oldest.
select kid, private_jwe, public_jwk
from signing_key
where retired_at is null
order by
    created_at > now() - $1::interval,
    abs(extract(epoch from created_at - (now() - $1::interval))),
    kid;

-- name: list_signing_keys
-- Every key, newest first, and whether it is the first of list_active_signing_keys.
select
    kid, private_jwe, created_at, retired_at, retired_at is null and row_number() over (
        order by
            retired_at is not null,
            created_at > now() - $1::interval,
            abs(extract(epoch from created_at - (now() - $1::interval))),
            kid
    ) = 1 as signs
from signing_key
order by created_at desc, kid;

-- name: lock_signing_keys
-- Serializes transactions that add the first key or retire the last one; readers are not blocked.
lock table signing_key in share row exclusive mode;

-- name: insert_first_signing_key
-- Inserts only if no key is active, so that servers that start together agree on one key.
insert into signing_key (kid, private_jwe, public_jwk)
select $1, $2, $3
where not exists (select from signing_key where retired_at is null);

-- name: insert_signing_key
-- A further key, which signs when it is old enough.
insert into signing_key (kid, private_jwe, public_jwk) values ($1, $2, $3);

-- name: retire_signing_key
-- Returns no row if the key does not exist, is retired already, or is the only active one.
update signing_key set retired_at = now()
where
    kid = $1
    and retired_at is null
    and exists (select from signing_key as other where other.kid <> $1 and other.retired_at is null)
returning kid;

-- name: replace_private_key
-- Compare and swap. Returns no row if the encrypted key is another one.
update signing_key set private_jwe = $3
where kid = $1 and private_jwe = $2
returning kid;
