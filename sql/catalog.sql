-- The catalog: content items as their provider describes them, versions of tracks and their
-- content items.

-- name: list_catalog_contents
-- Content items by key: name, and activity id, type and columns of the catalog; of an alias, those
-- of its content item.
select
    named.activity_id as name, content_item.activity_id, content_item.type, content_item.catalog
from content_item as named
join content_item
    on content_item.partner_id = named.partner_id
    and content_item.content_id = coalesce(named.alias_of, named.content_id)
where named.partner_id = $1 and named.content_key = any($2::bigint[]);

-- name: list_track_versions
-- The versions of the tracks with the keys $2.
select
    track.activity_id, version.version_number, version.title, version.short_description, version.xp,
    version.published_live_at, version.archived_at, version.is_current_version
from content_item as track
join track_version as version
    on version.partner_id = track.partner_id and version.track_id = track.content_id
where track.partner_id = $1 and track.content_key = any($2::bigint[]);

-- name: list_catalog_track_contents
-- The content items of the tracks with the keys $2, as the catalog has them.
select track.activity_id as track, part.version_number, content_item.activity_id, part.position
from content_item as track
join catalog_track_content as part
    on part.partner_id = track.partner_id and part.track_id = track.content_id
join content_item
    on content_item.partner_id = part.partner_id and content_item.content_id = part.content_id
where track.partner_id = $1 and track.content_key = any($2::bigint[]);

-- name: insert_catalog_contents
-- Content items that nobody has worked on. An insert that conflicts would use up an id, hence
-- `not exists`.
insert into content_item (partner_id, content_key, activity_id, attributes)
select $1, item.content_key, item.activity_id, '{}'
from jsonb_to_recordset($2::jsonb) as item (content_key bigint, activity_id text)
where not exists (
    select from content_item
    where content_item.partner_id = $1 and content_item.content_key = item.content_key
);

-- name: set_catalog
-- The columns of the catalog. Without a parent in the catalog, an item has that of its statements.
update content_item
set
    catalog = item.catalog,
    extracted_parent_key = coalesce(
        content_item.extracted_parent_key,
        case when content_item.catalog ->> 'parent_key' is null then content_item.parent_key end
    ),
    parent_key = coalesce(
        item.parent_key,
        content_item.extracted_parent_key,
        case when content_item.catalog ->> 'parent_key' is null then content_item.parent_key end
    )
from jsonb_to_recordset($2::jsonb) as item (content_key bigint, parent_key bigint, catalog jsonb)
where content_item.partner_id = $1 and content_item.content_key = item.content_key;

-- name: upsert_track_versions
-- Versions have ids of the same sequence as content items: a track without versions is its own.
insert into track_version
    (partner_id, track_version_id, track_id, version_number, title, short_description, xp,
    published_live_at, archived_at, is_current_version)
select
    $1,
    coalesce(
        existing.track_version_id, nextval(pg_get_serial_sequence('content_item', 'content_id'))
    ),
    track.content_id, item.version_number, item.title, item.short_description, item.xp,
    item.published_live_at, item.archived_at, item.is_current_version
from jsonb_to_recordset($2::jsonb) as item (
    track_key bigint, version_number integer, title text, short_description text,
    xp double precision, published_live_at timestamptz, archived_at timestamptz,
    is_current_version boolean
)
join content_item as track on track.partner_id = $1 and track.content_key = item.track_key
left join track_version as existing
    on existing.partner_id = $1 and existing.track_id = track.content_id
    and existing.version_number = item.version_number
on conflict (partner_id, track_id, version_number) do update
set
    title = excluded.title,
    short_description = excluded.short_description,
    xp = excluded.xp,
    published_live_at = excluded.published_live_at,
    archived_at = excluded.archived_at,
    is_current_version = excluded.is_current_version;

-- name: delete_track_versions
-- Versions that an import removes.
delete from track_version
using jsonb_to_recordset($2::jsonb) as item (track_key bigint, version_number integer)
join content_item as track on track.partner_id = $1 and track.content_key = item.track_key
where track_version.partner_id = $1 and track_version.track_id = track.content_id
    and track_version.version_number = item.version_number;

-- name: delete_contents_of_track_versions
-- The content items of versions that an import removes.
delete from catalog_track_content
using jsonb_to_recordset($2::jsonb) as item (track_key bigint, version_number integer)
join content_item as track on track.partner_id = $1 and track.content_key = item.track_key
where catalog_track_content.partner_id = $1 and catalog_track_content.track_id = track.content_id
    and catalog_track_content.version_number = item.version_number;

-- name: upsert_catalog_track_contents
-- Content items of tracks, with their positions.
insert into catalog_track_content (partner_id, track_id, version_number, content_id, position)
select $1, track.content_id, item.version_number, content_item.content_id, item.position
from jsonb_to_recordset($2::jsonb) as item (
    track_key bigint, version_number integer, content_key bigint, position integer
)
join content_item as track on track.partner_id = $1 and track.content_key = item.track_key
join content_item on content_item.partner_id = $1 and content_item.content_key = item.content_key
on conflict (partner_id, track_id, version_number, content_id) do update
set position = excluded.position;

-- name: delete_catalog_track_contents
-- Content items that an import removes from tracks.
delete from catalog_track_content
using jsonb_to_recordset($2::jsonb) as item (
    track_key bigint, version_number integer, content_key bigint
)
join content_item as track on track.partner_id = $1 and track.content_key = item.track_key
join content_item on content_item.partner_id = $1 and content_item.content_key = item.content_key
where catalog_track_content.partner_id = $1 and catalog_track_content.track_id = track.content_id
    and catalog_track_content.version_number = item.version_number
    and catalog_track_content.content_id = content_item.content_id;
