-- Client addresses of credentials and tools in the last day.

-- name: upsert_credential_addresses
-- The times only go forward. Sorted, so that two workers cannot deadlock.
insert into credential_address as existing (partner_id, credential, address, first_at, last_at)
select partner_id, credential, address, last_at, last_at
from unnest($1::integer[], $2::text[], $3::text[], $4::timestamptz[])
    as item (partner_id, credential, address, last_at)
order by partner_id, credential, address
on conflict (partner_id, credential, address) do update set
    last_at = greatest(existing.last_at, excluded.last_at);

-- name: delete_excess_credential_addresses
-- Of each credential the $3 last used addresses stay.
delete from credential_address
using unnest($1::integer[], $2::text[]) as item (partner_id, credential)
where credential_address.partner_id = item.partner_id
    and credential_address.credential = item.credential
    and credential_address.address in (
        select older.address
        from credential_address as older
        where older.partner_id = item.partner_id and older.credential = item.credential
        order by older.last_at desc
        offset $3
    );

-- name: delete_old_credential_addresses
-- Addresses are personal data: a day is enough to find where a key is used.
delete from credential_address where last_at < $1;

-- name: list_credential_addresses
-- The addresses of a credential since the time $3, the last used one first.
select address, first_at, last_at
from credential_address
where partner_id = $1 and credential = $2 and last_at >= $3
order by last_at desc, address
limit 100;
