"""What a measurement gives: rows for the table, verdicts on the targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from scripts.bench.load import Measured

Unit = Literal["%", "times", "ms", "s", "MB"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `limit` is the rate that the machine allows, in the same unit."""

    group: str
    name: str
    connections: int
    rate: float
    measured: Measured
    unit: str = "requests"
    limit: float | None = None
    workers: int = 1
    stored: int | None = None

    @property
    def ratio(self) -> float | None:
        return self.rate / self.limit if self.limit else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target, numbered as in docs/performance.md: what was found, and the bound it has."""

    target: int
    what: str
    found: float
    bound: float
    unit: Unit
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.found >= self.bound if self.at_least else self.found <= self.bound

    @property
    def asked(self) -> str:
        return f"{'at least' if self.at_least else 'at most'} {shown(self.bound, self.unit)}"


@dataclass
class Section:
    """What one module of measures/ found; `notes` are sentences to print beside it."""

    rows: list[Row] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, other: Section) -> None:
        self.rows += other.rows
        self.verdicts += other.verdicts
        self.notes += other.notes


def shown(value: float, unit: Unit) -> str:
    match unit:
        case "%":
            return f"{value:.0%}"
        case "times":
            return f"{value:.2f} times"
        case "ms" | "s":
            return f"{value:.1f} {unit}"
        case "MB":
            return f"{value:,.0f} MB"


def least_ratio(target: int, what: str, rows: Sequence[Row], bound: float) -> Verdict:
    """The verdict on the row that is furthest from its limit."""
    worst = min(rows, key=lambda row: row.ratio or 0.0)
    return Verdict(
        target, f"{what}, worst: {worst.name}", worst.ratio or 0.0, bound, "%", at_least=True
    )
