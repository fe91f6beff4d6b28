-- Content items under several names: aliases of one item.

alter table content_item
    add column alias_of integer,
    add column alias_type text;

comment on column content_item.alias_of is
    'The content item that has the events of this one; its own type is null then.';

comment on column content_item.alias_type is 'Of an alias: the type that it would have.';

alter table learning_event add column alias_id integer;

comment on column learning_event.alias_id is
    'The content item in the statement, if that is an alias of content_id; else null.';

create or replace view reported_track_content as
select
    version.partner_id,
    version.track_version_id,
    version.track_id,
    coalesce(item.alias_of, item.content_id) as content_id,
    min(part.position) as position
from reported_track_version as version
join catalog_track_content as part
    on
        part.partner_id = version.partner_id
        and part.track_id = version.track_id
        and part.version_number = coalesce(version.version_number, 0)
join content_item as item
    on item.partner_id = part.partner_id and item.content_id = part.content_id
group by
    version.partner_id,
    version.track_version_id,
    version.track_id,
    coalesce(item.alias_of, item.content_id)
union all
select
    version.partner_id,
    version.track_version_id,
    version.track_id,
    coalesce(item.alias_of, item.content_id) as content_id,
    min(part.position) as position
from reported_track_version as version
join content_item as track
    on
        track.partner_id = version.partner_id
        and coalesce(track.alias_of, track.content_id) = version.track_id
join track_content as part
    on part.partner_id = track.partner_id and part.track_id = track.content_id
join content_item as item
    on item.partner_id = part.partner_id and item.content_id = part.content_id
where
    version.is_current_version is not false
    and not exists (
        select from catalog_track_content as catalog
        where catalog.partner_id = version.partner_id and catalog.track_id = version.track_id
    )
group by
    version.partner_id,
    version.track_version_id,
    version.track_id,
    coalesce(item.alias_of, item.content_id);
