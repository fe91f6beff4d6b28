"""`make profile`: stacks of the server under load, and the plans of its queries."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.bench import filling, load, parts, plans, servers
from scripts.bench.load import Measurement, Request
from scripts.bench.servers import Server

_FRAME = re.compile(r"(?P<function>.+) \((?P<file>[^:()]+)(?::\d+)?\)")
_LINES = 25
_SAMPLES_PER_SECOND = "250"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=int, default=6, help="duration of each sample")
    parser.add_argument("--stored", type=int, default=100_000, help="statements to store first")
    parser.add_argument("--output", type=Path, default=Path("bench/profile"), help="directory")


def run(options: argparse.Namespace, folder: Path) -> None:
    """Sample the server's stacks under load with py-spy, and explain its queries."""
    options.output.mkdir(parents=True, exist_ok=True)
    with servers.lrs(folder / "profile") as server:
        filling.fill(server, options.stored)
        for name, (request, connections) in _loads(server).items():
            measurement, stacks = _sample_load(server, request, connections, options, name)
            text = f"{name}: {measurement.rate:,.0f} requests/s\n\n{summary(stacks)}"
            (options.output / f"{name}.txt").write_text(text)
            print(text)
    path = options.output / "plans.txt"
    path.write_text(plans.explain(folder / "profile"))
    print(f"Flame graphs, summaries and {path.name} are in {options.output}.")


def _loads(server: Server) -> Mapping[str, tuple[Request, int]]:
    """Name -> request and connections."""
    pages = parts.pages(server)
    return {
        "post-1": (load.posts(server, 1), 64),
        "post-50": (load.posts(server, 50), 4),
        "post-500-xapi": (load.posts(server, 500, "/xapi/statements"), 4),
        "get-1": (Request("GET", parts.ids(server), server.headers), 16),
        "get-100": (Request("GET", pages["100 by activity"], server.headers), 16),
    }


def _sample_load(
    server: Server, request: Request, connections: int, options: argparse.Namespace, name: str
) -> tuple[Measurement, Counter[str]]:
    """Two loads: one sampled as raw stacks, one as a flame graph."""
    stacks = options.output / f"{name}.stacks"
    for form, path in (("raw", stacks), ("flamegraph", options.output / f"{name}.svg")):
        with ThreadPoolExecutor(1) as executor:
            seconds = options.seconds + 2
            future = executor.submit(
                load.run, server, request, connections=connections, seconds=seconds
            )
            _py_spy(server, options.seconds, form, path)
            measurement = future.result()
    counts: Counter[str] = Counter()
    for line in stacks.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        counts[stack] += int(count)
    return measurement, counts


def _py_spy(server: Server, seconds: int, form: str, path: Path) -> None:
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent))
    command = [str(program), "record", "--pid", str(server.pid), "--duration", str(seconds)]
    command += ["--rate", _SAMPLES_PER_SECOND, "--format", form, "--output", str(path)]
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        raise SystemExit(
            f"py-spy cannot trace the server ({process.stderr.strip()}). It needs root, or a "
            "system that permits users to trace their own processes (kernel.yama.ptrace_scope=0)."
        )


def summary(stacks: Mapping[str, int]) -> str:
    """Shares of the samples by package, and by function of lrs without and with its callees."""
    total = sum(stacks.values()) or 1
    packages: Counter[str] = Counter()
    own: Counter[str] = Counter()
    cumulative: Counter[str] = Counter()
    for stack, count in stacks.items():
        frames = list(_frames(stack))
        packages[_package(frames[-1][1])] += count
        functions = [f"{function} ({file})" for function, file in frames if file.startswith("lrs/")]
        own[functions[-1] if functions else "(outside of lrs)"] += count
        cumulative.update(dict.fromkeys(functions, count))
    tables = {
        "by package": packages,
        "by function, with the libraries it calls": own,
        "by function, cumulative": cumulative,
    }
    return "\n".join(_table(title, counts, total) for title, counts in tables.items())


def _frames(stack: str) -> Iterator[tuple[str, str]]:
    """Function and file of every frame, outermost first."""
    for frame in stack.split(";"):
        if match := _FRAME.fullmatch(frame):
            yield match["function"], match["file"]
        else:
            yield frame, ""


def _package(file: str) -> str:
    """A package of lrs, or the name of a library."""
    path = Path(file).parts
    if path[:1] == ("lrs",):
        return "/".join(path[:3]) if len(path) > 3 else "/".join(path[:2])
    return path[0] if path else "(none)"


def _table(title: str, counts: Counter[str], total: int) -> str:
    lines = (f"{count / total:7.1%}  {name}" for name, count in counts.most_common(_LINES))
    return "\n".join((title, *lines, ""))
