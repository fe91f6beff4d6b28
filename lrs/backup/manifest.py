"""The manifest of a backup: what is in it, and with what it can be read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec

from lrs.backup.contents import Contents
from lrs.backup.programs import BackupError

FILE = "manifest.json"
DATABASE = "database"
SECRET_KEY = "secret.key.jwe"  # noqa: S105 - a file name
FORMAT = 1
_CHUNK = 1 << 20


class Reader(msgspec.Struct, frozen=True):
    """A database role that could read the reports of a partner; `schema` has its views."""

    partner: str
    schema: str
    role: str


class File(msgspec.Struct, frozen=True):
    """A file of the backup; `path` is relative to the directory, `bytes` its size."""

    path: str
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Times are in UTC. `dump_version` is the major version of pg_dump, `schema` that of lrs."""

    format: int = FORMAT
    created_at: datetime
    lrs: str
    schema: int
    postgresql: str
    dump_version: int
    contents: Contents
    readers: list[Reader]
    files: list[File]


def write(directory: Path, manifest: Manifest) -> None:
    """Write the manifest, as the last file: without it the backup is unfinished."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    unfinished = directory / f"{FILE}.new"
    unfinished.write_bytes(text + b"\n")
    unfinished.replace(directory / FILE)


def read(directory: Path) -> Manifest:
    """The manifest of a backup. Raises BackupError."""
    path = directory / FILE
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise BackupError(f"{directory} holds no complete backup: it has no {FILE}.") from None
    except (OSError, msgspec.DecodeError) as error:
        raise BackupError(f"{path} cannot be read: {error}.") from None
    if manifest.format != FORMAT:
        raise BackupError(
            f"{path} has the format {manifest.format}, and this version of lrs reads {FORMAT}: "
            "use a later version."
        )
    return manifest


def list_files(directory: Path, report: Callable[[int], None]) -> list[File]:
    """The files of a backup but for the manifest; `report` gets the bytes that were read."""
    return [
        File(str(path.relative_to(directory)), path.stat().st_size, _sha256(path, report))
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name not in (FILE, f"{FILE}.new")
    ]


def check_files(directory: Path, manifest: Manifest, report: Callable[[int], None]) -> None:
    """Compare the files with their SHA-256. Raises BackupError, which names all that differ."""
    wrong = []
    for file in manifest.files:
        path = directory / file.path
        if not path.is_file():
            wrong.append(f"{file.path} is missing")
        elif path.stat().st_size != file.bytes or _sha256(path, report) != file.sha256:
            wrong.append(f"{file.path} differs")
    if wrong:
        raise BackupError(f"The backup {directory} is damaged: {', '.join(wrong)}.")


def _sha256(path: Path, report: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            report(len(chunk))
    return digest.hexdigest()
