-- Counters of LTI tools, and report keys beside nonces.

create table tool_counter (
    partner_id integer not null,
    tool       text not null,
    reused_ids bigint not null,
    primary key (partner_id, tool)
) with (fillfactor = 70);

comment on table tool_counter is
    'Counters of tools that have any.';

comment on column tool_counter.reused_ids is
    'Reports that were stored under another id because theirs was taken.';

comment on table callback_nonce is
    'Hashes of the nonces of signed requests, to refuse replays, and of reports, to recognize retries.';
