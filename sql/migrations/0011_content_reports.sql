-- Reports of every content item and every learner, whatever the type.

alter table content_item add column extracted_title text;
alter table content_item add column source text;

comment on column content_item.extracted_title is
    'The title that track events have; counts only while the definition has no name.';

comment on column content_item.source is
    'The source of its newest statement: xapi, track or canvas; null without one.';

alter table identifier add column name text;

comment on column identifier.name is
    'The name in the newest statement that has one beside this identifier.';

alter table learner_record add column updated_at timestamptz not null default now();

comment on column learner_record.updated_at is
    'When the record last changed, after all changes committed before: what an increment contains.';

create table deleted_record (
    deleted_at   timestamptz not null,
    partner_id   integer not null,
    person_id    integer not null,
    content_id   integer not null,
    organization text not null,
    primary key (partner_id, person_id, content_id, organization)
);

create index deleted_record_by_time on deleted_record (partner_id, deleted_at);

comment on table deleted_record is
    'Tombstones of learner records: what an incremental reader must delete.';

create table content_day (
    time_spent   double precision,
    xp           double precision,
    score        double precision,
    progress     double precision,
    partner_id   integer not null,
    person_id    integer not null,
    content_id   integer not null,
    day          date not null,
    date_id      integer not null generated always as (
        date_part('year', day)::integer * 10000
        + date_part('month', day)::integer * 100
        + date_part('day', day)::integer
    ) stored,
    statements   integer not null,
    enrolments   integer not null,
    is_member    boolean not null,
    status       text not null,
    organization text not null,
    primary key (partner_id, person_id, content_id, organization, day)
);

create index content_day_by_content_item on content_day (partner_id, content_id, day);

comment on table content_day is
    'One learner, one content item of any type, one organization, one day, also outside memberships.';

comment on column content_day.enrolments is
    'The statements of the day that enrol the learner and have no measure.';

comment on column content_day.is_member is
    'Whether daily_fact has the day: whether the learner was a member, or is in no group.';

create table content_count (
    statements         bigint not null,
    enrolments         bigint not null,
    outside_membership bigint not null,
    partner_id         integer not null,
    content_id         integer not null,
    primary key (partner_id, content_id)
) with (fillfactor = 70);

comment on table content_count is 'Sums of content_day by content item.';

comment on column content_count.enrolments is 'Of days on which the learner was a member.';

comment on column content_count.outside_membership is
    'Of days on which the learner was not a member.';

create table statement_without_event (
    partner_id   integer not null,
    statement_id uuid not null,
    reason       text not null,
    primary key (partner_id, statement_id)
);

comment on table statement_without_event is
    'Statements that are no work of one learner on one content item, without voided and voiding ones.';

create view learner as
select
    person.partner_id,
    person.person_id,
    person.external_id,
    coalesce(person.email, mailbox.email) as email,
    coalesce(
        imported.name, reported.name, person.email, mailbox.email, person.external_id, account.name,
        'learner ' || person.person_id
    ) as name,
    case
        when imported.name is not null then person.first_name
        when reported.name like '%, %' then split_part(reported.name, ', ', 2)
        else regexp_replace(reported.name, '\s+\S+$', '')
    end as first_name,
    case
        when imported.name is not null then person.last_name
        when reported.name like '%, %' then split_part(reported.name, ', ', 1)
        else substring(reported.name from '\s(\S+)$')
    end as last_name,
    person.slug
from person
cross join lateral (
    select nullif(trim(concat_ws(' ', person.first_name, person.last_name)), '') as name
    offset 0
) as imported
cross join lateral (
    select case when imported.name is null then (
        select identifier.name
        from identifier
        where
            identifier.partner_id = person.partner_id
            and identifier.person_id = person.person_id
            and identifier.name is not null
        order by identifier.imported desc, identifier.identity
        limit 1
    ) end as name
    offset 0
) as reported
cross join lateral (
    select case when person.email is null then (
        select min(substring(identifier.identity from 13))
        from identifier
        where
            identifier.partner_id = person.partner_id
            and identifier.person_id = person.person_id
            and identifier.identity like 'mbox mailto:%'
    ) end as email
    offset 0
) as mailbox
cross join lateral (
    select case
        when coalesce(imported.name, reported.name, person.email, mailbox.email, person.external_id)
            is null
        then (
            select min(substring(identifier.identity from '^(?:account )?[^ ]+ (.*)$'))
            from identifier
            where
                identifier.partner_id = person.partner_id
                and identifier.person_id = person.person_id
        )
    end as name
    offset 0
) as account;

comment on view learner is
    'Persons with the names that are known: as imported, or else as statements have them.';
