"""The load generator wrk, and the CPU and memory that processes use meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import psutil  # type: ignore[import-untyped]

from scripts.bench.samples import Samples
from scripts.bench.servers import JSON, Server

_SCRIPT = Path(__file__).with_name("wrk.lua")
_MEMORY_INTERVAL = 0.1


@dataclass(frozen=True, slots=True)
class Request:
    """The request that a load repeats. Paths and bodies alternate in order.

    wrk replaces every `@ID@` in a body with a fresh UUID.
    """

    method: str = "GET"
    paths: Sequence[str] = ("/",)
    headers: Mapping[str, str] = field(default_factory=dict)
    bodies: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Measurement:
    """Rates per second, latencies in milliseconds, CPU in cores.

    `refused` counts responses with status 400 and above, `failed` connection errors and timeouts.
    """

    rate: float
    p50: float
    p99: float
    refused: int
    failed: int
    seconds: float
    server_cpu: float
    database_cpu: float
    load_cpu: float

    @property
    def accepted(self) -> float:
        return self.rate - self.refused / self.seconds


def require_wrk() -> None:
    """Install wrk with apt-get if permitted, or exit with instructions."""
    if shutil.which("wrk"):
        return
    apt, sudo = shutil.which("apt-get"), shutil.which("sudo")
    if apt and (os.geteuid() == 0 or sudo):
        as_root = [] if os.geteuid() == 0 else [str(sudo)]
        install = [apt, "install", "-y", "-qq", "--no-install-recommends", "wrk"]
        for command in ([apt, "update", "-qq"], install):
            subprocess.run([*as_root, *command], check=False, stdout=subprocess.DEVNULL)
    if not shutil.which("wrk"):
        raise SystemExit(
            "The load generator wrk is required and could not be installed. Install it with "
            "apt-get install wrk, brew install wrk, or from github.com/wg/wrk."
        )


def posts(server: Server, size: int, path: str | None = None) -> Request:
    """POST requests of `size` statements with fresh ids."""
    samples = Samples(size)
    bodies = []
    for _ in range(max(4000 // size, 200 if size == 1 else 8)):
        statements = [samples.statement("@ID@") for _ in range(size)]
        bodies.append(orjson.dumps(statements if size > 1 else statements[0]))
    return Request("POST", (path or server.path,), {**server.headers, **JSON}, bodies)


def run(server: Server, request: Request, *, connections: int, seconds: int) -> Measurement:
    """Send a request on every connection again as soon as it is answered (closed loop)."""
    with tempfile.TemporaryDirectory() as folder:
        plan = _plan(Path(folder), request)
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
        command += ["-s", str(_SCRIPT), server.url, "--", str(plan)]
        before = cpu_seconds(server)
        process = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 90)
        after = cpu_seconds(server)
    if process.returncode:
        raise SystemExit(f"wrk failed on {server.url}: {process.stderr or process.stdout}")
    result = json.loads(process.stdout.rpartition("RESULT ")[2])
    wall = result["seconds"]
    server_cpu, database_cpu, load_cpu = (
        (end - begin) / wall for begin, end in zip(before, after, strict=True)
    )
    return Measurement(
        rate=result["requests"] / wall,
        p50=result["p50"],
        p99=result["p99"],
        refused=result["refused"],
        failed=result["failed"],
        seconds=wall,
        server_cpu=server_cpu,
        database_cpu=database_cpu,
        load_cpu=load_cpu,
    )


def _plan(folder: Path, request: Request) -> Path:
    """The request as a Lua table in a file, for wrk.lua."""
    names = []
    for number, body in enumerate(request.bodies):
        path = folder / f"body-{number}"
        path.write_bytes(body)
        names.append(str(path))
    members = [f"[{_lua(name)}] = {_lua(value)}" for name, value in request.headers.items()]
    plan = folder / "plan.lua"
    plan.write_text(
        f"return {{\n  seed = {time.time_ns() % 2**31},\n  method = {_lua(request.method)},\n"
        f"  headers = {{{', '.join(members)}}},\n"
        f"  paths = {{{', '.join(map(_lua, request.paths))}}},\n"
        f"  bodies = {{{', '.join(map(_lua, names))}}},\n}}\n"
    )
    return plan


def _lua(text: str) -> str:
    """A Lua string literal. For ASCII, JSON and Lua have the same escapes."""
    return json.dumps(text)


# CPU and memory


def cpu_seconds(server: Server) -> tuple[float, float, float]:
    """CPU seconds of the server, of its database and of wrk (the only child that ends)."""
    times = os.times()
    return (
        sum(map(_cpu, _processes(server.pid, without=server.database_pid))),
        sum(map(_cpu, _processes(server.database_pid))),
        times.children_user + times.children_system,
    )


def _cpu(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        times = process.cpu_times()
        children = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
        return float(times.user + times.system + children)
    return 0.0


def _processes(pid: int | None, *, without: int | None = None) -> set[psutil.Process]:
    """A process and its descendants, without the tree of another one."""
    if pid is None:
        return set()
    try:
        process = psutil.Process(pid)
        return {process, *process.children(recursive=True)} - _processes(without)
    except psutil.Error:
        return set()


@dataclass
class Memory:
    """In megabytes."""

    peak: float = 0.0


@contextmanager
def peak_memory(server: Server) -> Iterator[Memory]:
    """The peak resident memory of the server, without its database, during the block."""
    memory, stopped = Memory(), threading.Event()

    def sample() -> None:
        while not stopped.wait(_MEMORY_INTERVAL):
            total = 0.0
            for process in _processes(server.pid, without=server.database_pid):
                with suppress(psutil.Error):
                    total += process.memory_info().rss / 1e6
            memory.peak = max(memory.peak, total)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield memory
    finally:
        stopped.set()
        thread.join()
