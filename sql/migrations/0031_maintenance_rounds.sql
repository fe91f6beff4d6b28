-- Rounds of background tasks, of which one worker of all servers runs each.
create table maintenance_round (
    claimed_at timestamptz not null,
    partner_id integer not null,
    task text not null,
    primary key (partner_id, task)
);
comment on table maintenance_round is
    'When the last round of a background task was claimed. Partner 0: tasks of all partners.';
