-- Report tables of all content items and learners, beside the vendor's; see docs/report-tables.md.
-- Names of tables and columns are a public contract. $1 is the partner.

-- name: content_dim
-- All content items, whatever their type. An activity id is an address unless track events made it.
select
    item.content_id,
    item.activity_id,
    item.track_content_id,
    coalesce(item.defined_type, item.type) as type,
    reported_type(item.type) as reported_type,
    item.title,
    parent.content_id as parent_id,
    parent.title as parent_title,
    item.source,
    coalesce(
        item.attributes ->> 'url',
        case
            when item.activity_id ~ '^https?://'
                and not starts_with(item.activity_id, partner.home_page || '/contents/')
                then item.activity_id
        end
    ) as url,
    item.deleted_at
from content_item as item
join partner on partner.partner_id = item.partner_id
left join content_item as named
    on named.partner_id = item.partner_id and named.content_key = item.parent_key
left join content_item as parent
    on parent.partner_id = item.partner_id
    and parent.content_id = coalesce(named.alias_of, named.content_id)
where item.partner_id = $1 and item.alias_of is null;

-- name: content_fact
-- Work on content items of all types per learner, organization and day, also on days outside
-- memberships. A day with enrolments only is no work.
select
    content_day.person_id as user_id,
    content_day.content_id,
    content_day.date_id,
    learner_group.group_id,
    nullif(content_day.organization, '') as organization,
    content_day.time_spent,
    content_day.xp,
    content_day.score,
    content_day.raw_score,
    content_day.progress,
    content_day.status,
    content_day.is_member
from content_day
left join learner_group
    on learner_group.partner_id = content_day.partner_id
    and learner_group.name = content_day.organization
where content_day.partner_id = $1 and content_day.statements > content_day.enrolments;

-- name: learner_dim
-- The learners, one row each, with all identifiers and the organizations of today. The
-- organizations of a learner without a membership are those of the records.
select
    learner.person_id as user_id,
    learner.external_id,
    learner.name,
    learner.first_name,
    learner.last_name,
    learner.email,
    coalesce(member.organization, recorded.organization) as organization,
    own.identifiers
from learner
left join (
    select group_membership.person_id, string_agg(distinct name, ', ' order by name) as organization
    from group_membership
    join learner_group using (partner_id, group_id)
    where
        partner_id = $1
        and name <> ''
        and from_day <= (select today from partner_day where partner_id = $1)
        and (to_day is null or (select today from partner_day where partner_id = $1) < to_day)
    group by group_membership.person_id
) as member on member.person_id = learner.person_id
left join (
    select person_id, string_agg(distinct organization, ', ' order by organization) as organization
    from learner_record
    where partner_id = $1 and organization <> ''
    group by person_id
) as recorded on recorded.person_id = learner.person_id
left join (
    select
        person_id,
        json_agg(
            json_strip_nulls(json_build_object(
                'kind', kind, 'value', value, 'home_page', home_page
            )) order by kind, value, home_page
        )::text as identifiers
    from learner_identifier
    where partner_id = $1
    group by person_id
) as own on own.person_id = learner.person_id
where learner.partner_id = $1;

-- name: learner_identifier_dim
-- The identifiers of the learners, one row each.
select
    learner_identifier.person_id as user_id,
    learner_identifier.kind,
    learner_identifier.value as identifier,
    learner_identifier.home_page,
    learner_identifier.name,
    learner_identifier.imported as is_imported
from learner_identifier
join person using (partner_id, person_id)
where partner_id = $1 and person.deleted_at is null;

-- name: learner_record
-- The learner records with the natural keys of learner and content item.
select
    record.person_id as user_id,
    learner.external_id,
    learner.name,
    learner.email,
    record.content_id,
    item.activity_id,
    item.title,
    coalesce(item.defined_type, item.type) as type,
    learner_group.group_id,
    nullif(record.organization, '') as organization,
    record.status,
    record.success,
    record.progress,
    record.started_at,
    record.last_activity_at,
    record.completed_at,
    record.milliseconds / 1000::double precision as time_spent,
    coalesce(case when item.type = 'assessment' then record.best_raw_score end, record.best_score)
        as best_score,
    coalesce(case when item.type = 'assessment' then record.last_raw_score end, record.last_score)
        as last_score,
    record.best_raw_score,
    record.last_raw_score,
    record.attempts,
    record.source,
    record.updated_at
from learner_record as record
join content_item as item
    on item.partner_id = record.partner_id and item.content_id = record.content_id
join learner on learner.partner_id = record.partner_id and learner.person_id = record.person_id
left join learner_group
    on learner_group.partner_id = record.partner_id and learner_group.name = record.organization
where record.partner_id = $1;

-- name: uncounted
-- What is in none of the Data Connector tables: statements without an event one by one, others by
-- content item and reason. Certifications and tracks have enrolments in their facts, workspaces
-- only the kinds of their columns.
select
    missing.reason,
    null::uuid::text as statement_id,
    item.content_id,
    item.activity_id,
    item.defined_type as type,
    item.title,
    missing.statements::integer as statements
from content_count as counted
join content_item as item
    on item.partner_id = counted.partner_id and item.content_id = counted.content_id
cross join lateral (
    values
        (
            'no table for the type',
            case when reported_type(item.type) is null then counted.statements end
        ),
        (
            'outside the membership',
            case when reported_type(item.type) is not null then counted.outside_membership end
        ),
        (
            'enrolment only',
            case
                when reported_type(item.type) not in ('certification', 'track', 'workspace')
                    then counted.enrolments
            end
        ),
        (
            'no column of workspaces',
            case when item.type = 'workspace' then counted.without_workspace_column end
        )
) as missing (reason, statements)
where counted.partner_id = $1 and missing.statements > 0
union all
select reason, statement_id::text, null, null, null, null, 1
from statement_without_event
where partner_id = $1;
