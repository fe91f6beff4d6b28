-- The settings by which a partner's statements are projected.

alter table projection add column applied_settings jsonb;

comment on column projection.applied_settings is
    'The settings at the last rebuild, or at the start, that only a rebuild applies; those that differ from the defaults. Null: none.';
