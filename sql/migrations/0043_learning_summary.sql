-- Summaries of a partner's learning whose computation takes long: the projector refreshes them.

create table learning_summary (
    computed_at timestamptz not null,
    -- How long the computation took.
    seconds double precision not null,
    -- Sequence of the last statement that the summary includes.
    position bigint not null,
    partner_id integer not null,
    grouping text not null,
    rows jsonb not null,
    primary key (partner_id, grouping)
);

comment on table learning_summary is
    'Summaries of learning whose computation takes long; the projector refreshes them.';
