-- Whether a writer that was open at $2 still is (leaving out our own connection).
select exists (
    select from pg_stat_activity
    where datname = current_database()
        and application_name = $1
        and xact_start <= $2
        and pid <> pg_backend_pid()
)
