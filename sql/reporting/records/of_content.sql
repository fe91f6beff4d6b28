-- A page of the records of one content item, by organization and learner. An item without any is one
-- row without a record; none of this name is no row. Each offset keeps a look-up one.
with item as materialized (
    select content.content_id, content.activity_id, content.title, content.type
    from (
        select content.content_id, key.place
        from unnest($2::bigint[]) with ordinality as key (content_key, place)
        cross join lateral (
            select content_id from content where partner_id = $1 and content_key = key.content_key
            offset 0
        ) as content
        union all
        select $3::integer, 100
    ) as called
    cross join lateral (
        select * from content where partner_id = $1 and content_id = called.content_id
        offset 0
    ) as content
    order by called.place
    limit 1
)
select
    record.person_id as user_id, record.name as user, record.email,
    item.content_id, item.activity_id, item.title, item.type,
    nullif(record.organization, '') as organization,
    record.status, record.success, record.progress, record.started_at, record.last_activity_at,
    record.completed_at, record.milliseconds / 1000::double precision as time_spent,
    record.best_score, record.last_score, record.attempts, record.source
from item
left join lateral (
    select learner_record.*, person.name, person.email
    from learner_record
    cross join lateral (
        select name, email
        from person
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
        and ($9::text is null or item.type = $9)
        and ($10::timestamptz is null or learner_record.last_activity_at > $10)
        and ($11::timestamptz is null or learner_record.last_activity_at <= $11)
    order by learner_record.organization, learner_record.person_id
    limit $12
) as record on true
order by record.organization, record.person_id
