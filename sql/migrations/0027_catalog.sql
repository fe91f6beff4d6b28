-- The catalog: what providers say of their content items, also of those nobody has started.

alter table content_item add column extracted_parent_key bigint;
alter table content_item add column catalog jsonb;

comment on column content_item.catalog is
    'The columns of its row in the catalog, which take precedence; null: in no catalog.';

comment on column content_item.extracted_parent_key is
    'The parent that statements have; counts only while the catalog has none.';

create table track_version (
    published_live_at  timestamptz,
    archived_at        timestamptz,
    xp                 double precision,
    partner_id         integer not null,
    track_version_id   integer not null,
    track_id           integer not null,
    version_number     integer not null,
    is_current_version boolean,
    title              text,
    short_description  text,
    primary key (partner_id, track_version_id)
);

create unique index track_version_by_number
    on track_version (partner_id, track_id, version_number);

comment on table track_version is
    'Versions of tracks in the catalog. A track without versions is a version with its own id.';

comment on column track_version.is_current_version is
    'Null: the newest version that is not archived is.';

create table catalog_track_content (
    partner_id     integer not null,
    track_id       integer not null,
    version_number integer not null,
    content_id     integer not null,
    position       integer,
    primary key (partner_id, track_id, version_number, content_id)
);

comment on table catalog_track_content is
    'The content items of tracks in the catalog; version 0 is a track without versions.';

create view reported_track_version as
select
    partner_id,
    track_version_id,
    track_id,
    version_number,
    title,
    short_description,
    xp,
    published_live_at,
    archived_at,
    coalesce(
        is_current_version,
        track_version_id = first_value(track_version_id) over (
            partition by partner_id, track_id
            order by
                is_current_version desc nulls last, archived_at is not null, version_number desc
        )
    ) as is_current_version
from track_version
union all
select
    partner_id,
    content_id,
    content_id,
    null,
    null,
    null,
    null,
    null,
    null,
    null
from content_item
where
    type = 'track'
    and not exists (
        select from track_version
        where
            track_version.partner_id = content_item.partner_id
            and track_version.track_id = content_item.content_id
    );

comment on view reported_track_version is
    'The versions of all tracks; columns that a version lacks are those of its track.';

create view reported_track_content as
select
    version.partner_id,
    version.track_version_id,
    version.track_id,
    part.content_id,
    part.position
from reported_track_version as version
join catalog_track_content as part
    on
        part.partner_id = version.partner_id
        and part.track_id = version.track_id
        and part.version_number = coalesce(version.version_number, 0)
union all
select
    version.partner_id,
    version.track_version_id,
    version.track_id,
    part.content_id,
    part.position
from reported_track_version as version
join track_content as part
    on part.partner_id = version.partner_id and part.track_id = version.track_id
where
    version.is_current_version is not false
    and not exists (
        select from catalog_track_content as catalog
        where catalog.partner_id = part.partner_id and catalog.track_id = part.track_id
    );

comment on view reported_track_content is
    'The content items of versions of tracks: of the catalog, or else those worked on in the track.';
