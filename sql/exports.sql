-- Exports of statements and of changed days. The report tables themselves are in report_*.sql.

-- name: get_last_change
-- When facts of the partner last changed.
select max(changed_at) as changed_at from changed_day where partner_id = $1;

-- name: get_last_record_change
-- When a learner record of the partner last changed or was deleted.
select greatest(
    (select max(updated_at) from learner_record where partner_id = $1),
    (select max(deleted_at) from deleted_record where partner_id = $1)
) as changed_at;

-- name: list_deleted_records
-- Tombstones of learner records that were deleted after $2, as rows of the table learner_record.
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
    'deleted' as status,
    null::boolean as success,
    null::double precision as progress,
    null::timestamptz as started_at,
    null::timestamptz as last_activity_at,
    null::timestamptz as completed_at,
    null::double precision as time_spent,
    null::double precision as best_score,
    null::double precision as last_score,
    null::double precision as best_raw_score,
    null::double precision as last_raw_score,
    null::integer as attempts,
    null::text as source,
    record.deleted_at as updated_at
from deleted_record as record
left join content_item as item
    on item.partner_id = record.partner_id and item.content_id = record.content_id
left join learner
    on learner.partner_id = record.partner_id and learner.person_id = record.person_id
left join learner_group
    on learner_group.partner_id = record.partner_id and learner_group.name = record.organization
where record.partner_id = $1 and record.deleted_at > $2;

-- name: list_changed_days
-- The days whose facts changed after $2: what an incremental export must replace.
select day from changed_day
where partner_id = $1 and changed_at > $2
order by day;

-- name: export_statements
-- Statements with sequence from $2 to before $3, as columns, in the order in which they were
-- stored, with the learner and the content item of the reports: for a callback, the course that
-- launched the tool. Keys of statements are combined with the partner's salt $4.
with course as (
    select content_item.activity_id, coalesce(alias_of, content_id) as content_id
    from content_item
    join partner using (partner_id)
    where partner_id = $1 and starts_with(activity_id, partner.home_page || '/courses/')
)
select
    statement_id::text as id,
    stored_at(sequence) as stored,
    identifier.person_id as user_id,
    case
        when launch.is_callback then course.content_id
        else coalesce(content_item.alias_of, content_item.content_id)
    end as content_id,
    parsed.payload ->> 'timestamp' as timestamp,
    organization,
    (parsed.payload -> 'actor')::text as actor,
    parsed.payload -> 'verb' ->> 'id' as verb,
    (parsed.payload -> 'object')::text as object,
    (parsed.payload -> 'result')::text as result,
    (parsed.payload -> 'context')::text as context,
    statement.payload
from statement
cross join lateral (select statement.payload::json as payload) as parsed
cross join lateral (
    select
        parsed.payload -> 'context' -> 'extensions' -> 'urn:x-lrs:launch' is not null
            as is_callback
) as launch
left join identifier
    on identifier.partner_id = $1
    and identifier.agent_key = statement.actor_key # $4::bigint
    and parsed.payload -> 'actor' ->> 'objectType' is distinct from 'Group'
left join content_item
    on content_item.partner_id = $1
    and content_item.content_key = statement.object_key # $4::bigint
left join course
    on launch.is_callback
    and course.activity_id
        = coalesce(
            parsed.payload #>> '{context,contextActivities,parent,0,id}',
            parsed.payload #>> '{context,contextActivities,parent,id}'
        )
where statement.partner_id = $1 and sequence >= $2 and sequence < $3
order by sequence;

-- name: export_payloads
-- Statements with sequence from $2 to before $3, one JSON text per line. Line breaks and tabs can
-- only be white space between tokens, so that they can be replaced. $4 is only named: the
-- parameters are those of export_statements.
select replace(replace(replace(payload, E'\n', ' '), E'\r', ' '), E'\t', ' ') as payload
from statement
where partner_id = $1 and sequence >= $2 and sequence < $3 and $4::bigint is not null
order by sequence;

-- name: count_learners
-- The rows of user_dim and learner_dim.
select count(*) from person where partner_id = $1 and deleted_at is null;

-- name: count_identifiers
-- The rows of learner_identifier_dim.
select count(*)
from identifier
join person using (partner_id, person_id)
where partner_id = $1 and person.deleted_at is null;

-- name: count_learner_records
-- The rows of learner_record.
select count(*) from learner_record where partner_id = $1;

-- name: count_all_statements
-- The rows of statements.
select count(*) from statement where partner_id = $1;
