-- What statements tell of activities and agents beyond their own words, and what came attached.
-- Hashes stand for IRIs, identifiers and names, which may be longer than an index entry can be.

create table activity (
    partner_id    integer not null,
    activity_hash bytea not null,
    activity_id   text not null,
    definition    jsonb not null,
    primary key (partner_id, activity_hash)
);

create table agent_name (
    partner_id integer not null,
    agent_hash bytea not null,
    name_hash  bytea not null,
    name       text not null,
    primary key (partner_id, agent_hash, name_hash)
);

create table attachment (
    partner_id integer not null,
    sha2       bytea not null,
    content    bytea not null,
    primary key (partner_id, sha2)
);

-- Stored as it is, a part of it can be read without the rest.
alter table attachment alter column content set storage external;

create table signature (
    partner_id   integer not null,
    statement_id uuid not null,
    sha2         bytea not null,
    status       text not null,
    algorithm    text not null,
    key          text,
    subject      text,
    primary key (partner_id, statement_id, sha2),
    constraint signature_status_known check (status in ('verified', 'no key'))
);
