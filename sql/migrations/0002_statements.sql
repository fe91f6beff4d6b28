-- What was received. Nothing in a row ever changes; there are no foreign keys, since a row is only
-- written for a partner that has just been authenticated.
create table statement (
    stored        timestamptz not null,
    verb_key      bigint not null,
    authority_key bigint not null,
    partner_id    integer not null,
    statement_id  uuid not null,
    digest        bytea not null,
    organization  text,
    payload       text not null,
    primary key (partner_id, statement_id)
);

create index statement_by_stored on statement (partner_id, stored, statement_id);

create index statement_by_verb on statement (partner_id, verb_key, stored, statement_id);

create index statement_by_authority on statement (partner_id, authority_key, stored, statement_id);

create index statement_by_organization on statement (partner_id, organization, stored, statement_id)
    where organization is not null;

-- What a statement speaks of, found in page order: one row for each agent, activity, registration
-- (and inherited verb), `roles` a bitmask of where it stands. See lrs/xapi/links.py for the keys.
create table link (
    key          bigint not null,
    stored       timestamptz not null,
    partner_id   integer not null,
    roles        smallint not null,
    statement_id uuid not null,
    primary key (partner_id, key, stored, statement_id)
);

-- Statements whose object is another statement. The target may arrive later, or never: `settled`
-- says that what it speaks of has been linked to the referring statement too.
create table reference (
    stored       timestamptz not null,
    partner_id   integer not null,
    voids        boolean not null,
    settled      boolean not null,
    statement_id uuid not null,
    target_id    uuid not null,
    primary key (partner_id, statement_id)
);

create index reference_by_target on reference (partner_id, target_id);

create index reference_unsettled on reference (partner_id, target_id) where not settled;
