"""`lrs export`: a partner's tables and statements as files, with a manifest for the next run.

Files are written to a temporary directory and moved when all are complete, the manifest last.
"""

from __future__ import annotations

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
from lrs.cli.database import run_with_dsn
from lrs.cli.options import DATABASE, load_settings, partner_argument, setting_options
from lrs.cli.output import echo
from lrs.errors import Conflict, InvalidParameter
from lrs.reports import export_stream
from lrs.reports.compression import SUFFIXES, Compression
from lrs.reports.encoders import Format
from lrs.reports.export_stream import ExportStream
from lrs.reports.exports import Snapshot, open_exports
from lrs.reports.tables import TABLES, Table
from lrs.store import registry
from lrs.store.statements.watermark import WatermarkReader
from lrs.xapi.timestamps import parse_timestamp

MANIFEST = "manifest.json"

Manifest = dict[str, Any]


@click.command()
@partner_argument
@click.argument("out", metavar="OUT_DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--table",
    "names",
    multiple=True,
    type=click.Choice(list(TABLES)),
    help="Export only this table; repeatable.  [default: all tables and the statements]",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(get_args(Format)),
    default="parquet",
    show_default=True,
    help="File format.",
)
@click.option(
    "--compress", type=click.Choice(get_args(Compression)), help="Compression of the files."
)
@click.option(
    "--raw",
    is_flag=True,
    help="CSV with every text as stored; otherwise an apostrophe precedes what a spreadsheet would "
    "take for a formula.",
)
@click.option(
    "--since",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Manifest of an earlier export: export only changes since then.",
)
@setting_options(*DATABASE)
def export(
    partner_name: str,
    out: Path,
    names: Sequence[str],
    format_: Format,
    compress: Compression | None,
    raw: bool,
    since: Path | None,
    **options: Any,
) -> None:
    """Export PARTNER's tables and statements to OUT_DIR, all from one snapshot."""
    cursors = _read_cursors(since, partner_name) if since else {}
    if since and since.resolve().parent == out.resolve():
        raise InvalidParameter(f"{out} contains the export of {since}: choose another directory.")
    tables = [TABLES[name] for name in names or TABLES]

    async def write(dsn: str) -> Manifest:
        async with (
            bootstrap.open_verified_database(dsn) as database,
            open_exports(
                dsn, database, WatermarkReader(database), max_connections=1, timeout_seconds=0
            ) as exports,
        ):
            partner = await registry.get_partner(database, partner_name)
            async with exports.snapshot(partner.partner_id) as snapshot:
                writer = _ExportWriter(snapshot, directory, format_, compress, raw, cursors)
                return await writer.write_all(partner_name, tables)

    with _temporary_directory(out) as directory:
        manifest = run_with_dsn(load_settings(options), write)
    rows = sum(table["rows"] for table in manifest["tables"].values())
    echo(f"{len(manifest['tables'])} tables, {rows} rows: {out / MANIFEST}")


def _read_cursors(path: Path, partner_name: str) -> dict[str, datetime]:
    """The cursor of each table in an earlier manifest. Raises InvalidParameter, Conflict."""
    try:
        manifest = json.loads(path.read_bytes())
        cursors = {
            name: parse_timestamp(table["cursor"]) for name, table in manifest["tables"].items()
        }
        partner = manifest["partner"]
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        raise InvalidParameter(f"{path} is not the manifest of an export.") from None
    if partner != partner_name:
        raise Conflict(f"{path} is the manifest of another partner, {partner}.")
    return cursors


@contextmanager
def _temporary_directory(out: Path) -> Iterator[Path]:
    """A directory below `out`; its files move to `out` on success, the manifest last.

    The old manifest is removed first: a manifest never describes files of another export, even
    after a crash between two moves.
    """
    directory = None
    is_new = not out.exists()
    try:
        with _os_errors_translated(out):
            out.mkdir(parents=True, exist_ok=True)
            directory = Path(mkdtemp(prefix=".export-", dir=out))
            yield directory
            (out / MANIFEST).unlink(missing_ok=True)
            for path in sorted(directory.iterdir(), key=lambda path: path.name == MANIFEST):
                path.replace(out / path.name)
    finally:
        if directory:
            shutil.rmtree(directory, ignore_errors=True)
        if is_new:
            with suppress(OSError):  # not empty
                out.rmdir()


@contextmanager
def _os_errors_translated(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidParameter(f"{out} cannot be written to: {error}.") from None


class _ExportWriter:
    """Writes the tables of one snapshot to a directory."""

    def __init__(
        self,
        snapshot: Snapshot,
        directory: Path,
        format_: Format,
        compression: Compression | None,
        raw: bool,
        cursors: dict[str, datetime],
    ) -> None:
        self._snapshot = snapshot
        self._directory = directory
        self._format = format_
        self._compression = compression
        self._raw = raw
        self._cursors = cursors

    async def write_all(self, partner_name: str, tables: Sequence[Table]) -> Manifest:
        written: dict[str, Any] = {}
        with click.progressbar(
            length=len(tables), label="exporting", item_show_func=lambda item: item, file=sys.stderr
        ) as bar:
            for table in tables:
                written[table.name] = await self._write_table(table, bar)
                bar.update(1, table.name)
        watermark = self._snapshot.report_watermark
        manifest = {
            "partner": partner_name,
            "written_at": export_stream.format_timestamp(datetime.now(UTC)),
            "consistent_through": export_stream.format_timestamp(watermark.consistent_through),
            "lag_seconds": watermark.lag_seconds,
            "uncounted": watermark.uncounted,
            "format": self._format,
            "compression": self._compression,
            "tables": written,
        }
        (self._directory / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        return manifest

    async def _write_table(self, table: Table, bar: Any) -> dict[str, Any]:
        """Writes one table. Returns its entry in the manifest."""
        portion = await self._snapshot.query(table, self._cursors.get(table.name))
        content = ExportStream(
            self._snapshot, portion, self._format, self._compression, raw=self._raw
        )
        name = f"{table.name}.{self._format}{SUFFIXES[self._compression]}"
        digest, size = hashlib.sha256(), 0
        async with aclosing(aiter(content)) as parts:
            with (
                _os_errors_translated(self._directory.parent),
                (self._directory / name).open("wb") as file,
            ):
                async for part in parts:
                    file.write(part)
                    digest.update(part)
                    size += len(part)
                    bar.current_item = f"{table.name} {size // 1_000_000} MB"
                    bar.render_progress()
        metadata = export_stream.metadata(portion)
        return {
            "file": name,
            "rows": content.row_count,
            "bytes": size,
            "sha256": digest.hexdigest(),
            "replaces": metadata["replaces"],
            "cursor": metadata["cursor"],
            "columns": [{"name": column.name, "type": column.type} for column in table.columns],
        }
