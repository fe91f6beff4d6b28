-- Learner records by learner and by content item, and content items by name.

-- name: list_records_of_learner
-- A page of the records of one learner, in primary key order. The learner is named by the
-- operator's id ($2), identifiers ($3) or person id ($4), in this order. A learner without records
-- is one row without a record; no row: the learner does not exist. Each `offset 0` keeps a subquery
-- an index lookup.
with learner as materialized (
    select person.person_id, person.external_id, person.name, person.email
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
        select person_id, external_id, name, email
        from learner
        where partner_id = $1 and person_id = candidate.person_id
        offset 0
    ) as person
    order by candidate.ordinal
    limit 1
)
select
    learner.person_id as user_id, learner.external_id as user, learner.name, learner.email,
    record.content_id, record.activity_id, record.title,
    coalesce(record.defined_type, record.type) as type,
    nullif(record.organization, '') as organization,
    record.status, record.success, record.progress, record.started_at, record.last_activity_at,
    record.completed_at, record.milliseconds / 1000::double precision as time_spent,
    coalesce(case when record.type = 'assessment' then record.best_raw_score end, record.best_score)
        as best_score,
    coalesce(case when record.type = 'assessment' then record.last_raw_score end, record.last_score)
        as last_score,
    record.best_raw_score, record.last_raw_score,
    record.attempts, record.source
from learner
left join lateral (
    select
        learner_record.*, content_item.activity_id, content_item.title, content_item.type,
        content_item.defined_type
    from learner_record
    cross join lateral (
        select activity_id, title, type, defined_type
        from content_item
        where partner_id = learner_record.partner_id and content_id = learner_record.content_id
        offset 0
    ) as content_item
    where learner_record.partner_id = $1 and learner_record.person_id = learner.person_id
        and learner_record.content_id >= $5
        and (learner_record.content_id > $5 or learner_record.organization > $6)
        and ($7::text is null or learner_record.organization = $7)
        and ($8::text is null or learner_record.status = $8)
        and ($9::boolean is null or learner_record.success = $9)
        and ($10::text is null or $10 in (content_item.type, content_item.defined_type))
        and ($11::timestamptz is null or learner_record.last_activity_at > $11)
        and ($12::timestamptz is null or learner_record.last_activity_at <= $12)
    order by learner_record.content_id, learner_record.organization
    limit $13
) as record on true
order by record.content_id, record.organization;

-- name: list_records_of_content
-- A page of the records of one content item, by organization and learner. An item without records
-- is one row without a record; no row: the item does not exist. Each `offset 0` keeps a subquery an
-- index lookup.
with item as materialized (
    select
        content_item.content_id, content_item.activity_id, content_item.title, content_item.type,
        content_item.defined_type
    from (
        select content_item.content_id, key.ordinal
        from unnest($2::bigint[]) with ordinality as key (content_key, ordinal)
        cross join lateral (
            select coalesce(alias_of, content_id) as content_id
            from content_item
            where partner_id = $1 and content_key = key.content_key
            offset 0
        ) as content_item
        union all
        select coalesce(alias_of, content_id), 100
        from content_item
        where partner_id = $1 and content_id = $3::integer
    ) as candidate
    cross join lateral (
        select * from content_item where partner_id = $1 and content_id = candidate.content_id
        offset 0
    ) as content_item
    order by candidate.ordinal
    limit 1
)
select
    record.person_id as user_id, record.external_id as user, record.name, record.email,
    item.content_id, item.activity_id, item.title, coalesce(item.defined_type, item.type) as type,
    nullif(record.organization, '') as organization,
    record.status, record.success, record.progress, record.started_at, record.last_activity_at,
    record.completed_at, record.milliseconds / 1000::double precision as time_spent,
    coalesce(case when item.type = 'assessment' then record.best_raw_score end, record.best_score)
        as best_score,
    coalesce(case when item.type = 'assessment' then record.last_raw_score end, record.last_score)
        as last_score,
    record.best_raw_score, record.last_raw_score,
    record.attempts, record.source
from item
left join lateral (
    select learner_record.*, person.external_id, person.name, person.email
    from learner_record
    cross join lateral (
        select external_id, name, email
        from learner
        where partner_id = learner_record.partner_id and person_id = learner_record.person_id
        offset 0
    ) as person
    where learner_record.partner_id = $1 and learner_record.content_id = item.content_id
        and learner_record.organization >= greatest($5, $6)
        and (learner_record.organization > $5 or learner_record.person_id > $4)
        and learner_record.organization <= coalesce($6, (
            select max(organization) from learner_record
            where partner_id = $1 and content_id = item.content_id))
        and ($7::text is null or learner_record.status = $7)
        and ($8::boolean is null or learner_record.success = $8)
        and ($9::text is null or $9 in (item.type, item.defined_type))
        and ($10::timestamptz is null or learner_record.last_activity_at > $10)
        and ($11::timestamptz is null or learner_record.last_activity_at <= $11)
    order by learner_record.organization, learner_record.person_id
    limit $12
) as record on true
order by record.organization, record.person_id;

-- name: get_content_detail
-- A content item with its parent, the first and last day of work on it, and the type of the report
-- table of the vendor's that has it.
select
    item.content_id, item.activity_id, coalesce(item.defined_type, item.type) as type,
    reported_type(item.type) as reported_type, item.title, item.deleted_at, item.source,
    item.catalog is not null as is_in_catalog,
    parent.content_id as parent_id, parent.title as parent_title,
    (
        select day from content_day
        where partner_id = $1 and content_id = $2 order by day limit 1
    ) as first_day,
    (
        select day from content_day
        where partner_id = $1 and content_id = $2 order by day desc limit 1
    ) as last_day
from content_item as item
left join content_item as parent
    on parent.partner_id = item.partner_id and parent.content_key = item.parent_key
where item.partner_id = $1 and item.content_id = $2;

-- name: count_content_records
-- Learner records of a content item by status, of the first $3 in the order of an index: without an
-- order, the planner may scan the table.
select record.status, count(*) as records
from (
    select status
    from learner_record
    where partner_id = $1 and content_id = $2
    order by organization, person_id
    limit $3
) as record
group by record.status;

-- name: list_content_names
-- Other content items: aliases of the item $2, and those that are part of it, up to $3 of each.
select content_id, activity_id, title, is_alias
from (
    (
        select content_id, activity_id, title, true as is_alias
        from content_item
        where partner_id = $1 and alias_of = $2
        order by content_id
        limit $3
    )
    union all
    (
        select part.content_id, part.activity_id, part.title, false
        from content_item as part
        where part.partner_id = $1 and part.parent_key = (
            select content_key from content_item where partner_id = $1 and content_id = $2
        )
        order by part.content_id
        limit $3
    )
) as named
order by content_id;

-- name: find_content_item
-- The content item with the first of the keys $2, or else with the id $3; of an alias its content
-- item.
select content_id
from (
    select coalesce(content_item.alias_of, content_item.content_id) as content_id, key.ordinal
    from unnest($2::bigint[]) with ordinality as key (content_key, ordinal)
    join content_item on content_item.partner_id = $1 and content_item.content_key = key.content_key
    union all
    select coalesce(alias_of, content_id), 100
    from content_item
    where partner_id = $1 and content_id = $3
) as candidate
order by ordinal
limit 1;

-- name: list_content_items
-- A page of content items after the id $2, optionally only deleted ($3) or not deleted ones.
select content_id, activity_id, type, title, deleted_at, alias_of
from content_item
where partner_id = $1 and content_id > $2
    and ($3::boolean is null or (deleted_at is not null) = $3)
order by content_id
limit $4;

-- name: list_content_activity
-- Of the content items $2: the number of learner records, counted up to $3, and the last day of
-- work. Two scans of one index each, bounded by $3 and 1 rows; the orders are those of the indexes.
select
    item.content_id,
    (
        select count(*)
        from (
            select from learner_record
            where partner_id = $1 and content_id = item.content_id
            order by organization, person_id
            limit $3
        ) as counted
    ) as records,
    (
        select day from content_day
        where partner_id = $1 and content_id = item.content_id
        order by day desc
        limit 1
    ) as last_day
from unnest($2::integer[]) as item (content_id);

-- name: set_content_item_deleted
-- Soft delete or restore; returns no row if nothing changes.
update content_item
set deleted_at = case when $3 then now() end
where partner_id = $1 and content_id = $2 and (deleted_at is not null) <> $3
returning content_id;
