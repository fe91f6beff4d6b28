"""Measure the server on this machine, in one run with a baseline for each row.

Starts its own server and database in a temporary directory, prints a table and writes it as JSON.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from scripts.bench import load, parts, profile, results, servers
from scripts.fairness.attacks import ATTACKS


def main() -> int:
    options = _parser().parse_args(_arguments())
    load.require_wrk()
    with tempfile.TemporaryDirectory(prefix="lrs-bench-") as folder:
        Path(folder).chmod(0o755)
        options.command(options, Path(folder))
    return 0


def _arguments() -> list[str]:
    """`run` is the default command."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] not in ("run", "profile", "-h", "--help"):
        return ["run", *arguments]
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(title="commands", metavar="")
    run = commands.add_parser("run", help=_run.__doc__, description=_run.__doc__)
    run.set_defaults(command=_run)
    run.add_argument("--seconds", type=int, default=3, help="duration of each load")
    run.add_argument("--workers", type=int, default=1, help="worker processes of the server")
    run.add_argument("--stored", type=int, default=500_000, help="statements for the part stored")
    run.add_argument(
        "--only", type=_names, default=list(parts.DEFAULT), metavar="PARTS",
        help=f"comma-separated: {','.join(parts.PARTS)}",
    )  # fmt: skip
    run.add_argument(
        "--attacks", type=_attacks, default=list(ATTACKS), metavar="ATTACKS",
        help=f"of the part fairness: {','.join(ATTACKS)}",
    )  # fmt: skip
    run.add_argument(
        "--attack-seconds", type=int, default=120, help="duration of an attack (part fairness)"
    )
    run.add_argument("--output", type=Path, default=Path("bench"), help="directory of result.json")
    run.add_argument("--write-doc", action="store_true", help="update docs/performance.md")
    run.add_argument("--endpoint", help="xAPI endpoint of another LRS, to measure that one")
    run.add_argument("--authorization", default="", help="its Authorization header")
    profiled = commands.add_parser("profile", help=profile.run.__doc__)
    profiled.set_defaults(command=profile.run)
    profile.add_options(profiled)
    return parser


def _names(text: str) -> list[str]:
    return _choices(text, parts.PARTS)


def _attacks(text: str) -> list[str]:
    return _choices(text, ATTACKS)


def _choices(text: str, allowed: Iterable[str]) -> list[str]:
    names = text.split(",")
    if unknown := sorted(set(names) - set(allowed)):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
    return names


def _run(options: argparse.Namespace, folder: Path) -> None:
    """Measure throughput and latency (the default command)."""
    external = None
    if options.endpoint:
        external = servers.external(options.endpoint, options.authorization)
        options.only = [name for name in options.only if name in parts.EXTERNAL]
    bench = parts.Bench(
        folder,
        options.seconds,
        options.workers,
        options.stored,
        external,
        options.attacks,
        options.attack_seconds,
    )
    rows, notes = [], [results.machine()]
    print(results.HEAD, flush=True)
    for name in options.only:
        for item in parts.PARTS[name](bench):
            if isinstance(item, results.Row):
                rows.append(item)
                print(results.line(item), flush=True)
            else:
                notes.append(item)
                print(f"  {item}", flush=True)
    print(f"Result: {results.write(rows, notes, options.output)}")
    if options.write_doc:
        results.write_doc(rows, notes)


if __name__ == "__main__":
    sys.exit(main())
