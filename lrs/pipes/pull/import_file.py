"""Imports: statements of a file, one JSON object a line, through the pipeline like those of a pull.

An import is a pipe that no engine runs: its cursor is the position in the file, so an import that
was interrupted continues. A line is a statement, or a row that contains one: an export of lrsql
(`payload`) or of Learning Locker (`statement`).
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, cast
from uuid import uuid4

import orjson

from lrs.errors import Conflict, InvalidImport
from lrs.pipes.options import NoCredentials, PullOptions, encode, encode_credentials
from lrs.pipes.pull.items import ItemStore, PageOutcomes, parse_item
from lrs.store import pipes as store
from lrs.store import statement_origins
from lrs.store.pipes import Pipe, Step
from lrs.store.postgres import Database

_BATCH = 500
_LEASE_SECONDS = 30.0
_MAX_LINE_BYTES = 16_777_216
_NAMED_BYTES = 1_048_576
_GZIP = b"\x1f\x8b"
# A statement in a row of an export; Learning Locker escapes the dots in names of members.
_ROWS = ("statement", "payload")
_ESCAPED_DOT = "&46;"


@dataclass(frozen=True, slots=True)
class ImportFile:
    """A file to import. `name` is the same for the same content, whatever the path is."""

    path: Path
    name: str
    size: int

    @classmethod
    def of(cls, path: Path) -> ImportFile:
        """Raises InvalidImport."""
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                digest = hashlib.sha256(b"%d " % size + file.read(_NAMED_BYTES)).hexdigest()
        except OSError as error:
            raise InvalidImport(f"Cannot read {path}: {error.strerror}.") from None
        return cls(path, f"import-{digest[:12]}", size)


@dataclass(frozen=True, slots=True)
class Progress:
    """`read_bytes` of the file as it is on disk, and the statements by outcome so far."""

    read_bytes: int
    pipe: Pipe


async def import_file(
    database: Database,
    item_store: ItemStore,
    partner_id: int,
    file: ImportFile,
    encrypt: Callable[[bytes], str],
    *,
    keeps_authority: bool,
    report: Callable[[Progress], None],
) -> Pipe:
    """Imports what is left of the file. Returns its pipe; its state is `done`.

    Raises InvalidImport, Conflict while another process imports the file, and the errors of
    `ItemStore.store`: then the next call continues.
    """
    pipe = await _claim(database, partner_id, file, encrypt, keeps_authority)
    try:
        with _open(file.path) as (raw, stream):
            pipe = await _import_lines(
                database, item_store, pipe, raw, stream, keeps_authority, report
            )
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidImport(f"Cannot read {file.path}: {error}.") from None
    finally:
        await store.release(database, pipe)
    return pipe


async def _claim(
    database: Database,
    partner_id: int,
    file: ImportFile,
    encrypt: Callable[[bytes], str],
    keeps_authority: bool,
) -> Pipe:
    # Refused items that are sent again get the authority that the option chose.
    chosen = PullOptions(authority="source" if keeps_authority else "pipe")
    existing = {item.name for item in await store.list_pipes(database, partner_id)}
    if file.name not in existing:
        await store.add(
            database,
            partner_id,
            file.name,
            direction="pull",
            url=file.path.resolve().as_uri(),
            credentials_jwe=encrypt(encode_credentials(NoCredentials())),
            version="auto",
            filter={},
            options=encode(chosen),
        )
    pipe = await store.get(database, partner_id, file.name)
    if pipe.options != encode(chosen):
        pipe = replace(pipe, options=encode(chosen))
        await store.set_config(database, pipe)
    if pipe.state == "done":  # again, such as after a change of limits: what is stored is skipped
        await statement_origins.forget_refused(database, partner_id, file.name)
        await store.set_cursor(database, partner_id, file.name, {})
    if pipe.state != "new":
        await store.set_state(database, partner_id, file.name, "new")
    claimed = await store.claim(
        database, ["pull"], uuid4(), _LEASE_SECONDS, pipe=(partner_id, file.name)
    )
    if claimed is None:
        raise Conflict(
            "Another process imports this file (one that was killed: for up to 30 seconds), or the "
            "partner is disabled."
        )
    return claimed


async def _import_lines(
    database: Database,
    item_store: ItemStore,
    pipe: Pipe,
    raw: IO[bytes],
    stream: IO[bytes],
    keeps_authority: bool,
    report: Callable[[Progress], None],
) -> Pipe:
    stream.seek(int(pipe.cursor.get("offset", 0)))
    while True:
        batch = [parse_item(_statement(line)) for line in _lines(stream)]
        stored = PageOutcomes()
        new = await item_store.new(pipe, batch, ())
        await item_store.store(pipe, "", new, {}, stored, keeps_authority=keeps_authority)
        is_end = len(batch) < _BATCH
        step = Step(
            {"offset": stream.tell()},
            "done" if is_end else "new",
            0.0,
            counts=stored.counts,
        )
        after = await store.commit_step(database, pipe, step)
        if after is None or not await store.renew(database, pipe, _LEASE_SECONDS):
            raise Conflict("Another process imports this file, or the import was removed.")
        pipe = after
        report(Progress(raw.tell(), pipe))
        if is_end:
            return pipe


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """The next lines that are not blank, at most a batch; a longer one is cut, and refused then."""
    count = 0
    while count < _BATCH:
        line = stream.readline(_MAX_LINE_BYTES)
        if not line:
            return
        if not line.endswith(b"\n"):
            while (rest := stream.readline(_MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
        text = line.strip().removeprefix(b"\xef\xbb\xbf")
        if text:
            count += 1
            yield text


def _statement(line: bytes) -> bytes:
    """The text of the statement in a line: the line itself, unless it is a row of an export."""
    if b'"statement"' not in line and b'"payload"' not in line:
        return line
    try:
        row = orjson.loads(line)
    except ValueError:
        return line
    if not isinstance(row, dict) or "verb" in row:
        return line
    for name in _ROWS:
        value = row.get(name)
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, dict):
            return orjson.dumps(_unescaped(value) if _ESCAPED_DOT.encode() in line else value)
    return line


def _unescaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {name.replace(_ESCAPED_DOT, "."): _unescaped(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_unescaped(item) for item in value]
    return value


@contextmanager
def _open(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The file on disk, and its content, decompressed if it is gzip."""
    with path.open("rb") as raw:
        is_compressed = raw.read(2) == _GZIP
        raw.seek(0)
        yield raw, cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if is_compressed else raw
