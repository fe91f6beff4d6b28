-- The tracks. Statements tell one version of each, so a version has its track's own id.
select
    content_id as track_version_id,
    content_id as track_id,
    told.version_number,
    title,
    technology,
    told.category,
    told.short_description,
    told.published_live_at,
    told.archived_at,
    told.is_current_version,
    told.is_custom,
    parts.nb_courses,
    parts.nb_projects,
    told.xp
from content
cross join lateral jsonb_to_record(attributes) as told (
    version_number integer,
    category text,
    short_description text,
    published_live_at timestamptz,
    archived_at timestamptz,
    is_current_version boolean,
    is_custom boolean,
    xp double precision
)
left join (
    select
        track_content.track_id,
        (count(*) filter (where part.type = 'course'))::integer as nb_courses,
        (count(*) filter (where part.type = 'project'))::integer as nb_projects
    from track_content
    join content as part
        on
            part.partner_id = track_content.partner_id
            and part.content_id = track_content.content_id
    where track_content.partner_id = $1
    group by track_content.track_id
) as parts on parts.track_id = content.content_id
where partner_id = $1 and type = 'track'
