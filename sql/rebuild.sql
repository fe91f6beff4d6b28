-- Rebuild of a projection: events are extracted again into a temporary table, and the difference
-- is applied to the stored events in ranges of persons. A full join is never a nested loop.

-- name: create_extracted_events
-- Keeps extracted events apart until all statements are read.
create temporary table extracted_event (like learning_event) on commit drop;

-- name: index_extracted_events
-- The order in which events are compared.
create index extracted_event_by_person
    on extracted_event (person_id, content_id);

-- name: cluster_extracted_events
-- Stores the events of a learner and a content item next to each other.
cluster extracted_event
    using extracted_event_by_person;

-- name: analyze_extracted_events
-- Without it the planner knows nothing of the table.
analyze
    extracted_event;

-- name: delete_obsolete_events
-- Deletes stored events of the persons $2 to $3 that are not extracted any more, or differ.
delete from learning_event
where partner_id = $1 and ctid = any(array(
    select existing.row_id
    from (
        select * from extracted_event where person_id between $2 and $3
    ) as extracted
    full join (
        select ctid as row_id, * from learning_event
        where partner_id = $1 and person_id between $2 and $3
    ) as existing
        on existing.person_id = extracted.person_id and existing.content_id = extracted.content_id
        and existing.statement_id = extracted.statement_id
    where (
        extracted.at, extracted.agent_key, extracted.milliseconds, extracted.registration,
        extracted.progress, extracted.score, extracted.percentile, extracted.xp,
        extracted.is_cumulative, extracted.success, extracted.is_mobile, extracted.kind,
        extracted.source, extracted.organization, extracted.sequence, extracted.raw_score,
        extracted.day, extracted.is_organization_inferred, extracted.alias_id
    ) is distinct from (
        existing.at, existing.agent_key, existing.milliseconds, existing.registration,
        existing.progress, existing.score, existing.percentile, existing.xp, existing.is_cumulative,
        existing.success, existing.is_mobile, existing.kind, existing.source, existing.organization,
        existing.sequence, existing.raw_score, existing.day, existing.is_organization_inferred,
        existing.alias_id
    )
));

-- name: insert_missing_events
-- Inserts extracted events of the persons $2 to $3 that are not stored, in primary key order.
insert into learning_event
    (at, agent_key, milliseconds, partner_id, person_id, content_id, statement_id, registration,
    progress, score, percentile, xp, is_cumulative, success, is_mobile, kind, source, organization,
    sequence, raw_score, day, is_organization_inferred, alias_id)
select
    extracted.at, extracted.agent_key, extracted.milliseconds, extracted.partner_id,
    extracted.person_id, extracted.content_id, extracted.statement_id, extracted.registration,
    extracted.progress, extracted.score, extracted.percentile, extracted.xp,
    extracted.is_cumulative, extracted.success, extracted.is_mobile, extracted.kind,
    extracted.source, extracted.organization, extracted.sequence, extracted.raw_score,
    extracted.day, extracted.is_organization_inferred, extracted.alias_id
from (
    select * from extracted_event where person_id between $2 and $3
) as extracted
full join (
    select person_id, content_id, statement_id from learning_event
    where partner_id = $1 and person_id between $2 and $3
) as existing
    on existing.person_id = extracted.person_id and existing.content_id = extracted.content_id
    and existing.statement_id = extracted.statement_id
where existing.statement_id is null
order by extracted.person_id, extracted.content_id, extracted.statement_id;

-- name: list_event_pairs
-- Pairs of learner and content item of the persons $2 to $3 that have events, records or facts.
select person_id, content_id from learning_event
where partner_id = $1 and person_id between $2 and $3
union
select person_id, content_id from learner_record
where partner_id = $1 and person_id between $2 and $3
union
select person_id, content_id from daily_fact
where partner_id = $1 and person_id between $2 and $3;

-- name: count_persons
-- The number of persons of a partner, for progress.
select count(*) from person where partner_id = $1;

-- name: get_person_range
-- The last id of the next $3 persons from $2 on, and their number.
select max(person_id) as last, count(*) as count
from (
    select person_id from person
    where partner_id = $1 and person_id >= $2
    order by person_id
    limit $3
) as next;

-- name: analyze_projection
-- Without it, queries are planned by the statistics from before the rebuild until autovacuum runs.
analyze
    learning_event, learner_record, daily_fact, content_day, content_count, content_item,
    track_content, person, identifier;
