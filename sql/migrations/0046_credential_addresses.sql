-- Client addresses of credentials, for operators.

create table credential_address (
    first_at   timestamptz not null,
    last_at    timestamptz not null,
    partner_id integer not null,
    credential text not null,
    address    text not null,
    primary key (partner_id, credential, address)
) with (fillfactor = 70);

comment on table credential_address is
    'Addresses from which a credential or tool was used in the last day, some of many.';
