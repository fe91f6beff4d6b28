"""The configured database: the embedded one is started, a command verifies the schema."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from lrs.errors import OperatorError
from lrs.settings import Settings
from lrs.store import migrations
from lrs.store.postgres import Database, open_admin_database

_UNFINISHED_RESTORE = "restore.unfinished"


@contextmanager
def database_url(
    settings: Settings,
    *,
    exclusive: bool = False,
    create: bool = True,
    **supervision: Callable[[], Any],
) -> Iterator[str]:
    """The DSN of the configured database; the embedded one is started unless it runs already.

    With `exclusive`, an embedded one must not run already; without `create`, it must exist. The
    process that starts it supervises it: `supervision` are members of
    `embedded_postgres.Supervision`. Raises OperatorError.
    """
    if settings.database_url:
        yield settings.database_url
        return
    from lrs import embedded_postgres  # optional: not installed with an external database

    directory = Path(settings.data_directory)
    if (directory / _UNFINISHED_RESTORE).exists():
        raise OperatorError(
            f"The data directory {directory} holds an unfinished restore: run `lrs restore` again."
        )
    if not create:
        require_database(settings)
    running_dsn = None if exclusive else embedded_postgres.find_dsn(directory)
    if running_dsn:
        yield running_dsn
    else:
        options = embedded_postgres.Supervision(**supervision)  # type: ignore[arg-type]
        archive = settings.wal_archive_directory
        is_command = not supervision
        with (
            embedded_postgres.stopped_with_this_process(directory) if is_command else nullcontext(),
            embedded_postgres.running(
                directory, settings.reports_address, options, Path(archive) if archive else None
            ) as dsn,
        ):
            yield dsn


def require_database(settings: Settings) -> None:
    """Raises OperatorError if no database is configured and there is no embedded one."""
    directory = Path(settings.data_directory)
    if not settings.database_url and not (directory / "postgres").exists():
        raise OperatorError(
            f"There is no database in {directory.expanduser().absolute()}: run the command in the "
            "directory of the server, set LRS_DATA_DIRECTORY or LRS_DATABASE_URL, or create one "
            "with `lrs serve`."
        )


@contextmanager
def empty_database(
    settings: Settings, prepare: Callable[[Path], None] = lambda _: None
) -> Iterator[str]:
    """The DSN of the configured database, to restore into; a new one in an empty data directory.

    `prepare` may put a cluster into the data directory before PostgreSQL starts.

    A data directory in which a restore was interrupted counts as empty, and no server starts on it.
    If the block fails, the data directory is empty again. Raises OperatorError.
    """
    if settings.database_url:
        yield settings.database_url
        return
    from lrs import embedded_postgres  # optional: not installed with an external database

    directory = Path(settings.data_directory)
    marker = directory / _UNFINISHED_RESTORE
    if directory.exists() and any(directory.iterdir()) and not marker.exists():
        raise OperatorError(
            f"The data directory {directory} is not empty: restore into a new one, or move it away."
        )
    _remove_contents(directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    marker.touch(mode=0o600)
    try:
        prepare(directory)
        with embedded_postgres.running(directory) as dsn:
            yield dsn
        marker.unlink()
    except BaseException:
        _remove_contents(directory)
        raise


def _remove_contents(directory: Path) -> None:
    for path in directory.iterdir() if directory.exists() else ():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@asynccontextmanager
async def open_verified_database(dsn: str) -> AsyncIterator[Database]:
    """Open a database for a command and verify its schema. Raises Unavailable."""
    async with open_admin_database(dsn) as database:
        await migrations.verify(database.readers)
        yield database
