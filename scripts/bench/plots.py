"""Plots of throughput and latency, against concurrency and against stored statements."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib import colormaps, pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.bench.measures import singles, stored
from scripts.bench.results import Row

_STYLE: dict[str, object] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lrs",
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """The plots that there are rows for."""
    pyplot.style.use(_STYLE)
    drawn = []
    by_concurrency = [row for row in rows if row.group == singles.GROUP]
    if by_concurrency:
        drawn.append(_save(_concurrency(by_concurrency), folder / "concurrency.svg"))
    by_stored = [row for row in rows if row.group == stored.GROUP]
    if len({row.stored for row in by_stored}) > 1:
        drawn.append(_save(_stored(by_stored), folder / "stored.svg"))
    return drawn


def _concurrency(rows: Sequence[Row]) -> Figure:
    figure, (rates, times) = pyplot.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for name, colour in ((singles.BARE, "tab:gray"), (singles.NAME, "tab:blue")):
        shown = [row for row in rows if row.name == name]
        connections = [row.connections for row in shown]
        rates.plot(connections, [row.rate for row in shown], "o-", color=colour, label=name)
        for line, share in (("-", "p50"), (":", "p99")):
            found = [getattr(row.measured, share) for row in shown]
            times.plot(connections, found, f"o{line}", color=colour, label=f"{name}, {share}")
    times.set_yscale("log")
    times.yaxis.set_major_formatter("{x:g}")
    rates.set_ylim(0)
    _name(rates, "connections", "requests per second", singles.CONCURRENCY)
    _name(times, "connections", "milliseconds", singles.CONCURRENCY)
    return figure


def _stored(rows: Sequence[Row]) -> Figure:
    figure, (rates, times) = pyplot.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
    times.set_prop_cycle(color=colormaps["tab20"].colors)  # type: ignore[attr-defined]
    for name in dict.fromkeys(row.name for row in rows):
        shown = sorted((row for row in rows if row.name == name), key=lambda row: row.stored or 0)
        levels = [row.stored or 0 for row in shown]
        if name == stored.INGEST:
            rates.plot(levels, [row.rate for row in shown], "o-", label=name)
        else:
            times.plot(levels, [row.measured.p50 for row in shown], "o-", label=name)
    ticks = sorted({row.stored or 0 for row in rows})
    for axes in (rates, times):
        axes.set_ylim(0)
    _name(rates, "statements stored", "statements per second", ticks)
    _name(times, "statements stored", "p50, milliseconds", ticks)
    times.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7)
    return figure


def _name(axes: Axes, across: str, up: str, ticks: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.legend(fontsize=8)


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path
