"""Measures what the machine allows and what the server does, in the same run.

Starts its own server and database in a temporary directory, prints a table and a verdict on each
target, and writes the result as JSON, with plots beside it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from scripts.bench import (
    choices,
    document,
    load,
    machine,
    plots,
    profile,
    report,
    servers,
    steady,
)
from scripts.bench.measures import (
    Lab,
    batches,
    disk,
    generator,
    outside,
    overload,
    reports,
    singles,
    stored,
    workers,
)
from scripts.bench.report import Result
from scripts.bench.results import Section
from scripts.bench.servers import VERSION, Target

_ON_A_FRESH_STORE: dict[str, Callable[[Lab, Target], Section]] = {
    "disk": disk.measure,
    "generator": generator.measure,
    "singles": singles.measure,
    "batches": batches.measure,
    "overload": overload.measure,
}
_ON_STORES_OF_THEIR_OWN: dict[str, Callable[[Lab], Section]] = {
    "workers": workers.measure,
    "reports": reports.measure,
    "stored": stored.measure,
}
PARTS = (*_ON_A_FRESH_STORE, *_ON_STORES_OF_THEIR_OWN)


def main() -> int:
    options = _options()
    load.require_wrk()
    with tempfile.TemporaryDirectory(prefix="lrs-bench-") as folder:
        Path(folder).chmod(0o755)
        options.run(options, Path(folder))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(title="commands", metavar="")
    for name, run, add in (
        ("run", _run, _add_options),
        ("choices", choices.run, choices.add_options),
        ("profile", profile.run, profile.add_options),
        ("steady", steady.run, steady.add_options),
    ):
        command = commands.add_parser(name, description=run.__doc__, help=run.__doc__)
        command.set_defaults(run=run)
        add(command)
    arguments = sys.argv[1:]
    if not arguments or arguments[0].startswith("--"):
        arguments = ["run", *arguments]
    return parser.parse_args(arguments)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=int, default=3, help="that each load lasts")
    parser.add_argument("--workers", type=int, default=1, help="of ours and of bare Starlette")
    parser.add_argument("--stored", type=int, default=500_000, help="most statements to store")
    parser.add_argument(
        "--only", type=_parts, default=PARTS, metavar="PARTS", help=f"some of {','.join(PARTS)}"
    )
    parser.add_argument("--output", type=Path, default=Path("bench"), help="folder for the result")
    parser.add_argument("--write-doc", action="store_true", help="put it into docs/performance.md")
    parser.add_argument("--endpoint", help="xAPI endpoint of another LRS, to measure that one")
    parser.add_argument("--authorization", default="", help="its Authorization header")


def _parts(text: str) -> list[str]:
    wanted = text.split(",")
    if unknown := set(wanted) - set(PARTS):
        raise argparse.ArgumentTypeError(f"there is no part {', '.join(sorted(unknown))}")
    return wanted


def _run(options: argparse.Namespace, folder: Path) -> None:
    """Measure the server beside what this machine allows (what happens without a command)."""
    lab = Lab(folder, options.seconds, options.workers, options.stored)
    total = Section()
    for section in _outside(lab, options) if options.endpoint else _ours(lab, options.only):
        print(report.table(section.rows), *section.notes, "", sep="\n", flush=True)
        total.add(section)
    if not options.endpoint:
        total.notes.append(report.disturbance(total.rows))
    kept = {name: getattr(options, name) for name in ("seconds", "workers", "stored", "endpoint")}
    result = Result(machine.described(), kept, total)
    print(report.verdicts(result.verdicts), *total.notes[-1:], sep="\n")
    print(f"written to {report.write(result, options.output)}")
    drawn = plots.draw(result.rows, options.output)
    if options.write_doc:
        document.write_result(result, drawn)


def _ours(lab: Lab, wanted: Sequence[str]) -> Iterator[Section]:
    fresh = [measure for name, measure in _ON_A_FRESH_STORE.items() if name in wanted]
    if fresh:
        with servers.ours(lab.folder / "fresh", lab.workers) as target:
            yield Section(notes=[machine.database(target.dsn)])
            yield from (measure(lab, target) for measure in fresh)
    yield from (measure(lab) for name, measure in _ON_STORES_OF_THEIR_OWN.items() if name in wanted)


def _outside(lab: Lab, options: argparse.Namespace) -> Iterator[Section]:
    place = urlsplit(options.endpoint.rstrip("/"))
    headers = {**VERSION, "Authorization": options.authorization}
    target = Target(f"{place.scheme}://{place.netloc}", f"{place.path}/statements", headers)
    yield outside.measure(lab, target)


if __name__ == "__main__":
    sys.exit(main())
