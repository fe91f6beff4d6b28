-- Fills in what is known of contents, and adds those that are `worked` on. The type that the definition
-- says counts before the one that is told, and of both types and parents what is told last. Returns
-- those whose type was another one before, or none.
-- An insert that conflicts would use up an id each time, hence update and insert.
with given as (
    select *
    from unnest(
        $2::bigint[], $3::text[], $4::boolean[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::text[], $10::jsonb[], $11::bigint[]
    ) with ordinality as given (
        content_key, activity_id, worked, type, told_type, title, technology, topic, attributes,
        parent_key, place
    )
),
filled as (
    update content
    set
        type = coalesce(given.type, given.told_type, content.told_type),
        told_type = coalesce(given.told_type, content.told_type),
        title = given.title,
        technology = given.technology,
        topic = given.topic,
        attributes = given.attributes,
        parent_key = coalesce(given.parent_key, content.parent_key)
    from given
    where content.partner_id = $1 and content.content_key = given.content_key
        and (
            content.type, content.told_type, content.title, content.technology, content.topic,
            content.attributes, content.parent_key
        ) is distinct from (
            coalesce(given.type, given.told_type, content.told_type),
            coalesce(given.told_type, content.told_type), given.title, given.technology,
            given.topic, given.attributes, coalesce(given.parent_key, content.parent_key)
        )
),
added as (
    insert into content
        (partner_id, content_key, activity_id, type, told_type, title, technology, topic,
        attributes, parent_key)
    select
        $1, given.content_key, given.activity_id, coalesce(given.type, given.told_type),
        given.told_type, given.title, given.technology, given.topic, given.attributes,
        given.parent_key
    from given
    where given.worked and not exists (
        select from content
        where content.partner_id = $1 and content.content_key = given.content_key
    )
    order by given.place
)
select
    given.activity_id,
    known.content_id,
    coalesce(given.type, given.told_type, known.told_type) as type
from given
left join content as known
    on known.partner_id = $1 and known.content_key = given.content_key
where coalesce(given.type, given.told_type, known.told_type) is distinct from known.type
    and (given.worked or known.content_id is not null)
