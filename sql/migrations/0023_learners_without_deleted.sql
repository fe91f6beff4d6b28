-- Deleted persons are no learners.

create or replace view learner as
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
) as account
where person.deleted_at is null;

create or replace view learner_identifier as
select
    identifier.partner_id,
    identifier.person_id,
    case
        when account.parts is null then split_part(identifier.identity, ' ', 1)
        when account.parts[1] = partner.home_page then 'track'
        else 'account'
    end as kind,
    case
        when account.parts is not null then account.parts[2]
        when identifier.identity like 'mbox mailto:%' then substring(identifier.identity from 13)
        else substring(identifier.identity from '^[^ ]+ (.*)$')
    end as value,
    account.parts[1] as home_page,
    identifier.name,
    identifier.imported
from identifier
join partner on partner.partner_id = identifier.partner_id
join person
    on
        person.partner_id = identifier.partner_id
        and person.person_id = identifier.person_id
        and person.deleted_at is null
cross join lateral (
    select regexp_match(identifier.identity, '^account ([^ ]+) (.*)$') as parts
    offset 0
) as account;
