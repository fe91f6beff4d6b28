-- Pipes: statements pulled from other LRSs, and forwarded to them.

create table pipe (
    lease_until     timestamptz,
    next_try_at     timestamptz not null default now(),
    last_success_at timestamptz,
    position_at     timestamptz,
    created_at      timestamptz not null default now(),
    lease           uuid,
    partner_id      integer not null references partner,
    config_version  integer not null default 1,
    failures        integer not null default 0,
    name            text not null,
    direction       text not null check (direction in ('pull', 'forward')),
    url             text not null,
    credentials_jwe text not null,
    version         text not null default 'auto',
    state           text not null default 'new'
        check (state in ('new', 'running', 'waiting', 'failing', 'paused', 'done')),
    last_error      text,
    filter          jsonb not null default '{}',
    options         jsonb not null default '{}',
    cursor          jsonb not null default '{}',
    counts          jsonb not null default '{}',
    requests        jsonb not null default '{}',
    primary key (partner_id, name)
);

comment on table pipe is
    'Statements that are pulled from another LRS, or forwarded to one.';

comment on column pipe.lease is
    'The process that runs the pipe until lease_until; only it may move the cursor.';

comment on column pipe.position_at is
    'Up to which time of `stored` the pipe has moved its statements.';

comment on column pipe.config_version is
    'Counts changes by operators: a process that runs the pipe reads it again.';

create table pipe_run (
    started_at timestamptz not null,
    ended_at   timestamptz not null,
    run_id     uuid not null,
    partner_id integer not null,
    pipe       text not null,
    server     text not null,
    error      text,
    counts     jsonb not null,
    requests   jsonb not null,
    primary key (partner_id, pipe, run_id),
    foreign key (partner_id, pipe) references pipe (partner_id, name) on delete cascade
);

create index pipe_run_by_start on pipe_run (partner_id, pipe, started_at);

comment on table pipe_run is
    'The runs of pipes in the last 30 days that moved statements or failed.';

create table dead_letter (
    created_at   timestamptz not null default now(),
    statement_id uuid not null,
    partner_id   integer not null,
    status       integer,
    attempts     integer not null default 1,
    retry        boolean not null default false,
    pipe         text not null,
    reason       text not null,
    url          text not null,
    request      text,
    response     text,
    primary key (partner_id, pipe, statement_id),
    foreign key (partner_id, pipe) references pipe (partner_id, name) on delete cascade
);

comment on table dead_letter is
    'Statements that the target of a pipe refuses; `retry`: to be sent again.';

comment on column dead_letter.request is
    'The text that was sent, if it is not that of the stored statement.';

comment on column dead_letter.response is
    'The first 4 KiB of the response.';

create table statement_origin (
    stored       timestamptz,
    statement_id uuid not null,
    partner_id   integer not null,
    pipe         text not null,
    origin       text not null,
    authority    jsonb,
    primary key (partner_id, statement_id, pipe)
);

comment on table statement_origin is
    'Statements that the source of a pipe has, with its `stored` and authority.';

comment on column statement_origin.origin is
    'Scheme, host and port of the source.';
