-- Deletion of learners in reports, and spellings of mail addresses that differ in letter case only.

alter table person add column deleted_at timestamptz;

comment on column person.deleted_at is
    'Reports show nothing of a deleted person; the identifiers stay, also for new statements.';

alter table identifier add column folded_key bigint;

comment on column identifier.folded_key is
    'The agent key of the address in lower case, whose person has this spelling too; null: none.';

alter table projection add column folds_mail_case boolean;

comment on column projection.folds_mail_case is
    'Whether learners are grouped without regard to the case of addresses; null: as before 0.2.';
