-- Statements that a source has and that were refused are not read again; cursors that are reset.

alter table pipe add column cursor_version integer not null default 1;

comment on column pipe.cursor_version is
    'Counts resets of the cursor by operators: a step that runs meanwhile does not move it.';

alter table statement_origin add column refused boolean not null default false;

comment on column statement_origin.refused is
    'The statement was refused as it came from the source.';
