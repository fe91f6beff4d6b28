-- Statements get their place in the lists of their partner, one number instead of two columns, and
-- the keys of their actor and object, which need no links any more. This writes every row anew, and
-- so is nothing to be done beside servers that run.
--
-- A place is the microseconds of storing since 1970, shifted left by 10 bits that tell writers apart.
-- Keys are the partner's own (see lrs/store/keys.py), so that the indexes of a statement's keys do not
-- need the partner in front.

create function stored_at(place bigint) returns timestamptz
language sql immutable parallel safe
return (timestamp '1970-01-01' + (place >> 10) * interval '1 microsecond') at time zone 'UTC';

lock table statement, link, reference, projection in access exclusive mode;

alter table statement rename to old_statement;

alter table link rename to old_link;

alter table reference rename to old_reference;

alter table old_statement drop constraint statement_pkey;

alter table old_link drop constraint link_pkey;

alter table old_reference drop constraint reference_pkey;

drop index statement_by_stored, statement_by_verb, statement_by_authority, statement_by_organization,
    reference_by_target, reference_unsettled;

-- Nothing in a row ever changes. `actor_key` is null for a group without an identifier, `object_key`
-- for what is no activity.
create table statement (
    place         bigint not null,
    verb_key      bigint not null,
    authority_key bigint not null,
    actor_key     bigint,
    object_key    bigint,
    partner_id    integer not null,
    statement_id  uuid not null,
    digest        bytea not null,
    organization  text,
    payload       text not null
);

-- What else a statement speaks of, found in page order: one row for each agent, activity,
-- registration (and inherited verb), `roles` a bitmask of where it stands. See lrs/xapi/links.py.
create table link (
    key        bigint not null,
    place      bigint not null,
    partner_id integer not null,
    roles      smallint not null
);

-- Statements whose object is another statement. The target may arrive later, or never: `settled`
-- says that what it speaks of has been linked to the referring statement too.
create table reference (
    place        bigint not null,
    partner_id   integer not null,
    voids        boolean not null,
    settled      boolean not null,
    statement_id uuid not null,
    target_id    uuid not null
);

-- Those that were stored in the same microsecond keep their order.
create temp table placed on commit drop as
select
    partner_id,
    statement_id,
    ((extract(epoch from stored) * 1000000)::bigint << 10) + row_number() over (
        partition by partner_id, stored order by statement_id
    ) - 1 as place,
    ('x' || left(encode(sha256(convert_to(partner_id::text, 'UTF8')), 'hex'), 16))::bit(64)::bigint
        as salt
from old_statement;

analyze placed;

-- The roles 1, 2, 4096 and 8192 are those of actor and object, of what stands in a SubStatement and of
-- what was inherited. Who is the actor among the members of a group they do not say: such a group
-- stays in the links, where lists find it just as well.
create temp table told on commit drop as
select
    old_link.partner_id,
    old_link.statement_id,
    max(key) filter (where roles & 1 <> 0 and parsed.payload -> 'actor' -> 'member' is null)
        as actor_key,
    max(key) filter (
        where roles & 2 <> 0
            and coalesce(parsed.payload -> 'object' ->> 'objectType', 'Activity') = 'Activity'
    ) as object_key
from old_link
join old_statement using (partner_id, statement_id)
cross join lateral (select old_statement.payload::json as payload) as parsed
where roles & 3 <> 0 and roles & 12288 = 0
group by old_link.partner_id, old_link.statement_id;

analyze told;

insert into statement (
    place, verb_key, authority_key, actor_key, object_key, partner_id, statement_id, digest,
    organization, payload
)
select
    place,
    verb_key # salt,
    authority_key # salt,
    actor_key # salt,
    object_key # salt,
    partner_id,
    statement_id,
    digest,
    organization,
    payload
from old_statement
join placed using (partner_id, statement_id)
left join told using (partner_id, statement_id)
order by place;

insert into link (key, place, partner_id, roles)
select key # salt, place, partner_id, roles
from old_link
join placed using (partner_id, statement_id)
left join told using (partner_id, statement_id)
where key is distinct from actor_key and key is distinct from object_key
order by partner_id, key # salt, place;

insert into reference (place, partner_id, voids, settled, statement_id, target_id)
select place, partner_id, voids, settled, statement_id, target_id
from old_reference
join placed using (partner_id, statement_id)
order by place;

-- Now the place of the last statement that was followed, or 0 before the first one.
alter table projection rename column position to old_position;

alter table projection add column position bigint not null default 0;

update projection set position = placed.place
from placed
where placed.partner_id = projection.partner_id
    and placed.statement_id = projection.statement_id;

alter table projection drop column old_position, drop column statement_id,
    alter column position drop default;

drop table old_statement, old_link, old_reference;

alter table statement add primary key (partner_id, statement_id);

-- Two that take the same place at the same time are no duplicates: the later one is stored again.
create unique index statement_by_place on statement (partner_id, place);

create index statement_by_verb on statement (verb_key, place);

create index statement_by_authority on statement (authority_key, place);

create index statement_by_actor on statement (actor_key, place) where actor_key is not null;

create index statement_by_object on statement (object_key, place) where object_key is not null;

create index statement_by_organization on statement (partner_id, organization, place)
    where organization is not null;

alter table link add primary key (partner_id, key, place);

alter table reference add primary key (partner_id, statement_id);

create index reference_by_target on reference (partner_id, target_id);

create index reference_voiding on reference (partner_id, target_id) where voids;

create index reference_unsettled on reference (partner_id, target_id) where not settled;

analyze statement, link, reference;
