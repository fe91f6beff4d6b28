-- Up to which time of `stored` a run has moved the statements of its pipe: the lag at its end.
alter table pipe_run add column position_at timestamptz;
