"""File formats of exports: CSV, JSON, JSON lines and Parquet, encoded chunk by chunk.

PostgreSQL formats the rows. A chunk is the bytes of whole rows from a COPY, as CSV or as one JSON
object per line, and is not parsed in Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import orjson

from lrs.errors import InvalidParameter, NotFound
from lrs.reports.table_model import Table

if TYPE_CHECKING:
    import pyarrow

CopyFormat = Literal["csv", "json"]
"""The form of the rows from PostgreSQL: CSV, or one JSON object per line."""

Format = Literal["csv", "json", "ndjson", "parquet"]

MEDIA_TYPES: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}

BYTE_ORDER_MARK = "\ufeff"

# Bytes of CSV in one Parquet row group: large enough to compress well, small enough for memory.
_ROW_GROUP_BYTES = 8_388_608


class Encoder(Protocol):
    """Encodes a file: `begin`, then `rows` for each chunk of `copy_format`, then `end`."""

    copy_format: CopyFormat

    def begin(self) -> bytes: ...

    def rows(self, chunk: bytes) -> bytes: ...

    def end(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class CSVOptions:
    """How CSV is written.

    raw  text cells are as stored; otherwise see csv_cells
    bom  the file begins with a byte order mark, by which spreadsheets recognize UTF-8
    """

    raw: bool = False
    bom: bool = False


def csv_options(format_: Format, *, raw: bool, bom: bool) -> CSVOptions:
    """The options of a file. Raises InvalidParameter for a byte order mark in another format."""
    if bom and format_ != "csv":
        raise InvalidParameter("bom: only CSV has a byte order mark.")
    return CSVOptions(raw, bom)


def create_encoder(
    format_: Format, table: Table, metadata: Mapping[str, Any], csv: CSVOptions
) -> Encoder:
    """An encoder for one file. Only JSON contains the metadata, as members beside `rows`.

    Raises NotFound for Parquet if pyarrow is not installed.
    """
    match format_:
        case "csv":
            return CSV(table, bom=csv.bom)
        case "json":
            return JSON(metadata)
        case "ndjson":
            return JSONLines()
        case "parquet":
            return Parquet(table)


class CSV:
    """CSV with a header line."""

    copy_format: CopyFormat = "csv"

    def __init__(self, table: Table, *, bom: bool = False) -> None:
        self._names = [column.name for column in table.columns]
        self._mark = BYTE_ORDER_MARK if bom else ""

    def begin(self) -> bytes:
        return f"{self._mark}{','.join(self._names)}\n".encode()

    def rows(self, chunk: bytes) -> bytes:
        return chunk

    def end(self) -> bytes:
        return b""


class JSONLines:
    """One JSON object per line."""

    copy_format: CopyFormat = "json"

    def begin(self) -> bytes:
        return b""

    def rows(self, chunk: bytes) -> bytes:
        return _unescaped(chunk)

    def end(self) -> bytes:
        return b""


class JSON:
    """One JSON object: the metadata, and the rows as an array."""

    copy_format: CopyFormat = "json"

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self._metadata = metadata
        self._separator = b""

    def begin(self) -> bytes:
        return orjson.dumps({**self._metadata, "rows": []})[:-2] + b"\n"

    def rows(self, chunk: bytes) -> bytes:
        separator, self._separator = self._separator, b",\n"
        return separator + _unescaped(chunk)[:-1].replace(b"\n", b",\n")

    def end(self) -> bytes:
        return b"\n]}\n"


def _unescaped(chunk: bytes) -> bytes:
    """Undo the escaping of COPY: of the characters that it escapes, JSON has only backslashes."""
    return chunk.replace(b"\\\\", b"\\")


class Parquet:
    """Parquet with zstd compression; pyarrow parses the CSV of each row group."""

    copy_format: CopyFormat = "csv"

    def __init__(self, table: Table) -> None:
        try:
            import pyarrow
            import pyarrow.csv
            import pyarrow.parquet
        except ImportError:
            raise NotFound(
                "Parquet needs pyarrow on the server: pip install 'lrs-server[parquet]'. "
                "Other formats: .csv, .json, .ndjson."
            ) from None
        self._schema = arrow_schema(table)
        self._file = _Buffer()
        self._writer = pyarrow.parquet.ParquetWriter(
            pyarrow.PythonFile(self._file, mode="w"), self._schema, compression="zstd"
        )
        self._csv = bytearray()

    def begin(self) -> bytes:
        return self._file.drain()

    def rows(self, chunk: bytes) -> bytes:
        self._csv += chunk
        if len(self._csv) >= _ROW_GROUP_BYTES:
            self._write_row_group()
        return self._file.drain()

    def end(self) -> bytes:
        if self._csv:
            self._write_row_group()
        self._writer.close()
        return self._file.drain()

    def _write_row_group(self) -> None:
        from pyarrow import csv, py_buffer

        text, self._csv = bytes(self._csv), bytearray()
        rows = csv.read_csv(
            py_buffer(text),
            csv.ReadOptions(
                use_threads=False,
                block_size=len(text) + 1,
                column_names=self._schema.names,
            ),
            csv.ParseOptions(newlines_in_values=True),
            csv.ConvertOptions(
                column_types=self._schema,
                null_values=[""],
                true_values=["true"],
                false_values=["false"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        self._writer.write_table(rows)


def arrow_schema(table: Table) -> pyarrow.Schema:
    """The Arrow schema of a table's columns."""
    import pyarrow

    types = {
        "integer": pyarrow.int32(),
        "double": pyarrow.float64(),
        "text": pyarrow.string(),
        "boolean": pyarrow.bool_(),
        "date": pyarrow.date32(),
        "timestamp": pyarrow.timestamp("us", tz="UTC"),
    }
    return pyarrow.schema([(column.name, types[column.type]) for column in table.columns])


class _Buffer:
    """A file object that keeps written bytes until they are drained."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, part: bytes) -> int:
        self._parts.append(bytes(part))
        return len(part)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def drain(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)
