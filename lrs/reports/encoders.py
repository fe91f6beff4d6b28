"""The files that tables are exported to: CSV, JSON, JSON lines and Parquet, a portion at a time.

PostgreSQL does nearly all of the work: rows come as the bytes of a COPY, as CSV or as JSON, always
whole rows, and stay bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

import orjson

from lrs.errors import NotFound
from lrs.reports.tables import Table

if TYPE_CHECKING:
    import pyarrow

CopyFormat = Literal["csv", "json"]
Format = Literal["csv", "json", "ndjson", "parquet"]

MEDIA_TYPES: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}

# How much CSV becomes one row group of Parquet: enough to compress well, little to hold.
_ROW_GROUP = 8_388_608


class Encoder(Protocol):
    """What makes a file of rows; `wire` is the form that it takes them in."""

    wire: CopyFormat

    def begin(self) -> bytes: ...

    def rows(self, portion: bytes) -> bytes: ...

    def end(self) -> bytes: ...


def create_encoder(format_: Format, table: Table, told: Mapping[str, Any]) -> Encoder:
    """`told` is what a JSON document says beside its rows.

    Raises NotFound where Parquet cannot be made.
    """
    if format_ == "json":
        return JSON(told)
    others: dict[Format, Callable[[Table], Encoder]]
    others = {"csv": CSV, "ndjson": JSONLines, "parquet": Parquet}
    return others[format_](table)


class CSV:
    wire: CopyFormat = "csv"

    def __init__(self, table: Table) -> None:
        self._names = [column.name for column in table.columns]

    def begin(self) -> bytes:
        return f"{','.join(self._names)}\n".encode()

    def rows(self, portion: bytes) -> bytes:
        return portion

    def end(self) -> bytes:
        return b""


class JSONLines:
    wire: CopyFormat = "json"

    def __init__(self, _: Table) -> None:
        pass

    def begin(self) -> bytes:
        return b""

    def rows(self, portion: bytes) -> bytes:
        return _unescaped(portion)

    def end(self) -> bytes:
        return b""


class JSON:
    """One document, with the rows in it as an array."""

    wire: CopyFormat = "json"

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told
        self._separator = b""

    def begin(self) -> bytes:
        return orjson.dumps({**self._told, "rows": []})[:-2] + b"\n"

    def rows(self, portion: bytes) -> bytes:
        separator, self._separator = self._separator, b",\n"
        return separator + _unescaped(portion)[:-1].replace(b"\n", b",\n")

    def end(self) -> bytes:
        return b"\n]}\n"


def _unescaped(portion: bytes) -> bytes:
    """JSON from the text of a COPY: it doubles backslashes, and JSON has nothing else to escape."""
    return portion.replace(b"\\\\", b"\\")


class Parquet:
    wire: CopyFormat = "csv"

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
        self._file = _Written()
        self._writer = pyarrow.parquet.ParquetWriter(
            pyarrow.PythonFile(self._file, mode="w"), self._schema, compression="zstd"
        )
        self._waiting = bytearray()

    def begin(self) -> bytes:
        return self._file.taken()

    def rows(self, portion: bytes) -> bytes:
        self._waiting += portion
        if len(self._waiting) >= _ROW_GROUP:
            self._write()
        return self._file.taken()

    def end(self) -> bytes:
        if self._waiting:
            self._write()
        self._writer.close()
        return self._file.taken()

    def _write(self) -> None:
        from pyarrow import csv, py_buffer

        text, self._waiting = bytes(self._waiting), bytearray()
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


class _Written:
    """A file that holds what was written until it is taken."""

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

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)
