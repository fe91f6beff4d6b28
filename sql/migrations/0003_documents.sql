-- State, agent profiles and activity profiles, byte for byte. An activity or agent may be kilobytes
-- long and an index entry may not, so both keys are hashes (see lrs/xapi/documents.py): `scope_key` of
-- kind, activity and agent, `document_key` of registration and id. The plain columns are for people.
create table document (
    updated      timestamptz not null,
    partner_id   integer not null,
    registration uuid,
    scope_key    bytea not null,
    document_key bytea not null,
    kind         text not null,
    activity     text,
    agent        text,
    document_id  text not null,
    content_type text not null,
    etag         text not null,
    content      bytea not null,
    primary key (partner_id, scope_key, document_key),
    constraint document_kind_known check (kind in ('state', 'agent profile', 'activity profile'))
);
