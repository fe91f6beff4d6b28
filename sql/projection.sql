-- The projection: rows that are derived from statements for reports. The row lock on `projection`
-- lets one transaction at a time write the derived rows of a partner. See docs/reporting.md.

-- name: register_projection
-- A partner without a projection starts at the first statement, with its settings. $3 names those
-- that only a rebuild applies.
insert into projection (
    partner_id, consistent_through, position, folds_mail_case, rules_version, applied_settings
)
select
    partner_id, 'epoch', 0, coalesce((settings ->> 'fold_mail_case')::boolean, true), $2,
    (select jsonb_object_agg(key, value) from jsonb_each(settings) where key = any($3::text[]))
from partner
where partner_id = $1
on conflict do nothing;

-- name: lock_projection
-- Takes the row lock; waits for its holder.
select from projection where partner_id = $1 for update;

-- name: try_lock_projection
-- Takes the row lock and returns the position; no row if another transaction holds it.
select position from projection where partner_id = $1 for update skip locked;

-- name: advance_projection
-- Commits the position in the transaction that derived rows up to it.
update projection set position = $2, consistent_through = $3 where partner_id = $1;

-- name: get_projection_settings
-- The settings of a partner, by which its statements are projected.
select settings from partner where partner_id = $1;

-- name: set_applied_rules
-- After a rebuild all rows follow the rules of version $2 and the settings $3.
update projection set rules_version = $2, applied_settings = $3
where partner_id = $1 and (rules_version, applied_settings) is distinct from ($2, $3::jsonb);

-- name: list_projection_lag
-- Per partner, or for the partners $1: when the oldest statement that is not projected was stored,
-- whether statements were projected by rules of a version before $3, and whether by other values of
-- the settings $4. With $2 also the number of statements that are in no Data Connector table; the
-- table `uncounted` lists them.
select
    partner.partner_id,
    partner.name,
    (
        select stored_at(statement.sequence)
        from statement
        where statement.partner_id = partner.partner_id
            and statement.sequence > coalesce(projection.position, 0)
        order by statement.sequence
        limit 1
    ) as oldest_pending_at,
    projection.consistent_through,
    clock_timestamp() as now,
    coalesce(projection.position, 0) > 0 and coalesce(projection.rules_version, 0) < $3::integer
        as rules_are_outdated,
    coalesce(projection.position, 0) > 0
        and coalesce(projection.applied_settings, '{}') <> coalesce(
            (
                select jsonb_object_agg(key, value) from jsonb_each(partner.settings)
                where key = any($4::text[])
            ),
            '{}'
        ) as settings_differ,
    case when $2 then (
        select coalesce(sum(counted.statements), 0)
        from content_item as item
        join content_count as counted
            on counted.partner_id = item.partner_id and counted.content_id = item.content_id
        where item.partner_id = partner.partner_id and reported_type(item.type) is null
    ) + (
        select coalesce(sum(
            counted.outside_membership
            + case
                when item.type in ('certification', 'track', 'workspace') then 0
                else counted.enrolments
            end
        ), 0)
        from content_count as counted
        join content_item as item
            on item.partner_id = counted.partner_id and item.content_id = counted.content_id
        where counted.partner_id = partner.partner_id
            and (counted.enrolments > 0 or counted.outside_membership > 0)
            and reported_type(item.type) is not null
    ) + (
        select coalesce(sum(counted.without_workspace_column), 0)
        from content_item as item
        join content_count as counted
            on counted.partner_id = item.partner_id and counted.content_id = item.content_id
        where item.partner_id = partner.partner_id and item.type = 'workspace'
    ) + (
        select count(*) from statement_without_event as missing
        where missing.partner_id = partner.partner_id
    ) end::bigint as uncounted
from partner
left join projection using (partner_id)
where $1::integer[] is null or partner.partner_id = any($1)
order by partner.partner_id;

-- name: count_pending_statements
-- How many statements of each of the partners $1 are not projected, counted up to $2. The order is
-- that of the index: without it, a partner without statements could cost a scan of the table.
select
    partner.partner_id,
    (
        select count(*)
        from (
            select from statement
            where statement.partner_id = partner.partner_id
                and statement.sequence > coalesce(projection.position, 0)
            order by statement.sequence
            limit $2
        ) as pending
    ) as statements
from unnest($1::integer[]) as partner (partner_id)
left join projection using (partner_id);

-- name: list_statements_to_project
-- Statements after the position $2 and before the watermark $3, in order, and whether each is
-- voided, whichever came first. At most $4 statements; the page ends with the statement that
-- reaches $5 bytes. `bytes` is the running sum.
select
    statement.sequence,
    statement.bytes,
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
from (
    select *, sum(octet_length(payload)) over (order by sequence) as bytes
    from statement
    where partner_id = $1 and sequence > $2 and sequence < $3
    order by sequence
    limit $4
) as statement
where statement.bytes - octet_length(statement.payload) < $5
order by statement.sequence;

-- name: get_statements_to_project
-- Statements by id, for those whose events come back when their voiding is undone.
select sequence, statement_id, organization, payload, false as voided
from statement
where partner_id = $1 and statement_id = any($2::uuid[]);

-- name: count_statements_before
-- The number of statements that a rebuild reads.
select count(*) from statement where partner_id = $1 and sequence < $2;

-- name: list_organizations_of_persons
-- The memberships of the persons $2 in organizations. Each `offset 0` keeps a subquery an index
-- lookup.
select member.person_id, learner_group.name, member.from_day, member.to_day
from unnest($2::integer[]) as item (person_id)
cross join lateral (
    select * from group_membership where partner_id = $1 and person_id = item.person_id offset 0
) as member
cross join lateral (
    select name from learner_group where partner_id = $1 and group_id = member.group_id offset 0
) as learner_group;

-- name: list_days_without_organization
-- The days on which the persons $2 have events whose statements name no organization, and the
-- organizations that these events have now.
select distinct
    event.person_id,
    coalesce(event.day, (event.at at time zone 'UTC')::date) as day,
    event.organization
from unnest($2::integer[]) as item (person_id)
cross join lateral (
    select * from learning_event where partner_id = $1 and person_id = item.person_id offset 0
) as event
where event.organization = '' or event.is_organization_inferred;

-- name: update_inferred_organizations
-- The organizations $4 of events of the persons $2 on the days $3, as far as their statements name
-- none. Returns the pairs of learner and content item of events that change.
with item as (
    select * from unnest($2::integer[], $3::date[], $4::text[]) as item (person_id, day, name)
),
updated as (
    update learning_event
    set organization = item.name, is_organization_inferred = item.name <> ''
    from item
    where learning_event.partner_id = $1 and learning_event.person_id = item.person_id
        and coalesce(learning_event.day, (learning_event.at at time zone 'UTC')::date) = item.day
        and learning_event.organization <> item.name
        and (learning_event.organization = '' or learning_event.is_organization_inferred)
    returning learning_event.person_id, learning_event.content_id
)
select distinct person_id, content_id from updated;

-- name: list_persons_of_identifiers
-- The owners of identifiers, and whether reports do not show them.
select identifier.agent_key, identifier.person_id, person.deleted
from (
    select agent_key, person_id from identifier
    where partner_id = $1 and agent_key = any($2::bigint[])
    offset 0
) as identifier
cross join lateral (
    select deleted_at is not null as deleted from person
    where partner_id = $1 and person_id = identifier.person_id
    offset 0
) as person;

-- name: folds_mail_case
-- Whether the identifiers of a partner are assigned without regard to letter case. Without a
-- projection, there are none: the setting of the partner decides.
select
    case
        when projection.partner_id is null
            then coalesce((partner.settings ->> 'fold_mail_case')::boolean, true)
        else coalesce(projection.folds_mail_case, false)
    end
from partner
left join projection using (partner_id)
where partner.partner_id = $1;

-- name: insert_persons
-- New persons who are first seen in statements; ids are returned in the order of $2.
insert into person (partner_id, email)
select $1, item.email
from unnest($2::text[]) with ordinality as item (email, ordinal)
order by item.ordinal
returning person_id, email;

-- name: insert_identifiers
-- Identifiers that are first seen in statements.
insert into identifier (partner_id, agent_key, identity, person_id, imported, folded_key)
select $1, item.agent_key, item.identity, item.person_id, false, item.folded_key
from unnest($2::bigint[], $3::text[], $4::integer[], $5::bigint[]) as item (
    agent_key, identity, person_id, folded_key
);

-- name: add_linked_identifiers
-- Identifiers $3 with the identities $4 that an operator links to the person $2; those that belong
-- to a person already stay.
insert into identifier (partner_id, person_id, agent_key, identity, folded_key, imported)
select $1, $2, item.agent_key, item.identity, item.folded_key, true
from unnest($3::bigint[], $4::text[], $5::bigint[]) as item (agent_key, identity, folded_key)
order by item.agent_key
on conflict (partner_id, agent_key) do nothing;

-- name: set_identifier_names
-- The names that statements have beside identifiers; only rows that differ are written.
update identifier
set name = item.name
from unnest($2::bigint[], $3::text[]) as item (agent_key, name)
where identifier.partner_id = $1 and identifier.agent_key = item.agent_key
    and identifier.name is distinct from item.name;

-- name: set_missing_emails
-- The email of persons who were known only by its digest; imported persons keep their own.
update person
set email = item.email
from unnest($2::integer[], $3::text[]) as item (person_id, email)
where person.partner_id = $1 and person.person_id = item.person_id
    and person.email is null and person.external_id is null;

-- name: upsert_content_items
-- Updates the attributes of content items and inserts those that have events. The type in the
-- definition takes precedence over the type extracted from statements, and that over the default
-- type; of extracted types, extracted titles and sources the last one wins, of parents that of
-- definitions, then the first one. Without a
-- title, the item has the default title. What the catalog has takes precedence over all others. An
-- alias has no type, and an alias as parent stands for its content item. Returns the items that are
-- new, or change their type or parent. Update and insert instead of an upsert, because an insert
-- that conflicts would use up an id.
with item as (
    select
        item.content_key,
        item.activity_id,
        item.has_events,
        item.extracted_type,
        item.extracted_title,
        item.default_title,
        item.source,
        item.track_content_id,
        item.ordinal,
        item.is_parent_defined,
        stated.extracted_parent_key,
        existing.content_id,
        existing.type as existing_type,
        existing.extracted_type as existing_extracted_type,
        existing.defined_type as existing_defined_type,
        existing.parent_key as existing_parent_key,
        existing.alias_of,
        coalesce(existing.catalog ->> 'type', item.defined_type) as defined_type,
        coalesce(existing.catalog ->> 'title', item.title) as title,
        coalesce(existing.catalog ->> 'technology', item.technology) as technology,
        coalesce(existing.catalog ->> 'topic', item.topic) as topic,
        coalesce(parent.content_key, stated.parent_key) as parent_key,
        item.attributes || coalesce(
            existing.catalog - array['type', 'title', 'technology', 'topic', 'parent_key'], '{}'
        ) as attributes,
        coalesce(
            existing.catalog ->> 'type', item.type, item.extracted_type, existing.extracted_type,
            item.default_type
        ) as own_type
    from unnest(
        $2::bigint[], $3::text[], $4::boolean[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::text[], $10::text[], $11::text[], $12::jsonb[], $13::bigint[], $14::text[], $15::text[],
        $16::text[], $17::text[], $18::boolean[]
    ) with ordinality as item (
        content_key, activity_id, has_events, type, extracted_type, default_type, defined_type,
        title, technology, topic, attributes, parent_key, extracted_title, default_title, source,
        track_content_id, is_parent_defined, ordinal
    )
    left join lateral (
        select
            content_id, alias_of, coalesce(type, alias_type) as type, extracted_type, defined_type,
            parent_key, catalog,
            coalesce(
                extracted_parent_key, case when catalog ->> 'parent_key' is null then parent_key end
            ) as extracted_parent_key
        from content_item
        where partner_id = $1 and content_key = item.content_key
        offset 0
    ) as existing on true
    cross join lateral (
        select
            extracted.parent_key as extracted_parent_key,
            coalesce((existing.catalog ->> 'parent_key')::bigint, extracted.parent_key)
                as parent_key
        from (
            select case
                when item.is_parent_defined then item.parent_key
                else coalesce(existing.extracted_parent_key, item.parent_key)
            end as parent_key
        ) as extracted
    ) as stated
    left join lateral (
        select content_item.content_key
        from (
            select alias_of from content_item
            where partner_id = $1 and content_key = stated.parent_key and alias_of is not null
            offset 0
        ) as alias
        cross join lateral (
            select content_key from content_item
            where partner_id = $1 and content_id = alias.alias_of
            offset 0
        ) as content_item
        offset 0
    ) as parent on true
),
updated as (
    update content_item
    set
        type = case when item.alias_of is null then item.own_type end,
        alias_type = case when item.alias_of is not null then item.own_type end,
        extracted_type = coalesce(item.extracted_type, content_item.extracted_type),
        defined_type = item.defined_type,
        title = coalesce(
            item.title, item.extracted_title, content_item.extracted_title, item.default_title
        ),
        extracted_title = coalesce(item.extracted_title, content_item.extracted_title),
        source = coalesce(item.source, content_item.source),
        track_content_id = coalesce(item.track_content_id, content_item.track_content_id),
        technology = item.technology,
        topic = item.topic,
        attributes = item.attributes,
        extracted_parent_key = coalesce(
            item.extracted_parent_key, content_item.extracted_parent_key
        ),
        is_parent_defined = content_item.is_parent_defined or item.is_parent_defined,
        parent_key = coalesce(item.parent_key, content_item.parent_key)
    from item
    where content_item.partner_id = $1 and content_item.content_id = item.content_id
        and (
            coalesce(content_item.type, content_item.alias_type), content_item.extracted_type,
            content_item.defined_type, content_item.title, content_item.technology,
            content_item.topic,
            content_item.attributes, content_item.parent_key, content_item.extracted_title,
            content_item.source, content_item.track_content_id, content_item.extracted_parent_key,
            content_item.is_parent_defined
        ) is distinct from (
            item.own_type, coalesce(item.extracted_type, content_item.extracted_type),
            item.defined_type,
            coalesce(
                item.title, item.extracted_title, content_item.extracted_title, item.default_title
            ),
            item.technology, item.topic, item.attributes,
            coalesce(item.parent_key, content_item.parent_key),
            coalesce(item.extracted_title, content_item.extracted_title),
            coalesce(item.source, content_item.source),
            coalesce(item.track_content_id, content_item.track_content_id),
            coalesce(item.extracted_parent_key, content_item.extracted_parent_key),
            content_item.is_parent_defined or item.is_parent_defined
        )
),
inserted as (
    insert into content_item
        (partner_id, content_key, activity_id, type, extracted_type, defined_type, title,
        technology, topic, attributes, parent_key, extracted_parent_key, is_parent_defined,
        extracted_title, source, track_content_id)
    select
        $1, item.content_key, item.activity_id, item.own_type, item.extracted_type,
        item.defined_type, coalesce(item.title, item.extracted_title, item.default_title),
        item.technology, item.topic, item.attributes, item.parent_key, item.extracted_parent_key,
        item.is_parent_defined, item.extracted_title, item.source, item.track_content_id
    from item
    where item.has_events and item.content_id is null
    order by item.ordinal
)
select
    item.activity_id,
    item.content_id,
    item.own_type as type,
    item.own_type is distinct from item.existing_type as type_changes
from item
where (item.has_events or item.content_id is not null)
    and (
        item.own_type, coalesce(item.extracted_type, item.existing_extracted_type),
        item.defined_type, coalesce(item.parent_key, item.existing_parent_key)
    ) is distinct from (
        item.existing_type, item.existing_extracted_type, item.existing_defined_type,
        item.existing_parent_key
    );

-- name: update_courses
-- Sets the course that each of the content items with the keys $2 (null: all), and each item below
-- them, is a part of: of its ancestors the highest course. Parts are chapters, exercises, and
-- activities that are courses by default only; an item among its own ancestors is none. $3 are the
-- types with report tables; without $4 no item is a part. Returns the items that change, with the
-- courses they were parts of. Each `offset 0` keeps a subquery an index lookup.
with recursive item as not materialized (
    select
        content_id,
        content_key,
        parent_key,
        type,
        course_id,
        alias_of is null and (coalesce(type in ('chapter', 'exercise'), false) or (
            extracted_type is null and (defined_type is null or defined_type <> all($3::text[]))
            and (type is null or type = 'course' or type <> all($3::text[]))
        )) as is_part
    from content_item
    where partner_id = $1
),
family as (
    select content_id, content_key
    from item
    where $2::bigint[] is null or content_key = any($2)
    union
    select child.content_id, child.content_key
    from family
    cross join lateral (
        select * from item where parent_key = family.content_key
        offset 0
    ) as child
),
ancestor as (
    select
        item.content_id,
        item.parent_key,
        item.is_part,
        false as is_cycle,
        null::integer as course_id,
        array[item.content_id] as path
    from family
    cross join lateral (
        select * from item where content_key = family.content_key
        offset 0
    ) as item
    union all
    select
        ancestor.content_id,
        parent.parent_key,
        parent.is_part,
        parent.content_id = any(ancestor.path),
        case when parent.type = 'course' then parent.content_id else ancestor.course_id end,
        ancestor.path || parent.content_id
    from ancestor
    cross join lateral (
        select * from item where content_key = ancestor.parent_key
        offset 0
    ) as parent
    where ancestor.is_part and not ancestor.is_cycle and cardinality(ancestor.path) < 10
),
changed as materialized (
    select present.content_id, present.course_id as course_before, highest.course_id
    from (
        select distinct on (content_id)
            content_id,
            case when $4::boolean and not is_cycle then course_id end as course_id
        from ancestor
        order by content_id, cardinality(path) desc
    ) as highest
    cross join lateral (
        select content_id, course_id from content_item
        where partner_id = $1 and content_id = highest.content_id
        offset 0
    ) as present
    where present.course_id is distinct from highest.course_id
),
updated as (
    update content_item
    set course_id = changed.course_id
    from changed
    where content_item.partner_id = $1 and content_item.content_id = changed.content_id
)
select content_id, course_before from changed;

-- name: list_pairs_of_content_items
-- The pairs of learner and content item with events of the items $2, and of their learners with the
-- items $3 beside them.
select distinct event.person_id, pair.content_id
from unnest($2::integer[], $3::integer[]) as item (content_id, other_id)
cross join lateral (
    select person_id from learning_event where partner_id = $1 and content_id = item.content_id
    offset 0
) as event
cross join lateral (values (item.content_id), (item.other_id)) as pair (content_id)
where pair.content_id is not null;

-- name: list_content_item_ids
-- By key, the id of the content item that has the events, and that of the alias if the key is one.
select
    content_key,
    coalesce(alias_of, content_id) as content_id,
    case when alias_of is not null then content_id end as alias_id
from content_item
where partner_id = $1 and content_key = any($2::bigint[]);

-- name: list_content_item_types
-- The types and courses of all content items, to find what a rebuild changes.
select content_id, coalesce(type, alias_type) as type, course_id, activity_id, parent_key
from content_item
where partner_id = $1;

-- name: clear_content_items
-- Clears what a rebuild extracts from statements again.
update content_item
set
    type = case when alias_of is null then catalog ->> 'type' end,
    extracted_type = null,
    defined_type = catalog ->> 'type',
    extracted_title = null,
    source = null,
    track_content_id = null,
    extracted_parent_key = null,
    is_parent_defined = false,
    alias_type = case when alias_of is not null then catalog ->> 'type' end,
    parent_key = (catalog ->> 'parent_key')::bigint
where partner_id = $1;

-- name: restore_content_types
-- The types and parents of content items that no statement has, such as assigned ones.
update content_item
set
    type = case when content_item.alias_of is null then item.type end,
    alias_type = case when content_item.alias_of is not null then item.type end,
    parent_key = item.parent_key
from unnest($2::integer[], $3::text[], $4::bigint[]) as item (content_id, type, parent_key)
where content_item.partner_id = $1 and content_item.content_id = item.content_id;

-- name: insert_track_contents
-- Adds content items to the tracks in whose context they were worked on, as far as those are known
-- to be tracks.
insert into track_content (partner_id, track_id, content_id)
select $1, track.content_id, content_item.content_id
from unnest($2::bigint[], $3::bigint[]) as item (content_key, context_key)
join content_item as track
    on track.partner_id = $1 and track.content_key = item.context_key
    and coalesce(track.type, track.alias_type) = 'track'
join content_item on content_item.partner_id = $1 and content_item.content_key = item.content_key
where track.content_id <> content_item.content_id
on conflict do nothing;

-- name: insert_past_track_contents
-- Adds to tracks what was worked on in their context before they were known to be tracks, found by
-- the index entries of those statements. Keys of statements are combined with the partner's salt
-- $5. A payload is read as json, because jsonb does not hold every JSON number.
insert into track_content (partner_id, track_id, content_id)
select distinct $1, track.content_id, content_item.content_id
from unnest($2::bigint[], $3::bigint[]) as item (content_key, index_key)
join content_item as track on track.partner_id = $1 and track.content_key = item.content_key
join index_entry
    on index_entry.partner_id = $1
    and index_entry.key = item.index_key # $5::bigint
    and index_entry.roles & $4::smallint <> 0
join projection on projection.partner_id = $1 and index_entry.sequence <= projection.position
join statement on statement.partner_id = $1 and statement.sequence = index_entry.sequence
join content_item
    on content_item.partner_id = $1 and content_item.content_key = statement.object_key # $5::bigint
where track.content_id <> content_item.content_id
    and statement.payload::json -> 'actor' ->> 'objectType' is distinct from 'Group'
on conflict do nothing;

-- name: delete_voided_events
-- Deletes the events of voided statements and returns their learners and content items. They are
-- found by the identifiers in their statements: an index by statement id alone would slow down
-- every event.
delete from learning_event
where partner_id = $1 and ctid = any(array(
    select event.row_id
    from unnest($2::uuid[], $3::bigint[], $4::bigint[]) as item (
        statement_id, agent_key, content_key
    )
    cross join lateral (
        select person_id from identifier
        where partner_id = $1 and agent_key = item.agent_key
        offset 0
    ) as identifier
    cross join lateral (
        select coalesce(alias_of, content_id) as content_id from content_item
        where partner_id = $1 and content_key = item.content_key
        offset 0
    ) as content_item
    cross join lateral (
        select ctid as row_id from learning_event
        where partner_id = $1 and person_id = identifier.person_id
            and content_id = content_item.content_id and statement_id = item.statement_id
        offset 0
    ) as event
))
returning person_id, content_id;

-- name: insert_statements_without_event
-- Statements that are in no fact, with the reason.
insert into statement_without_event (partner_id, statement_id, reason)
select $1, item.statement_id, item.reason
from unnest($2::uuid[], $3::text[]) as item (statement_id, reason)
on conflict do nothing;

-- name: delete_statements_without_event
-- Statements that are voided.
delete from statement_without_event where partner_id = $1 and statement_id = any($2::uuid[]);

-- name: clear_statements_without_event
-- What a rebuild extracts again.
delete from statement_without_event where partner_id = $1;

-- name: get_mail_case_mode
-- How identifiers are assigned: whether without regard to letter case at present (null: as before
-- version 0.2), and by the setting of the partner.
select
    projection.folds_mail_case as applied,
    coalesce((partner.settings ->> 'fold_mail_case')::boolean, true) as wanted
from projection
join partner using (partner_id)
where projection.partner_id = $1;

-- name: set_mail_case_mode
-- Commits the way in the transaction that regroups the learners.
update projection set folds_mail_case = $2 where partner_id = $1;

-- name: list_partners_to_regroup
-- Partners whose learners are not grouped as their settings say.
select projection.partner_id
from projection
join partner using (partner_id)
where projection.folds_mail_case
    is distinct from coalesce((partner.settings ->> 'fold_mail_case')::boolean, true)
order by projection.partner_id;

-- name: list_mixed_case_identifiers
-- Mail addresses with other characters than lower-case ASCII.
select identity from identifier
where partner_id = $1 and identity like 'mbox mailto:%'
    and (identity ~ '[A-Z]' or octet_length(identity) <> char_length(identity))
order by person_id, identity;

-- name: list_owners_of_identifiers
-- The persons of identifiers.
select
    identifier.agent_key, identifier.person_id, person.external_id as user,
    person.deleted_at is not null as deleted
from (
    select agent_key, person_id from identifier
    where partner_id = $1 and agent_key = any($2::bigint[])
    offset 0
) as identifier
cross join lateral (
    select external_id, deleted_at from person
    where partner_id = $1 and person_id = identifier.person_id
    offset 0
) as person;

-- name: link_identifiers
-- Records of which address in lower case the identifiers $2 are another spelling, unless an import
-- assigned them.
update identifier
set folded_key = item.folded_key
from unnest($2::bigint[], $3::bigint[]) as item (agent_key, folded_key)
where identifier.partner_id = $1 and identifier.agent_key = item.agent_key
    and not identifier.imported;

-- name: list_folded_identifiers
-- Identifiers that are other spellings of an address, these addresses in lower case, and the
-- identifiers of SHA-1 of their persons.
select
    identifier.agent_key, identifier.identity, identifier.person_id, identifier.imported,
    identifier.folded_key, person.external_id as user, person.email
from (
    select distinct person_id from identifier where partner_id = $1 and folded_key is not null
) as owner
cross join lateral (
    select * from identifier
    where partner_id = $1 and person_id = owner.person_id
        and (identity like 'mbox mailto:%' or identity like 'mbox_sha1sum %')
    offset 0
) as identifier
cross join lateral (
    select external_id, email from person
    where partner_id = $1 and person_id = identifier.person_id
    offset 0
) as person;

-- name: clear_folded_keys
-- Spellings are learners of their own.
update identifier set folded_key = null where partner_id = $1 and folded_key is not null;

-- name: list_event_keys_of_identifiers
-- Of the identifiers $3, those with events of the persons $2.
select distinct agent_key from learning_event
where partner_id = $1 and person_id = any($2::integer[]) and agent_key = any($3::bigint[]);

-- name: delete_identifiers
-- Identifiers that are reassigned.
delete from identifier where partner_id = $1 and agent_key = any($2::bigint[]);
