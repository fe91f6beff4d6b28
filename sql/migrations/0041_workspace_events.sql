-- Statements of a kind that the tables of workspaces have no column for.

alter table content_day add column without_workspace_column integer not null default 0;

alter table content_count add column without_workspace_column bigint not null default 0;

comment on column content_day.without_workspace_column is
    'The statements of the day whose kind the tables of workspaces have no column for.';

comment on column content_count.without_workspace_column is
    'Of days on which the learner was a member.';
