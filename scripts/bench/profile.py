"""`make profile`: where a request's time goes, by sampling the running server under load."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.bench import filling, load, plans, servers
from scripts.bench.load import Measured, Request
from scripts.bench.measures import reads
from scripts.bench.servers import Target

_FRAME = re.compile(r"(?P<function>.+) \((?P<file>[^:()]+)(?::\d+)?\)")
_SHOWN = 25
_RATE = "250"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=int, default=6, help="that each load is sampled")
    parser.add_argument("--stored", type=int, default=100_000, help="statements to store first")
    parser.add_argument("--output", type=Path, default=Path("bench/profile"), help="folder")


def run(options: argparse.Namespace, folder: Path) -> None:
    """Sample the server under load, and explain each query on a large database."""
    options.output.mkdir(parents=True, exist_ok=True)
    with servers.ours(folder / "profile") as target:
        filling.fill(target, options.stored)
        for name, (request, connections) in _loads(target).items():
            found, stacks = _sampled(target, request, connections, options, name)
            text = f"{name}: {found.rate:,.0f} requests/s\n\n{summary(stacks)}"
            (options.output / f"{name}.txt").write_text(text)
            print(text)
    path = options.output / "plans.txt"
    path.write_text(plans.explained(folder / "profile"))
    print(f"written to {options.output}: flame graphs, summaries, and {path.name}")


def _loads(target: Target) -> Mapping[str, tuple[Request, int]]:
    pages = reads.lists(target, reads.LISTS)
    return {
        "post-1": (load.posts(target, 1, 200), 64),
        "post-50": (load.posts(target, 50, 80), 4),
        "post-500-xapi": (load.posts(target, 500, 8, "/xapi/statements"), 4),
        "get-1": (Request("GET", reads.ids(target), target.headers), 16),
        "get-100": (Request("GET", pages["100 by activity"], target.headers), 16),
    }


def _sampled(
    target: Target, request: Request, connections: int, options: argparse.Namespace, name: str
) -> tuple[Measured, Counter[str]]:
    """Under one load after the other: stacks for the summary, then a flame graph."""
    stacks = options.output / f"{name}.stacks"
    for form, path in (("raw", stacks), ("flamegraph", options.output / f"{name}.svg")):
        with ThreadPoolExecutor(1) as beside:
            seconds = options.seconds + 2
            found = beside.submit(
                load.measure, target, request, connections=connections, seconds=seconds
            )
            _sample(target, options.seconds, form, path)
            measured = found.result()
    counted: Counter[str] = Counter()
    for line in stacks.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        counted[stack] += int(count)
    return measured, counted


def _sample(target: Target, seconds: int, form: str, path: Path) -> None:
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent))
    command = [str(program), "record", "--pid", str(target.server), "--duration", str(seconds)]
    command += ["--rate", _RATE, "--format", form, "--output", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(
            f"py-spy cannot look into the server ({done.stderr.strip()}): it needs to be root, or "
            "a system that lets a user trace their own processes (kernel.yama.ptrace_scope = 0)."
        )


# Reading what was sampled


def summary(stacks: Mapping[str, int]) -> str:
    """Shares of the samples: by package, by our own functions, with and without what they call."""
    total = sum(stacks.values()) or 1
    packages: Counter[str] = Counter()
    inner: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for stack, count in stacks.items():
        frames = list(_frames(stack))
        packages[_package(frames[-1][1])] += count
        ours = [f"{function} ({file})" for function, file in frames if file.startswith("lrs/")]
        inner[ours[-1] if ours else "(outside of lrs)"] += count
        within.update(dict.fromkeys(ours, count))
    parts = {
        "where the interpreter is": packages,
        "our functions, with the libraries they call": inner,
        "our functions, with all that they call": within,
    }
    return "\n".join(_ranked(title, counted, total) for title, counted in parts.items())


def _frames(stack: str) -> Iterator[tuple[str, str]]:
    for frame in stack.split(";"):
        if found := _FRAME.fullmatch(frame):
            yield found["function"], found["file"]
        else:
            yield frame, ""


def _package(file: str) -> str:
    """The room of a file of ours, or the name of a library."""
    parts = Path(file).parts
    if parts[:1] == ("lrs",):
        return "/".join(parts[:3]) if len(parts) > 3 else "/".join(parts[:2])
    return parts[0] if parts else "(none)"


def _ranked(title: str, counted: Counter[str], total: int) -> str:
    lines: Iterable[str] = (
        f"{count / total:7.1%}  {name}" for name, count in counted.most_common(_SHOWN)
    )
    return "\n".join((title, *lines, ""))
