"""The database cluster: creation, checks, configuration, and the role and database `lrs`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lrs.embedded_postgres.account import Account, current_account, open_no_follow, user_name
from lrs.embedded_postgres.errors import USE_OWN_POSTGRES, EmbeddedPostgresError, program_failed
from lrs.embedded_postgres.privileges import PRIVILEGES
from lrs.embedded_postgres.process import stop_processes
from lrs.embedded_postgres.programs import MAJOR_VERSION
from lrs.resources import directory

INITDB_OPTIONS = (
    "--auth=peer",
    "--username=postgres",
    "--encoding=UTF8",
    "--no-locale",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
)
PG_HBA = """\
local all         postgres,lrs peer map=lrs
local replication postgres     peer map=lrs
local lrs         all          scram-sha-256
host  all         postgres,lrs all reject
host  lrs         all          all scram-sha-256
"""
# The least that PostgreSQL accepts; more than 4 GB makes a checkpoint and crash recovery long.
MIN_WAL_MEGABYTES = 32
MAX_WAL_MEGABYTES = 4096
PSQL_OPTIONS = ("-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "postgres")
CREATE_DATABASE = """\
select 'create role lrs login'
 where not exists (select from pg_roles where rolname = 'lrs') \\gexec
alter role lrs createdb createrole;
grant pg_use_reserved_connections to lrs;
select 'create database lrs owner lrs'
 where not exists (select from pg_database where datname = 'lrs') \\gexec
"""


def create_cluster(programs: Path, cluster: Path, account: Account) -> None:
    """Run initdb in a directory beside the cluster, then rename it: it is complete or absent."""
    unfinished = cluster.with_name("postgres.new")
    stop_processes(unfinished)
    if unfinished.exists():
        shutil.rmtree(unfinished)
    unfinished.mkdir(mode=0o700)
    account.own(unfinished)
    try:
        initdb = account.run(programs / "initdb", "-D", unfinished, *INITDB_OPTIONS)
        if initdb.returncode:
            advice = f"correct this, {USE_OWN_POSTGRES}"
            raise program_failed("create", initdb.stdout, cluster.parent, advice)
        unfinished.rename(cluster)
        _fsync(cluster.parent)
    finally:
        stop_processes(unfinished)
        shutil.rmtree(unfinished, ignore_errors=True)


def _fsync(directory_path: Path) -> None:
    descriptor = os.open(directory_path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_cluster(cluster: Path, account: Account) -> None:
    """Refuse a damaged cluster or another version; give the account a cluster that root copied."""
    try:
        version = (cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise EmbeddedPostgresError(
            f"The directory {cluster} is damaged (it has no PG_VERSION file); "
            "restore it from a backup, or move it away to start with an empty database."
        ) from None
    if version != MAJOR_VERSION:
        raise EmbeddedPostgresError(
            f"The database in {cluster} was created by PostgreSQL {version or '(no version)'}, "
            f"and this is PostgreSQL {MAJOR_VERSION}; run pg_upgrade, or set LRS_DATA_DIRECTORY."
        )
    if cluster.stat().st_uid == 0:
        account.own(cluster, *cluster.rglob("*"))


def write_configuration(
    data: Path, account: Account, host: str, port: str, archiving: str = ""
) -> None:
    """Write the configuration files beside the cluster, new at each start."""
    shipped = (directory("sql") / "embedded.conf").read_text(encoding="utf-8")
    listen = f"listen_addresses = '{host}'\nport = {port}\n"
    max_wal = max_wal_megabytes(data)
    wal = f"max_wal_size = {max_wal}MB\nmin_wal_size = {min(max_wal, 80)}MB\n"
    users = dict.fromkeys((user_name(os.geteuid()), "root"))
    files = {
        "postgres.conf": "include 'postgres/postgresql.conf'\n"
        + shipped
        + wal
        + archiving
        + listen,
        "postgres.hba.conf": PG_HBA,
        "postgres.ident.conf": "".join(
            f'lrs "{user}" {role}\n' for user in users for role in ("lrs", "postgres")
        ),
    }
    for name, text in files.items():
        # A new file: the old one may belong to another user or be a symbolic link.
        (data / name).unlink(missing_ok=True)
        descriptor = open_no_follow(data / name, os.O_WRONLY | os.O_EXCL)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            account.own(descriptor)


def max_wal_megabytes(data: Path) -> int:
    """max_wal_size for the volume: a fifth of the space that is free, or used by the log itself.

    PostgreSQL ends when it cannot write the next segment of its log.
    """
    segments = (data / "postgres" / "pg_wal").glob("*")
    used = sum(segment.stat().st_size for segment in segments if segment.is_file())
    available = (shutil.disk_usage(data).free + used) // 1_048_576
    return max(MIN_WAL_MEGABYTES, min(available // 5, MAX_WAL_MEGABYTES))


def create_database(programs: Path, sockets: Path, port: str, data: Path) -> None:
    options = (*PSQL_OPTIONS, "-h", sockets, "-p", port)
    psql = current_account().run(programs / "psql", *options, stdin=CREATE_DATABASE + PRIVILEGES)
    if psql.returncode:
        raise program_failed("query", psql.stdout, data)
