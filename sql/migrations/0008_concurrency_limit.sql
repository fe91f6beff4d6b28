-- Concurrent requests of partners and credentials on all servers.

create unlogged table concurrency_limit (
    partner_id integer not null,
    subject    text not null,
    slots      jsonb not null,
    primary key (partner_id, subject)
) with (fillfactor = 50);

comment on table concurrency_limit is
    'Slots for concurrent requests that workers have leased. Unlogged: a crash of the database ends all leases.';

comment on column concurrency_limit.subject is
    'Empty for the partner itself, or the key of a credential.';

comment on column concurrency_limit.slots is
    'By worker: the number of leased slots, and when the lease ends, in seconds since 1970.';
