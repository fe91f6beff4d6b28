-- Operators with their sessions and links, audit entries, and properties of the server.

create table operator (
    email         text not null,
    role          text not null,
    partner_ids   integer[],
    password_hash text,
    created_at    timestamptz not null default now(),
    disabled_at   timestamptz,
    last_login_at timestamptz,
    primary key (email),
    constraint operator_role_is_viewer_operator_or_owner
        check (role in ('viewer', 'operator', 'owner'))
);

comment on table operator is 'Persons who run the server. A credential of a partner is never an operator.';

comment on column operator.partner_ids is 'The partners that the operator sees; null: all.';

comment on column operator.password_hash is 'Argon2id; null: no password is set.';

create table operator_session (
    token_hash   bytea not null,
    email        text not null,
    kind         text not null,
    label        text not null default '',
    created_at   timestamptz not null default now(),
    expires_at   timestamptz not null,
    last_used_at timestamptz not null default now(),
    primary key (token_hash),
    foreign key (email) references operator (email),
    constraint operator_session_kind_is_link_session_or_token
        check (kind in ('link', 'session', 'token'))
);

create index operator_session_by_email on operator_session (email, kind);

comment on table operator_session is
    'One-time links, sessions of browsers and tokens of scripts. Revocation deletes the row.';

comment on column operator_session.token_hash is 'SHA-256 of 256 random bits.';

-- No foreign keys: an entry outlives its operator and its partner.
create table audit_entry (
    at         timestamptz not null default clock_timestamp(),
    partner_id integer not null,
    entry_id   uuid not null default gen_random_uuid(),
    operator   text not null,
    via        text not null,
    action     text not null,
    object     text not null,
    before     jsonb,
    after      jsonb,
    request_id text,
    primary key (partner_id, at, entry_id),
    constraint audit_entry_via_is_console_api_or_cli check (via in ('console', 'api', 'cli'))
);

create index audit_entry_by_time on audit_entry (at, entry_id, partner_id);

comment on table audit_entry is
    'Changes by operators, and what they have seen of learners. Append-only: update and delete are revoked.';

comment on column audit_entry.partner_id is '0: an entry of no partner.';

comment on column audit_entry.before is 'The changed members before the change; null: the object did not exist.';

revoke update, delete, truncate on audit_entry from current_user;

create table server_property (
    name       text not null,
    value      text not null,
    updated_at timestamptz not null default now(),
    primary key (name)
);

comment on table server_property is 'What a server records for commands, such as its base URL.';
