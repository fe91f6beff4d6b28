"""`lrs export`: a partner's tables and statements as files, with a manifest for the next run.

Files get their names when all are complete, the manifest last.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import click

from lrs.bootstrap.database import open_verified_database
from lrs.cli.database import run_with_dsn
from lrs.cli.export_files import ExportFiles, export_files
from lrs.cli.options import DATABASE, load_settings, partner_argument, setting_options
from lrs.cli.output import echo
from lrs.errors import Conflict, InvalidParameter
from lrs.plurals import quantity
from lrs.reports import export_stream
from lrs.reports.compression import SUFFIXES, Compression
from lrs.reports.encoders import CSVOptions, Format, csv_options
from lrs.reports.export_stream import ExportStream
from lrs.reports.exports import Snapshot, open_exports
from lrs.reports.table_model import Table
from lrs.reports.tables import TABLES
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
@click.option("--bom", is_flag=True, help="CSV with a byte order mark, by which Excel knows UTF-8.")
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
    bom: bool,
    since: Path | None,
    **options: Any,
) -> None:
    """Export PARTNER's tables and statements to OUT_DIR, all from one snapshot."""
    cursors = _read_cursors(since, partner_name) if since else {}
    if since and since.resolve().parent == out.resolve():
        raise InvalidParameter(f"{out} contains the export of {since}: choose another directory.")
    _require_own(out, partner_name)
    tables = [TABLES[name] for name in names or TABLES]
    csv = csv_options(format_, raw=raw, bom=bom)

    async def write(dsn: str) -> Manifest:
        async with (
            open_verified_database(dsn) as database,
            open_exports(
                dsn, database, WatermarkReader(database), max_connections=1, timeout_seconds=0
            ) as exports,
        ):
            partner = await registry.get_partner(database, partner_name)
            async with exports.snapshot(partner.partner_id) as snapshot:
                writer = _ExportWriter(snapshot, files, format_, compress, csv, cursors)
                return await writer.write_all(partner_name, tables)

    with export_files(out, MANIFEST, _files_of) as files:
        manifest = run_with_dsn(load_settings(options), write)
    rows = sum(table["rows"] for table in manifest["tables"].values())
    tables_and_rows = f"{quantity(len(manifest['tables']), 'table')}, {quantity(rows, 'row')}"
    echo(f"{tables_and_rows}: {out / MANIFEST}")


def _require_own(out: Path, partner_name: str) -> None:
    """Raises Conflict for a directory with the export of another partner."""
    partner = _read_manifest(out / MANIFEST).get("partner", partner_name)
    if partner != partner_name:
        raise Conflict(
            f"{out} contains the export of another partner, {partner}: choose another directory."
        )


def _files_of(path: Path) -> list[str]:
    """The names of the files of the export with this manifest, in the same directory."""
    tables = _read_manifest(path).get("tables")
    entries = tables.values() if isinstance(tables, dict) else ()
    names = [entry.get("file") for entry in entries if isinstance(entry, dict)]
    return [name for name in names if isinstance(name, str) and _is_plain(name)]


def _is_plain(name: str) -> bool:
    """Whether a name is that of a file in the same directory."""
    return Path(name).name == name and name != ".." and "\0" not in name


def _read_manifest(path: Path) -> Manifest:
    """The manifest; empty without one, or if the file is none."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


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


class _ExportWriter:
    """Writes the tables of one snapshot to files."""

    def __init__(
        self,
        snapshot: Snapshot,
        files: ExportFiles,
        format_: Format,
        compression: Compression | None,
        csv: CSVOptions,
        cursors: dict[str, datetime],
    ) -> None:
        self._snapshot = snapshot
        self._files = files
        self._format = format_
        self._compression = compression
        self._csv = csv
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
        with self._files.create(MANIFEST) as file:
            file.write(f"{json.dumps(manifest, indent=2)}\n".encode())
        return manifest

    async def _write_table(self, table: Table, bar: Any) -> dict[str, Any]:
        """Writes one table. Returns its entry in the manifest."""
        portion = await self._snapshot.query(table, self._cursors.get(table.name))
        content = ExportStream(self._snapshot, portion, self._format, self._compression, self._csv)
        name = f"{table.name}.{self._format}{SUFFIXES[self._compression]}"
        digest, size = hashlib.sha256(), 0
        async with aclosing(aiter(content)) as parts:
            with self._files.create(name) as file:
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
