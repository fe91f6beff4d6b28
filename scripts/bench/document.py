"""Puts the latest figures into docs/performance.md, between the marks that are there for them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from scripts.bench.report import Result, label, of_limit
from scripts.bench.results import Row, Verdict, shown
from scripts.bench.servers import ROOT

PAGE = ROOT / "docs/performance.md"
PLOTS = ROOT / "docs/performance"

_COLUMNS = (
    *("", "connections", "per second", "of limit", "p50 ms", "p90", "p99"),
    *("server", "db", "load", "other"),
)


def write_result(result: Result, plots: Sequence[Path]) -> None:
    PLOTS.mkdir(exist_ok=True)
    for plot in plots:
        shutil.copyfile(plot, PLOTS / plot.name)
    pictures = [f"![{plot.stem}](performance/{plot.name})" for plot in plots]
    parts = [
        table(("", ""), result.machine.items()),
        table(("target", "", "found", "asked", ""), map(_verdict, result.verdicts)),
        "\n".join(f"- {note}" for note in result.section.notes),
        table(_COLUMNS, map(_row, result.rows)),
        *pictures,
    ]
    replace("result", "\n\n".join(parts))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def replace(mark: str, text: str) -> None:
    """Puts a text between `<!-- mark -->` and `<!-- /mark -->`."""
    page = PAGE.read_text()
    there = re.compile(rf"(<!-- {mark} -->\n).*?(\n<!-- /{mark} -->)", re.DOTALL)
    if not there.search(page):
        raise SystemExit(f"{PAGE} has no place for {mark}")
    PAGE.write_text(there.sub(lambda found: f"{found[1]}\n{text}\n{found[2]}", page))


def _verdict(each: Verdict) -> tuple[str, ...]:
    met = "met" if each.met else "**not met**"
    return (str(each.target), each.what, shown(each.found, each.unit), each.asked, met)


def _row(row: Row) -> tuple[str, ...]:
    found = row.measured
    times = (f"{value:.2f}" for value in (found.p50, found.p90, found.p99))
    cores = (
        f"{value:.2f}"
        for value in (found.server_cpu, found.database_cpu, found.generator_cpu, found.other_cpu)
    )
    return (label(row), str(row.connections), f"{row.rate:,.0f}", of_limit(row), *times, *cores)
