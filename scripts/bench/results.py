"""The rows of a result; the printed table, result.json and the table in docs/performance.md."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import orjson
import psutil  # type: ignore[import-untyped]

from scripts.bench.load import Measurement
from scripts.bench.servers import ROOT

PAGE = ROOT / "docs/performance.md"
HEAD = (
    f"{'':54}{'conn':>5}{'per second':>12}{'baseline':>10}{'ratio':>7}{'p50 ms':>9}{'p99 ms':>9}"
    f"{'server':>8}{'db':>6}{'load':>6}"
)


@dataclass(frozen=True, slots=True)
class Row:
    """`rate` and `baseline` are requests or statements per second."""

    part: str
    name: str
    connections: int
    rate: float
    baseline: float | None
    measurement: Measurement

    @property
    def ratio(self) -> float | None:
        return self.rate / self.baseline if self.baseline else None


def line(row: Row) -> str:
    """A line of the printed table."""
    measurement = row.measurement
    errors = ""
    if measurement.refused or measurement.failed:
        errors = f"  refused {measurement.refused:,}, failed {measurement.failed:,}"
    baseline = f"{row.baseline:,.0f}" if row.baseline else ""
    ratio = f"{row.ratio:.0%}" if row.ratio else ""
    return (
        f"{row.part + ': ' + row.name:54}{row.connections:>5}{row.rate:>12,.0f}{baseline:>10}"
        f"{ratio:>7}{measurement.p50:>9.2f}{measurement.p99:>9.2f}{measurement.server_cpu:>8.2f}"
        f"{measurement.database_cpu:>6.2f}{measurement.load_cpu:>6.2f}{errors}"
    )


def machine() -> str:
    """The machine and the versions that a result depends on."""
    memory = psutil.virtual_memory().total / 2**30
    libraries = ", ".join(f"{name} {version(name)}" for name in ("uvicorn", "uvloop", "httptools"))
    return (
        f"{_processor()}, {psutil.cpu_count()} cores, {memory:.0f} GB of memory; "
        f"Python {platform.python_version()}, {libraries}."
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [text.partition(":")[2].strip() for text in lines if text.startswith("model name")]
    return models[0] if models else platform.machine()


def write(rows: Sequence[Row], notes: Sequence[str], directory: Path) -> Path:
    """Write result.json; return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    document = {"rows": [{**asdict(row), "ratio": row.ratio} for row in rows], "notes": notes}
    path = directory / "result.json"
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return path


def write_doc(rows: Sequence[Row], notes: Sequence[str], page: Path = PAGE) -> None:
    """Replace the result in docs/performance.md, between its two comments."""
    head = ("part", "request", "connections", "per second", "baseline", "ratio", "p50 ms", "p99 ms")
    lines = [head, ["---"] * len(head), *map(_cells, rows)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    text = "\n".join((table, "", *(f"- {note}" for note in notes)))
    pattern = re.compile(r"(<!-- result -->\n).*?(\n<!-- /result -->)", re.DOTALL)
    page.write_text(pattern.sub(lambda match: f"{match[1]}\n{text}\n{match[2]}", page.read_text()))


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.part,
        row.name,
        str(row.connections),
        f"{row.rate:,.0f}",
        f"{row.baseline:,.0f}" if row.baseline else "",
        f"{row.ratio:.0%}" if row.ratio else "",
        f"{row.measurement.p50:.2f}",
        f"{row.measurement.p99:.2f}",
    )
