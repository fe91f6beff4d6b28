"""The result, printed and written as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from scripts.bench.results import Row, Section, Verdict, shown


@dataclass(frozen=True, slots=True)
class Result:
    """All that one run has found, and where."""

    machine: Mapping[str, str]
    options: Mapping[str, object]
    section: Section

    @property
    def rows(self) -> Sequence[Row]:
        return self.section.rows

    @property
    def verdicts(self) -> Sequence[Verdict]:
        return sorted(self.section.verdicts, key=lambda verdict: verdict.target)


def table(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    head = (
        f"{'':66}{'conn':>5}{'per second':>12}{'of limit':>9}{'p50':>8}{'p90':>8}{'p99':>8}"
        f"{'server':>8}{'db':>6}{'load':>6}{'other':>6}"
    )
    return "\n".join([head, *map(_line, rows)])


def verdicts(found: Sequence[Verdict]) -> str:
    return "\n".join(
        f"{each.target}  {'met    ' if each.met else 'NOT MET'}  {each.what}: "
        f"{shown(each.found, each.unit)} ({each.asked})"
        for each in found
    )


def disturbance(rows: Sequence[Row]) -> str:
    """How far the result can be trusted."""
    used = sorted(row.measured.other_cpu for row in rows) or [0.0]
    return (
        f"Other processes of the machine used {used[len(used) // 2]:.2f} cores meanwhile "
        f"(median; at most {used[-1]:.2f})."
    )


def write(result: Result, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": result.machine,
        "options": result.options,
        "rows": [{**asdict(row), "ratio": row.ratio} for row in result.rows],
        "verdicts": [
            {**asdict(each), "asked": each.asked, "met": each.met} for each in result.verdicts
        ],
        "notes": result.section.notes,
    }
    path = folder / "result.json"
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return path


def label(row: Row) -> str:
    more = f", {row.stored:,} stored" if row.stored is not None else ""
    return f"{row.name}{more}{', 2 workers' if row.workers == 2 else ''}"


def of_limit(row: Row) -> str:
    return "" if row.ratio is None else f"{row.ratio:.0%}"


def _line(row: Row) -> str:
    found = row.measured
    trouble = ""
    if found.refused or found.broken:
        trouble = f"  refused {found.refused:,}, broken {found.broken:,}"
    return (
        f"{label(row):66}{row.connections:>5}{row.rate:>12,.0f}{of_limit(row):>9}"
        f"{found.p50:>8.2f}{found.p90:>8.2f}{found.p99:>8.2f}"
        f"{found.server_cpu:>8.2f}{found.database_cpu:>6.2f}{found.generator_cpu:>6.2f}"
        f"{found.other_cpu:>6.2f}{trouble}"
    )
