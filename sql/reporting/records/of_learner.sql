-- A page of one learner's records, in the order of their primary key. A learner without any is one
-- row without a record; nobody of this name is no row. Each offset keeps a look-up one.
with learner as materialized (
    select person.person_id, person.name, person.email
    from (
        select person_id, 0 as place from person where partner_id = $1 and name = $2
        union all
        select identifier.person_id, key.place
        from unnest($3::bigint[]) with ordinality as key (agent_key, place)
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
        ) as holder
        having min(person_id) = max(person_id)
        union all
        select $4::integer, 101
    ) as called
    cross join lateral (
        select * from person where partner_id = $1 and person_id = called.person_id
        offset 0
    ) as person
    order by called.place
    limit 1
)
select
    learner.person_id as user_id, learner.name as user, learner.email,
    record.content_id, record.activity_id, record.title, record.type,
    nullif(record.organization, '') as organization,
    record.status, record.success, record.progress, record.started_at, record.last_activity_at,
    record.completed_at, record.milliseconds / 1000::double precision as time_spent,
    record.best_score, record.last_score, record.attempts, record.source
from learner
left join lateral (
    select learner_record.*, content.activity_id, content.title, content.type
    from learner_record
    cross join lateral (
        select activity_id, title, type
        from content
        where partner_id = learner_record.partner_id and content_id = learner_record.content_id
        offset 0
    ) as content
    where learner_record.partner_id = $1 and learner_record.person_id = learner.person_id
        and learner_record.content_id >= $5
        and (learner_record.content_id > $5 or learner_record.organization > $6)
        and ($7::text is null or learner_record.organization = $7)
        and ($8::text is null or learner_record.status = $8)
        and ($9::boolean is null or learner_record.success = $9)
        and ($10::text is null or content.type = $10)
        and ($11::timestamptz is null or learner_record.last_activity_at > $11)
        and ($12::timestamptz is null or learner_record.last_activity_at <= $12)
    order by learner_record.content_id, learner_record.organization
    limit $13
) as record on true
order by record.content_id, record.organization
