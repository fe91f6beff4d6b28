-- The content_id of track events, and identifiers in parts, for report tables.

alter table content_item add column track_content_id text;

comment on column content_item.track_content_id is
    'The content_id in the newest track event of the content item; null without one.';

create view learner_identifier as
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
cross join lateral (
    select regexp_match(identifier.identity, '^account ([^ ]+) (.*)$') as parts
    offset 0
) as account;

comment on view learner_identifier is
    'Identifiers in their parts; an account at the home page of the partner is a track user.';
