"""`lrs backup` and `lrs restore`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import click

from lrs.admin import backups
from lrs.admin.operators import command_operator
from lrs.backup import create, manifest, point_in_time, secret_key
from lrs.backup import restore as restoration
from lrs.backup.manifest import Manifest
from lrs.backup.programs import BackupError
from lrs.bootstrap.database import empty_database, open_verified_database, require_database
from lrs.bootstrap.secret_key import SECRET_KEY_FILE, with_secret_key
from lrs.cli.check import check_server
from lrs.cli.database import run_with_database, run_with_dsn
from lrs.cli.options import DATABASE, load_settings, setting_options
from lrs.cli.output import echo
from lrs.errors import Unavailable
from lrs.plurals import quantity
from lrs.settings import Settings
from lrs.store.server_properties import Backup

_STEPS = 1000


class _Group(click.Group):
    """Runs `create` if the first argument is no command."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        return super().resolve_command(ctx, args if args[0] in self.commands else ["create", *args])


class _Time(click.ParamType[datetime]):
    """A time with an offset (RFC 3339)."""

    name = "TIME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        try:
            time = datetime.fromisoformat(str(value))
        except ValueError:
            time = datetime.min
        if time.tzinfo is None:
            self.fail(f"expected a time such as 2026-11-30T17:05:00Z, got {value!r}", param, ctx)
        return time


_directory = click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
_passphrase = click.option(
    "--passphrase-file",
    type=click.File(encoding="utf-8"),
    help="File with the passphrase of the secret key; - for standard input. "
    "Or set the variable PASSPHRASE.",
)


@click.group(cls=_Group)
def backup() -> None:
    """Back up the database and the secret key: `lrs backup DIRECTORY`; verify a backup."""


@backup.command("create")
@_directory
@_passphrase
@click.option("--no-secret-key", is_flag=True, help="Leave the secret key out; keep it elsewhere.")
@setting_options(*DATABASE)
def backup_create(
    directory: Path, passphrase_file: TextIO | None, no_secret_key: bool, **options: Any
) -> None:
    """Back up a running or a stopped server into DIRECTORY.

    The directory is new or empty. The secret key is encrypted with a passphrase of at least 12
    characters.
    """
    settings = load_settings(options)
    wrapped = None if no_secret_key else _wrapped_key(settings, passphrase_file)
    with create.new_directory(directory), _progress_bar("backing up") as report:

        async def run(dsn: str) -> Manifest:
            written = await create.create(dsn, directory, wrapped_key=wrapped, report=report)
            await _record_backup(dsn, _backup(directory, written))
            return written

        written = run_with_dsn(settings, run)
    _describe(directory, written)


@backup.command("base")
@_passphrase
@click.option("--no-secret-key", is_flag=True, help="Leave the secret key out; keep it elsewhere.")
@click.option(
    "--keep", type=click.IntRange(1), default=2, show_default=True, help="Base backups to keep."
)
@setting_options("data_directory")
def backup_base(
    passphrase_file: TextIO | None, no_secret_key: bool, keep: int, **options: Any
) -> None:
    """Copy the embedded database for point-in-time restore.

    The copy is in LRS_WAL_ARCHIVE_DIRECTORY. Older base backups than the last ones, and the log
    before them, are removed.
    """
    settings = load_settings(options)
    wrapped = None if no_secret_key else _wrapped_key(settings, passphrase_file)
    base, removed = point_in_time.create_base(settings, wrapped, keep=keep)
    backup = Backup("base", datetime.now(UTC), str(base.absolute()))
    run_with_dsn(settings, lambda dsn: _record_backup(dsn, backup))
    echo(f"base backup {base}")
    for old in removed:
        echo(f"removed {old}")


@backup.command("verify")
@_directory
@_passphrase
def backup_verify(directory: Path, passphrase_file: TextIO | None) -> None:
    """Restore the backup in DIRECTORY temporarily and compare.

    The contents of a temporary database are compared with the manifest. With a passphrase, the
    secret key is opened too.
    """
    passphrase = _read_passphrase(passphrase_file)
    with _progress_bar("verifying") as report:
        written = asyncio.run(restoration.verify(directory, report))
    if passphrase is not None:
        _unwrapped_key(directory, passphrase)
    _describe(directory, written)
    echo("verified: the restored database equals the backup")


@click.command()
@_directory
@_passphrase
@click.option(
    "--until",
    type=_Time(),
    help="Restore the archive in DIRECTORY as of this time, such as 2026-11-30T17:05:00Z.",
)
@setting_options(*DATABASE)
def restore(
    directory: Path, passphrase_file: TextIO | None, until: datetime | None, **options: Any
) -> None:
    """Restore the backup in DIRECTORY into an empty data directory or database.

    DIRECTORY may also be the LRS_WAL_ARCHIVE_DIRECTORY of an embedded database. Then the command
    checks the server as `lrs check` does.
    """
    settings = load_settings(options)
    if point_in_time.is_archive(directory):
        _restore_archive(directory, settings, passphrase_file, until)
    elif until is not None:
        raise click.UsageError("--until needs the archive of an embedded database.")
    else:
        _restore_backup(directory, settings, passphrase_file)
    run_with_database(
        settings,
        lambda database: backups.record_restore(
            database, command_operator(), str(directory.absolute()), until
        ),
    )
    check_server(settings)


def _backup(directory: Path, written: Manifest) -> Backup:
    return Backup(
        "database",
        written.created_at,
        str(directory.absolute()),
        sum(file.bytes for file in written.files),
        sum(written.contents.statements.values()),
    )


async def _record_backup(dsn: str, backup: Backup) -> None:
    """Records a backup in the database, unless its schema is that of another version."""
    with suppress(Unavailable):
        async with open_verified_database(dsn) as database:
            await backups.record_backup(database, command_operator(), backup)


def _restore_archive(
    archive: Path, settings: Settings, passphrase_file: TextIO | None, until: datetime | None
) -> None:
    base = point_in_time.find_base(archive, until)
    key = _restored_key(base, settings, passphrase_file)
    with point_in_time.recovered(archive, base, settings, until):
        if key is not None:
            _write_key(Path(settings.data_directory) / SECRET_KEY_FILE, key)
    echo(f"restored {base} and the log until {until.isoformat() if until else 'its end'}")


def _restore_backup(directory: Path, settings: Settings, passphrase_file: TextIO | None) -> None:
    key = _restored_key(directory, settings, passphrase_file)
    with _progress_bar("restoring") as report:
        written = restoration.check_files(directory, report)
        with empty_database(settings) as dsn:
            asyncio.run(restoration.restore(directory, written, dsn, report))
            if key is not None:
                _write_key(Path(settings.data_directory) / SECRET_KEY_FILE, key)
        report(1.0)
    _describe(directory, written)
    for reader in written.readers:
        echo(
            f"grant again: lrs reports grant {reader.partner} "
            f"--role {reader.role} --schema {reader.schema}"
        )


def _describe(directory: Path, written: Manifest) -> None:
    echo(f"backup {directory} of {written.created_at:%Y-%m-%d %H:%M:%S} UTC")
    size = sum(file.bytes for file in written.files)
    echo(
        f"{quantity(size, 'byte')}, lrs {written.lrs}, schema {written.schema}, "
        f"PostgreSQL {written.postgresql}"
    )
    for partner, count in written.contents.statements.items():
        echo(f"partner {partner}", quantity(count, "statement"))


@contextmanager
def _progress_bar(label: str) -> Iterator[Callable[[float], None]]:
    """A progress bar on standard error; takes fractions that never fall."""
    bar: Any  # click's annotation does not name its type
    with click.progressbar(length=_STEPS, label=label, file=sys.stderr, show_eta=False) as bar:

        def report(fraction: float) -> None:
            bar.update(max(0, round(fraction * _STEPS) - bar.pos))

        yield report


def _read_passphrase(file: TextIO | None) -> str | None:
    if file is None:
        return os.environ.get("PASSPHRASE") or None
    if file.isatty():
        return str(click.prompt("Passphrase", hide_input=True))
    return file.read().rstrip("\r\n")


def _require_passphrase(file: TextIO | None, *, confirm: bool) -> str:
    passphrase = _read_passphrase(file)
    if passphrase is not None:
        return passphrase
    if not sys.stdin.isatty():
        raise click.UsageError(
            "The secret key needs a passphrase: set --passphrase-file or PASSPHRASE."
        )
    return str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm))


def _wrapped_key(settings: Settings, passphrase_file: TextIO | None) -> str:
    """The encrypted secret key of the server. Raises SettingsError and BackupError."""
    require_database(settings)
    key = with_secret_key(settings, create=False).secret_key
    return secret_key.wrap(key, _require_passphrase(passphrase_file, confirm=True))


def _unwrapped_key(directory: Path, passphrase: str) -> str:
    path = directory / manifest.SECRET_KEY
    if not path.exists():
        raise BackupError(f"The backup {directory} has no secret key: it was left out.")
    return secret_key.unwrap(path.read_text(encoding="ascii"), passphrase)


def _restored_key(
    directory: Path, settings: Settings, passphrase_file: TextIO | None
) -> str | None:
    """The secret key to write into the data directory; None if the settings have it.

    Without a key in the backup, the file must be in the data directory or LRS_SECRET_KEY be set.
    """
    if not (directory / manifest.SECRET_KEY).exists():
        if not settings.secret_key:
            raise BackupError(
                f"The backup {directory} has no secret key: set LRS_SECRET_KEY to the server's."
            )
        return None
    if settings.secret_key:
        return None
    return _unwrapped_key(directory, _require_passphrase(passphrase_file, confirm=False))


def _write_key(path: Path, key: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key + "\n")
        file.flush()
        os.fsync(file.fileno())
