-- Learners: look-up, list, merge, detachment of identifiers, deletion and restoration.

-- name: find_learner
-- The learner by the operator's id ($2), identifiers ($3), the name of an account ($2) or person id
-- ($4), in this order, as in list_records_of_learner. Deleted learners only with $5.
select person.person_id as user_id, person.external_id as user, learner.name, learner.email,
    person.deleted_at
from (
    select person_id, 0 as ordinal from person where partner_id = $1 and external_id = $2
    union all
    select identifier.person_id, key.ordinal
    from unnest($3::bigint[]) with ordinality as key (agent_key, ordinal)
    cross join lateral (
        select person_id from identifier where partner_id = $1 and agent_key = key.agent_key
        offset 0
    ) as identifier
    union all
    select min(person_id), 100
    from (
        select person_id
        from identifier
        where partner_id = $1 and identity like 'account %'
            and md5(substring(identity from '^account [^ ]+ (.*)$')) = md5($2)
            and substring(identity from '^account [^ ]+ (.*)$') = $2
        offset 0
    ) as owner
    having min(person_id) = max(person_id)
    union all
    select $4::integer, 101
) as candidate
cross join lateral (
    select * from person where partner_id = $1 and person_id = candidate.person_id
    offset 0
) as person
left join lateral (
    select name, email from learner where partner_id = $1 and person_id = candidate.person_id
    offset 0
) as learner on true
where $5::boolean or person.deleted_at is null
order by candidate.ordinal
limit 1;

-- name: list_learners
-- A page of learners after the person id $2: only imported ones or only others ($3), only deleted
-- ones or only others ($4).
select
    person.person_id as user_id, person.external_id as user, learner.name, learner.email,
    person.deleted_at, records.count as records, records.last_activity_at
from (
    select person_id, external_id, deleted_at
    from person
    where partner_id = $1 and person_id > $2
        and ($3::boolean is null or (external_id is not null) = $3)
        and (deleted_at is not null) = $4::boolean
    order by person_id
    limit $5
) as person
left join lateral (
    select name, email from learner where partner_id = $1 and person_id = person.person_id
    offset 0
) as learner on true
cross join lateral (
    select count(*) as count, max(last_activity_at) as last_activity_at
    from learner_record
    where partner_id = $1 and person_id = person.person_id
    offset 0
) as records
order by person.person_id;

-- name: list_identifiers_of_persons
-- The identifiers of the persons $2, and whether an import assigned them.
select person_id, agent_key, identity, imported
from identifier
where partner_id = $1 and person_id = any($2::integer[])
order by person_id, identity;

-- name: count_rows_of_person
-- How many events, records, memberships and assignments a person has.
select
    (select count(*) from learning_event where partner_id = $1 and person_id = $2) as events,
    (select count(*) from learner_record where partner_id = $1 and person_id = $2) as records,
    (select count(*) from group_membership where partner_id = $1 and person_id = $2)
        + (select count(*) from team_membership where partner_id = $1 and person_id = $2)
        as memberships,
    (
        select count(*) from assignment
        where partner_id = $1 and assignee_type = 'user' and assignee_id = $2
    ) as assignments;

-- name: list_pairs_of_persons
-- Pairs of learner and content item of the persons $2 that have events or records.
select person_id, content_id from learning_event
where partner_id = $1 and person_id = any($2::integer[])
union
select person_id, content_id from learner_record
where partner_id = $1 and person_id = any($2::integer[]);

-- name: move_identifiers
-- Gives the identifiers of the persons $2 to the persons $3.
update identifier
set person_id = pair.target_id
from unnest($2::integer[], $3::integer[]) as pair (person_id, target_id)
where identifier.partner_id = $1 and identifier.person_id = pair.person_id;

-- name: move_events
-- Gives the events of the persons $2 to the persons $3.
update learning_event
set person_id = pair.target_id
from unnest($2::integer[], $3::integer[]) as pair (person_id, target_id)
where learning_event.partner_id = $1 and learning_event.person_id = pair.person_id;

-- name: merge_group_memberships
-- Replaces the memberships of the persons $2 and $3 by their union, as those of $3.
with pair as (
    select * from unnest($2::integer[], $3::integer[]) as pair (person_id, target_id)
),
removed as (
    delete from group_membership
    using (
        select person_id, target_id from pair
        union
        select target_id, target_id from pair
    ) as member
    where group_membership.partner_id = $1 and group_membership.person_id = member.person_id
    returning member.target_id, group_id, from_day, to_day
)
insert into group_membership (partner_id, person_id, group_id, from_day, to_day)
select $1, target_id, group_id, lower(period), upper(period)
from (
    select target_id, group_id, unnest(range_agg(daterange(from_day, to_day))) as period
    from removed
    group by target_id, group_id
) as merged;

-- name: merge_team_memberships
-- As merge_group_memberships.
with pair as (
    select * from unnest($2::integer[], $3::integer[]) as pair (person_id, target_id)
),
removed as (
    delete from team_membership
    using (
        select person_id, target_id from pair
        union
        select target_id, target_id from pair
    ) as member
    where team_membership.partner_id = $1 and team_membership.person_id = member.person_id
    returning member.target_id, team_id, from_day, to_day
)
insert into team_membership (partner_id, person_id, team_id, from_day, to_day)
select $1, target_id, team_id, lower(period), upper(period)
from (
    select target_id, team_id, unnest(range_agg(daterange(from_day, to_day))) as period
    from removed
    group by target_id, team_id
) as merged;

-- name: move_assignments
-- Gives the assignments of the persons $2, as assignees and as creators, to the persons $3.
update assignment
set
    assignee_id = case
        when assignment.assignee_type = 'user'
            then coalesce(assignee.target_id, assignment.assignee_id)
        else assignment.assignee_id
    end,
    created_by_id = coalesce(creator.target_id, assignment.created_by_id)
from assignment as existing
left join unnest($2::integer[], $3::integer[]) as assignee (person_id, target_id)
    on existing.assignee_type = 'user' and assignee.person_id = existing.assignee_id
left join unnest($2::integer[], $3::integer[]) as creator (person_id, target_id)
    on creator.person_id = existing.created_by_id
where assignment.partner_id = $1 and existing.partner_id = $1
    and existing.assignment_id = assignment.assignment_id
    and (assignee.target_id is not null or creator.target_id is not null);

-- name: delete_merged_persons
-- Deletes the persons $2, who have nothing left, and fills in what the persons $3 lack from them.
with removed as (
    delete from person
    using unnest($2::integer[], $3::integer[]) as pair (person_id, target_id)
    where person.partner_id = $1 and person.person_id = pair.person_id
    returning pair.target_id, person.*
),
first_removed as (
    select distinct on (target_id) * from removed
    order by target_id, external_id nulls last, person_id
)
update person
set
    external_id = coalesce(person.external_id, removed.external_id),
    email = coalesce(person.email, removed.email),
    first_name = coalesce(person.first_name, removed.first_name),
    last_name = coalesce(person.last_name, removed.last_name),
    slug = coalesce(person.slug, removed.slug)
from first_removed as removed
where person.partner_id = $1 and person.person_id = removed.target_id;

-- name: insert_person
-- A new person.
insert into person (partner_id, email) values ($1, $2) returning person_id;

-- name: list_linked_identifiers
-- Of the identifiers $2 and the other spellings of their addresses, those of the person $3.
select agent_key, identity from identifier
where partner_id = $1 and person_id = $3
    and (agent_key = any($2::bigint[]) or folded_key = any($2::bigint[]));

-- name: assign_identifiers
-- Gives the identifiers $2 to the person $3, as identifiers that statements introduced.
update identifier set person_id = $3, imported = false
where partner_id = $1 and agent_key = any($2::bigint[]);

-- name: clear_person_email
-- Clears the email of a person if it is $3 in any letter case.
update person set email = null
where partner_id = $1 and person_id = $2 and lower(email) = lower($3);

-- name: rename_person
-- Sets the operator's id, first name and last name; null keeps the present one.
update person
set
    external_id = coalesce($3, external_id),
    first_name = coalesce($4, first_name),
    last_name = coalesce($5, last_name)
where partner_id = $1 and person_id = $2;

-- name: is_user
-- Whether a person has the operator's id $2.
select exists (select from person where partner_id = $1 and external_id = $2);

-- name: set_person_deleted
-- Marks a person as deleted and clears what was imported.
update person
set
    deleted_at = now(), external_id = null, email = null, first_name = null, last_name = null,
    slug = null
where partner_id = $1 and person_id = $2;

-- name: clear_identifier_names
-- The names that statements had beside the identifiers of a deleted person.
update identifier set name = null where partner_id = $1 and person_id = $2;

-- name: delete_group_memberships_of_person
-- All memberships in organizations.
delete from group_membership where partner_id = $1 and person_id = $2;

-- name: delete_team_memberships_of_person
-- All memberships in teams.
delete from team_membership where partner_id = $1 and person_id = $2;

-- name: delete_assignments_of_person
-- All assignments to a person; other assignments lose their creator.
delete from assignment where partner_id = $1 and assignee_type = 'user' and assignee_id = $2;

-- name: clear_assignment_creator
-- Assignments that a deleted person created.
update assignment set created_by_id = null where partner_id = $1 and created_by_id = $2;

-- name: delete_events_of_person
-- Deletes the events of a deleted person, which are then statements without an event.
with deleted as (
    delete from learning_event where partner_id = $1 and person_id = $2 returning statement_id
)
insert into statement_without_event (partner_id, statement_id, reason)
select $1, statement_id, $3 from deleted
on conflict do nothing;

-- name: set_person_restored
-- Undoes the deletion of a person.
update person set deleted_at = null where partner_id = $1 and person_id = $2;

-- name: list_statements_of_actors
-- Projected statements whose actor has one of the identifiers $2, after the sequence $3, in order.
-- Keys of statements are combined with the partner's salt $4.
select
    statement.sequence,
    statement.statement_id,
    statement.organization,
    statement.payload,
    exists (
        select from statement_reference
        where statement_reference.partner_id = $1
            and statement_reference.target_id = statement.statement_id
            and statement_reference.voids
        offset 0
    ) as voided
from unnest($2::bigint[]) as agent (agent_key)
cross join lateral (
    select * from statement
    where partner_id = $1 and actor_key = agent.agent_key # $4::bigint and sequence > $3
        and sequence <= (select position from projection where partner_id = $1)
    order by sequence
    limit $5
) as statement
order by statement.sequence
limit $5;
