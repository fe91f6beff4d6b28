"""Privileges in the embedded database: what PUBLIC, and so every reporting role, loses.

The script runs as superuser at each start, and can be repeated.
"""

from __future__ import annotations

from lrs.resources import query

# Settings of the database that only a superuser can lift. Nothing of a reporting role's session
# goes to the log, not even the plans that `debug_print_plan` prints. The server's role and
# autovacuum, which runs as postgres, keep the values of the configuration file, which a session of
# postgres sees after the reset.
_LIMITS = """
alter role postgres reset log_min_messages;
alter role postgres reset log_min_error_statement;
alter role postgres reset temp_file_limit;
\\connect -
alter role lrs set log_min_messages from current;
alter role lrs set log_min_error_statement from current;
alter role lrs set temp_file_limit from current;
alter role postgres set log_min_messages from current;
alter role postgres set log_min_error_statement from current;
alter role postgres set temp_file_limit from current;
alter database lrs set log_min_messages = panic;
alter database lrs set log_min_error_statement = panic;
alter database lrs set temp_file_limit = '1GB';
"""

_PRIVILEGES = f"""
grant pg_read_all_stats, pg_signal_backend to lrs;
revoke temporary on database lrs from public;
\\connect lrs
revoke usage on language plpgsql from public;
grant usage on language plpgsql to lrs;
select format('revoke execute on function %s from public', function),
       format('grant execute on function %s to lrs', function)
  from ({query("list_excess_functions")}) as excess \\gexec
"""  # noqa: S608

PRIVILEGES = _LIMITS + _PRIVILEGES
