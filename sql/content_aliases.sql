-- Aliases of content items: one item under several activity ids. Events of an alias belong to its
-- content item. Only under the row lock on `projection`.

-- name: get_content_item_for_alias
-- The content item with the first of the keys $2, or else with the id $3, and the item whose alias
-- it is. Each `offset 0` keeps a subquery an index lookup.
select content_item.content_id, content_item.activity_id, content_item.alias_of
from (
    select item.content_id, key.ordinal
    from unnest($2::bigint[]) with ordinality as key (content_key, ordinal)
    cross join lateral (
        select content_id from content_item
        where partner_id = $1 and content_key = key.content_key
        offset 0
    ) as item
    union all
    select $3::integer, 100
) as candidate
cross join lateral (
    select content_id, activity_id, alias_of from content_item
    where partner_id = $1 and content_id = candidate.content_id
    offset 0
) as content_item
order by candidate.ordinal
limit 1;

-- name: get_content_item
-- A content item by id.
select content_id, activity_id, alias_of from content_item
where partner_id = $1 and content_id = $2;

-- name: insert_named_content_item
-- A content item that no statement has yet.
insert into content_item (partner_id, content_key, activity_id, type, title, attributes)
values ($1, $2, $3, $4, $5, '{}')
returning content_id, activity_id, alias_of;

-- name: list_aliases
-- The aliases of a content item.
select content_id, activity_id, alias_of from content_item
where partner_id = $1 and alias_of = $2
order by content_id;

-- name: count_events_of_alias
-- The events that a link or its removal moves: of the content item $2, as far as their statements
-- name the alias $3 (null: all), and their learners.
select count(*) as events, count(distinct person_id) as learners
from learning_event
where partner_id = $1 and content_id = $2 and ($3::integer is null or alias_id = $3);

-- name: move_events_of_alias
-- Moves events from the content item $2 to $3, as far as their statements name the alias $4 (null:
-- all). Returns their learners.
with moved as (
    update learning_event
    set
        content_id = $3,
        alias_id = nullif(coalesce(alias_id, content_id), $3)
    where partner_id = $1 and content_id = $2 and ($4::integer is null or alias_id = $4)
    returning person_id
)
select distinct person_id from moved;

-- name: move_children_of_alias
-- Moves content items from the parent with the key $2 to that with the key $3, as far as the
-- catalog or statements name the alias with the key $4 (null: all).
update content_item
set
    parent_key = $3,
    extracted_parent_key = coalesce(
        extracted_parent_key,
        case when catalog ->> 'parent_key' is null then parent_key end
    )
where partner_id = $1 and parent_key = $2 and content_key <> $3
    and (
        $4::bigint is null
        or coalesce((catalog ->> 'parent_key')::bigint, extracted_parent_key) = $4
    );

-- name: set_alias
-- Makes a content item, and its own aliases, aliases of $3.
update content_item
set
    alias_of = $3,
    alias_type = coalesce(alias_type, type),
    type = null,
    course_id = null
where partner_id = $1 and (content_id = $2 or alias_of = $2);

-- name: remove_alias
-- Makes an alias a content item of its own again.
update content_item
set alias_of = null, type = alias_type, alias_type = null
where partner_id = $1 and content_id = $2;
