"""`lrs export`: a partner's tables and statements as files, with a manifest for the next run.

Files stand beside the manifest once all of them are whole; it is put there last.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, get_args

import click

from lrs import bootstrap
from lrs.cli.options import DATABASE, configured, flags
from lrs.errors import Conflict, InvalidParameter
from lrs.reports import export_stream
from lrs.reports.compression import SUFFIXES, Compression
from lrs.reports.encoders import Format
from lrs.reports.export_stream import ExportStream
from lrs.reports.exports import Snapshot
from lrs.reports.tables import TABLES, Table
from lrs.store import registry
from lrs.xapi.timestamps import parse_timestamp

MANIFEST = "manifest.json"

Manifest = dict[str, Any]


@click.command()
@click.argument("partner_name", metavar="PARTNER")
@click.argument("out", metavar="OUT_DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--table",
    "names",
    multiple=True,
    type=click.Choice(list(TABLES)),
    help="Only this table; can be repeated.  [default: all, and the statements]",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(get_args(Format)),
    default="parquet",
    show_default=True,
    help="The form of the files.",
)
@click.option("--compress", type=click.Choice(get_args(Compression)), help="Compress the files.")
@click.option(
    "--since",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The manifest of an earlier export: write only what is news since.",
)
@flags(*DATABASE)
def export(
    partner_name: str,
    out: Path,
    names: Sequence[str],
    format_: Format,
    compress: Compression | None,
    since: Path | None,
    **given: Any,
) -> None:
    """Write PARTNER's tables and statements into OUT_DIR, as they stand at one moment."""
    earlier = _read(since, partner_name) if since else {}
    if since and since.resolve().parent == out.resolve():
        raise InvalidParameter(f"{out} holds the export that {since} is of: choose another folder.")
    tables = [TABLES[name] for name in names or TABLES]

    async def run(dsn: str) -> Manifest:
        async with bootstrap.exports(dsn) as (database, known):
            partner = await registry.get_partner(database, partner_name)
            async with known.snapshot(partner.partner_id) as snapshot:
                writing = _Writing(snapshot, folder, format_, compress, earlier)
                return await writing.all(partner_name, tables)

    with bootstrap.database_url(configured(given)) as dsn, _folder(out) as folder:
        manifest = asyncio.run(run(dsn))
    rows = sum(each["rows"] for each in manifest["tables"].values())
    click.echo(f"{len(manifest['tables'])} tables, {rows} rows: {out / MANIFEST}")


def _read(path: Path, partner_name: str) -> dict[str, datetime]:
    """The cursor of each table in an earlier manifest. Raises InvalidParameter, Conflict."""
    try:
        manifest = json.loads(path.read_bytes())
        cursors = {
            name: parse_timestamp(table["cursor"]) for name, table in manifest["tables"].items()
        }
        partner = manifest["partner"]
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        raise InvalidParameter(f"{path} is no manifest of an export.") from None
    if partner != partner_name:
        raise Conflict(f"{path} is the manifest of another partner, {partner}.")
    return cursors


@contextmanager
def _folder(out: Path) -> Iterator[Path]:
    """A folder to write to; what is in it moves to `out` at the end, the manifest last.

    Wherever that is cut short, a manifest is never of other files than those beside it.
    """
    folder = None
    is_new = not out.exists()
    try:
        with _explained(out):
            out.mkdir(parents=True, exist_ok=True)
            folder = Path(mkdtemp(prefix=".export-", dir=out))
            yield folder
            (out / MANIFEST).unlink(missing_ok=True)  # what it is of is replaced from here on
            for path in sorted(folder.iterdir(), key=lambda path: path.name == MANIFEST):
                path.replace(out / path.name)
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
        if is_new:
            with suppress(OSError):  # there is something in it
                out.rmdir()


@contextmanager
def _explained(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidParameter(f"{out} cannot be written to: {error}.") from None


class _Writing:
    """Writes the tables of one moment into a folder."""

    def __init__(
        self,
        snapshot: Snapshot,
        folder: Path,
        format_: Format,
        compression: Compression | None,
        earlier: dict[str, datetime],
    ) -> None:
        self._snapshot = snapshot
        self._folder = folder
        self._format = format_
        self._compression = compression
        self._earlier = earlier

    async def all(self, partner_name: str, tables: Sequence[Table]) -> Manifest:
        written: dict[str, Any] = {}
        with click.progressbar(
            length=len(tables), label="exporting", item_show_func=lambda item: item, file=sys.stderr
        ) as bar:
            for table in tables:
                written[table.name] = await self._table(table, bar)
                bar.update(1, table.name)
        watermark = self._snapshot.report_watermark
        manifest = {
            "partner": partner_name,
            "written_at": export_stream.format_timestamp(datetime.now(UTC)),
            "through": export_stream.format_timestamp(watermark.consistent_through),
            "lag_seconds": watermark.lag_seconds,
            "format": self._format,
            "compression": self._compression,
            "tables": written,
        }
        (self._folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        return manifest

    async def _table(self, table: Table, bar: Any) -> dict[str, Any]:
        """Writes one table, and gives its entry in the manifest."""
        portion = await self._snapshot.query(table, self._earlier.get(table.name))
        content = ExportStream(self._snapshot, portion, self._format, self._compression)
        name = f"{table.name}.{self._format}{SUFFIXES[self._compression]}"
        digest, size = hashlib.sha256(), 0
        async with aclosing(aiter(content)) as parts:
            with _explained(self._folder.parent), (self._folder / name).open("wb") as file:
                async for part in parts:
                    file.write(part)
                    digest.update(part)
                    size += len(part)
                    bar.current_item = f"{table.name} {size // 1_000_000} MB"
                    bar.render_progress()
        told = export_stream.metadata(portion)
        return {
            "file": name,
            "rows": content.count,
            "bytes": size,
            "sha256": digest.hexdigest(),
            "replaces": told["replaces"],
            "cursor": told["cursor"],
            "columns": [{"name": each.name, "type": each.type} for each in table.columns],
        }
