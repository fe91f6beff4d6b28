"""Print the line and branch coverage of every package, from the data file of coverage.

Exits with 1 if lines and branches of `lrs`, without `lrs.cli` and `lrs.server`, are covered to less
than LIMIT percent.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import coverage

LIMIT = 95.0
EXEMPT = ("lrs.cli", "lrs.server")
COUNTS = ("num_statements", "covered_lines", "num_branches", "covered_branches")


def packages() -> dict[str, Counter[str]]:
    """Package -> counts of its statements and branches."""
    data = coverage.Coverage()
    data.load()
    with TemporaryDirectory() as directory:
        path = Path(directory, "coverage.json")
        data.json_report(outfile=str(path))
        files = json.loads(path.read_bytes())["files"]
    result: dict[str, Counter[str]] = defaultdict(Counter)
    for name, file in files.items():
        if Path(name).is_absolute():
            continue  # a copy outside the checkout, in which a test runs the wheel
        package = ".".join(Path(name).parent.parts)
        result[package].update({count: file["summary"][count] for count in COUNTS})
    return dict(sorted(result.items()))


def percent(covered: int, total: int) -> float:
    return 100 * covered / total if total else 100.0


def line(title: str, counts: Counter[str]) -> str:
    lines = percent(counts["covered_lines"], counts["num_statements"])
    branches = percent(counts["covered_branches"], counts["num_branches"])
    return f"{title:28} {counts['num_statements']:8} {lines:7.1f} % {branches:7.1f} %"


def main() -> int:
    required: Counter[str] = Counter()
    print(f"{'package':28} {'lines':>8} {'covered':>9} {'branches':>9}")
    for package, counts in packages().items():
        print(line(package, counts))
        if not package.startswith(EXEMPT):
            required.update(counts)
    print(line("lrs without cli and server", required))
    covered = required["covered_lines"] + required["covered_branches"]
    total = percent(covered, required["num_statements"] + required["num_branches"])
    if total < LIMIT:
        print(f"Coverage is {total:.1f} %, below the limit of {LIMIT:g} %.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
