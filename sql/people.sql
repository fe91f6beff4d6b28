-- People import: users, organizations, teams, memberships, identifiers and assignments. Each
-- `offset 0` keeps a subquery an index lookup.

-- name: list_users
-- Existing users by the operator's ids.
select person_id, external_id as user, email, first_name, last_name, slug
from person
where partner_id = $1 and external_id = any($2::text[]);

-- name: list_groups
-- Existing organizations by name.
select name as organization, title from learner_group
where partner_id = $1 and name = any($2::text[]);

-- name: list_teams
-- Existing teams by slug.
select
    team.slug as team, team.name, learner_group.name as organization, team.created_date,
    team.updated_date, team.deleted_date
from team
left join learner_group using (partner_id, group_id)
where team.partner_id = $1 and team.slug = any($2::text[]);

-- name: list_assignments
-- Existing assignments by the operator's ids.
select
    assignment.external_id as assignment, assignment.type as assignment_type,
    assignment.assignee_type,
    coalesce(assignee.external_id, team.slug, assignee_group.name) as assignee,
    content_item.activity_id as content, nullif(learner_group.name, '') as organization,
    assignment.status, assignment.xp, creator.external_id as created_by, assignment.due_at,
    assignment.created_at, assignment.updated_at, assignment.deleted_at
from assignment
join learner_group using (partner_id, group_id)
left join content_item using (partner_id, content_id)
left join person as creator
    on creator.partner_id = $1 and creator.person_id = assignment.created_by_id
left join person as assignee
    on assignment.assignee_type = 'user' and assignee.partner_id = $1
    and assignee.person_id = assignment.assignee_id
left join team
    on assignment.assignee_type = 'team' and team.partner_id = $1
    and team.team_id = assignment.assignee_id
left join learner_group as assignee_group
    on assignment.assignee_type = 'group' and assignee_group.partner_id = $1
    and assignee_group.group_id = assignment.assignee_id
where assignment.partner_id = $1 and assignment.external_id = any($2::text[]);

-- name: list_memberships
-- All memberships of the persons $2, in organizations and in teams.
select member.person_id, null as team, learner_group.name as organization, member.from_day,
member.to_day
from (
    select * from group_membership where partner_id = $1 and person_id = any($2::integer[]) offset 0
) as member
cross join lateral (
    select name from learner_group where partner_id = $1 and group_id = member.group_id offset 0
) as learner_group
union all
select member.person_id, team.slug, null, member.from_day, member.to_day
from (
    select * from team_membership where partner_id = $1 and person_id = any($2::integer[]) offset 0
) as member
cross join lateral (
    select slug from team where partner_id = $1 and team_id = member.team_id offset 0
) as team;

-- name: list_identifier_owners
-- The persons to whom the identifiers $2 and the other spellings of their addresses belong. An
-- identifier can be in two rows.
select
    identifier.agent_key, identifier.person_id, person.external_id as user, identifier.imported,
    person.email, person.deleted_at is not null as deleted, identifier.identity,
    identifier.folded_key
from (
    select * from identifier where partner_id = $1 and agent_key = any($2::bigint[])
    union all
    select * from identifier where partner_id = $1 and folded_key = any($2::bigint[])
    offset 0
) as identifier
cross join lateral (
    select external_id, email, deleted_at from person
    where partner_id = $1 and person_id = identifier.person_id
    offset 0
) as person;

-- name: insert_users
-- New persons with the operator's ids.
insert into person (partner_id, external_id, email, first_name, last_name, slug)
select $1, item.user, item.email, item.first_name, item.last_name, item.slug
from jsonb_to_recordset($2::jsonb) as item (
    "user" text, email text, first_name text, last_name text, slug text
);

-- name: update_users
-- Also gives the operator's id to persons who were first seen in statements.
update person
set
    external_id = item.user,
    email = item.email,
    first_name = item.first_name,
    last_name = item.last_name,
    slug = item.slug
from jsonb_to_recordset($2::jsonb) as item (
    person_id integer, "user" text, email text, first_name text, last_name text, slug text
)
where person.partner_id = $1 and person.person_id = item.person_id;

-- name: upsert_groups
-- Organizations by name.
insert into learner_group (partner_id, name, title)
select $1, item.organization, item.title
from jsonb_to_recordset($2::jsonb) as item (organization text, title text)
on conflict (partner_id, name) do update set title = excluded.title;

-- name: insert_missing_groups
-- Organizations that imports or statements name for the first time. An insert that conflicts would
-- use up an id, hence `not exists`.
insert into learner_group (partner_id, name)
select $1, item.name
from unnest($2::text[]) as item (name)
where not exists (
    select from learner_group
    where learner_group.partner_id = $1 and learner_group.name = item.name
);

-- name: upsert_teams
-- Teams by slug.
insert into team (partner_id, slug, name, group_id, created_date, updated_date, deleted_date)
select
    $1, item.team, item.name, learner_group.group_id, item.created_date, item.updated_date,
    item.deleted_date
from jsonb_to_recordset($2::jsonb) as item (
    team text, name text, organization text, created_date date, updated_date date,
    deleted_date date
)
left join learner_group
    on learner_group.partner_id = $1 and learner_group.name = item.organization
on conflict (partner_id, slug) do update
set
    name = excluded.name,
    group_id = excluded.group_id,
    created_date = excluded.created_date,
    updated_date = excluded.updated_date,
    deleted_date = excluded.deleted_date;

-- name: upsert_identifiers
-- Assigns identifiers to users, taking them from their previous owners.
insert into identifier (partner_id, agent_key, identity, person_id, imported, folded_key)
select $1, item.agent_key, item.identity, person.person_id, item.imported, item.folded_key
from jsonb_to_recordset($2::jsonb) as item (
    agent_key bigint, identity text, "user" text, imported boolean, folded_key bigint
)
cross join lateral (
    select person_id from person where partner_id = $1 and external_id = item.user
        offset 0
) as person
on conflict (partner_id, agent_key) do update
set
    person_id = excluded.person_id,
    imported = excluded.imported,
    folded_key = excluded.folded_key;

-- name: upsert_memberships
-- Memberships by person, organization or team, and first day.
with item as materialized (
    select item.team, item.organization, item.from_day, item.to_day, person.person_id
    from jsonb_to_recordset($2::jsonb) as item (
        "user" text, team text, organization text, from_day date, to_day date
    )
    cross join lateral (
        select person_id from person where partner_id = $1 and external_id = item.user
        offset 0
    ) as person
),
group_memberships as (
    insert into group_membership (partner_id, person_id, group_id, from_day, to_day)
    select $1, item.person_id, learner_group.group_id, item.from_day, item.to_day
    from item
    cross join lateral (
        select group_id from learner_group where partner_id = $1 and name = item.organization
        offset 0
    ) as learner_group
    on conflict (partner_id, person_id, group_id, from_day) do update
    set to_day = excluded.to_day
)
insert into team_membership (partner_id, person_id, team_id, from_day, to_day)
select $1, item.person_id, team.team_id, item.from_day, item.to_day
from item
cross join lateral (
    select team_id from team where partner_id = $1 and slug = item.team offset 0
) as team
on conflict (partner_id, person_id, team_id, from_day) do update
set to_day = excluded.to_day;

-- name: delete_memberships
-- Memberships that an import withdraws.
with item as materialized (
    select item.team, item.organization, item.from_day, person.person_id
    from jsonb_to_recordset($2::jsonb) as item (
        "user" text, team text, organization text, from_day date
    )
    cross join lateral (
        select person_id from person where partner_id = $1 and external_id = item.user
        offset 0
    ) as person
),
group_memberships as (
    delete from group_membership
    using item
    cross join lateral (
        select group_id from learner_group where partner_id = $1 and name = item.organization
        offset 0
    ) as learner_group
    where group_membership.partner_id = $1 and group_membership.person_id = item.person_id
        and group_membership.group_id = learner_group.group_id
        and group_membership.from_day = item.from_day
)
delete from team_membership
using item
cross join lateral (
    select team_id from team where partner_id = $1 and slug = item.team offset 0
) as team
where team_membership.partner_id = $1 and team_membership.person_id = item.person_id
    and team_membership.team_id = team.team_id and team_membership.from_day = item.from_day;

-- name: insert_assigned_content_items
-- Content items that are assigned before anyone works on them; the projection fills in their
-- attributes.
insert into content_item (partner_id, content_key, activity_id, attributes)
select distinct $1::integer, item.content_key, item.content, '{}'::jsonb
from jsonb_to_recordset($2::jsonb) as item (content_key bigint, content text)
where item.content is not null and not exists (
    select from content_item
    where content_item.partner_id = $1 and content_item.content_key = item.content_key
);

-- name: upsert_assignments
-- Assignments by the operator's ids.
insert into assignment
    (partner_id, external_id, type, assignee_type, assignee_id, content_id, group_id, status, xp,
    created_by_id, due_at, created_at, updated_at, deleted_at)
select
    $1, item.assignment, item.assignment_type, item.assignee_type,
    coalesce(assignee.person_id, team.team_id, assignee_group.group_id), content_item.content_id,
    learner_group.group_id, item.status, item.xp, creator.person_id, item.due_at,
    item.created_at, item.updated_at, item.deleted_at
from jsonb_to_recordset($2::jsonb) as item (
    assignment text, assignment_type text, assignee_type text, assignee text, content_key bigint,
    organization text, status text, xp numeric, created_by text, due_at timestamptz,
    created_at timestamptz, updated_at timestamptz, deleted_at timestamptz
)
join learner_group
    on learner_group.partner_id = $1 and learner_group.name = coalesce(item.organization, '')
left join content_item
    on content_item.partner_id = $1 and content_item.content_key = item.content_key
left join person as creator on creator.partner_id = $1 and creator.external_id = item.created_by
left join person as assignee
    on item.assignee_type = 'user' and assignee.partner_id = $1
    and assignee.external_id = item.assignee
left join team
    on item.assignee_type = 'team' and team.partner_id = $1 and team.slug = item.assignee
left join learner_group as assignee_group
    on item.assignee_type = 'group' and assignee_group.partner_id = $1
    and assignee_group.name = item.assignee
on conflict (partner_id, external_id) do update
set
    type = excluded.type,
    assignee_type = excluded.assignee_type,
    assignee_id = excluded.assignee_id,
    content_id = excluded.content_id,
    group_id = excluded.group_id,
    status = excluded.status,
    xp = excluded.xp,
    created_by_id = excluded.created_by_id,
    due_at = excluded.due_at,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    deleted_at = excluded.deleted_at;

-- name: reassign_events
-- Moves the events of the identifiers $3 from the persons $2 to their present owners.
update learning_event
set person_id = identifier.person_id
from identifier
where learning_event.partner_id = $1 and learning_event.person_id = any($2::integer[])
    and learning_event.agent_key = any($3::bigint[])
    and identifier.partner_id = $1 and identifier.agent_key = learning_event.agent_key;

-- name: count_events_of_identifiers
-- The number of events of each of the identifiers $3, which belong to the persons $2.
select agent_key, count(*) as events
from learning_event
where partner_id = $1 and person_id = any($2::integer[]) and agent_key = any($3::bigint[])
group by agent_key;

-- name: list_affected_pairs
-- Pairs of learner and content item whose facts and records must be recomputed: of persons who lost
-- or gained identifiers, and of members.
with affected as materialized (
    select unnest($2::integer[]) as person_id
    union
    select person_id from identifier where partner_id = $1 and agent_key = any($3::bigint[])
    union
    select person_id from person where partner_id = $1 and external_id = any($4::text[])
)
select affected.person_id, event.content_id
from affected
cross join lateral (
    select content_id from learning_event
    where partner_id = $1 and person_id = affected.person_id
    offset 0
) as event
union
select affected.person_id, record.content_id
from affected
cross join lateral (
    select content_id from learner_record
    where partner_id = $1 and person_id = affected.person_id
    offset 0
) as record;

-- name: delete_anonymous_persons
-- Deletes those of the persons $2 who have neither an operator's id nor an identifier left.
delete from person
where partner_id = $1 and person_id = any($2::integer[]) and external_id is null
    and not exists (
        select from identifier
        where identifier.partner_id = $1 and identifier.person_id = person.person_id
    );
