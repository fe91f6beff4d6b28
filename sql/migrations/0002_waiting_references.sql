-- Pending StatementRefs: the statement that each waits for, and the backlog of those to resolve.
alter table statement_reference add column waits_for uuid;
comment on column statement_reference.waits_for is
    'The first missing statement of the chain of targets; null: the target.';

create table reference_backlog (
    retry_at timestamptz not null default now(),
    partner_id integer not null,
    attempts integer not null default 0,
    statement_id uuid not null,
    primary key (partner_id, statement_id)
);
create index reference_backlog_by_retry on reference_backlog (partner_id, retry_at);
comment on table reference_backlog is
    'Stored statements that pending references still wait for; resolved in the background.';
comment on column reference_backlog.retry_at is
    'The time of the next attempt; infinity: given up.';
