-- The version of the rules by which a partner's statements are projected.

alter table projection add column rules_version integer;

comment on column projection.rules_version is
    'RULES_VERSION in partner_lock.py at the last rebuild, or at the start. Null: of an earlier one.';
