-- Parents in the context of statements: the first one counts, unless a definition has one.

alter table content_item add column is_parent_defined boolean not null default false;

comment on column content_item.is_parent_defined is
    'Whether a definition in a statement has the parent; a parent in a context counts only without.';
