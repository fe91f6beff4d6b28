"""The load: wrk, which takes a fraction of what the server takes; and the CPU each side used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from scripts.bench.processes import cpu_seconds, machine_seconds
from scripts.bench.samples import Samples
from scripts.bench.servers import JSON, Target

_SCRIPT = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked again and again: each path in turn, each body in turn.

    `@ID@` in a body becomes a fresh UUID each time it is sent.
    """

    method: str = "GET"
    paths: Sequence[str] = ("/",)
    headers: Mapping[str, str] = field(default_factory=dict)
    bodies: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """Rates are per second, times in milliseconds, CPU in cores.

    `refused` counts answers of 400 and above, `broken` connections and timeouts. `other_cpu` is
    what went to neither server, database nor generator.
    """

    rate: float
    p50: float
    p90: float
    p99: float
    refused: int
    broken: int
    seconds: float
    server_cpu: float
    database_cpu: float
    generator_cpu: float
    other_cpu: float

    @property
    def cpu(self) -> float:
        return self.server_cpu + self.database_cpu + self.generator_cpu + self.other_cpu

    @property
    def share_refused(self) -> float:
        return self.refused / max(self.rate * self.seconds, 1)

    @property
    def share_broken(self) -> float:
        return self.broken / max(self.rate * self.seconds, 1)

    @property
    def accepted(self) -> float:
        return self.rate - self.refused / self.seconds


def require_wrk() -> None:
    """Installs wrk where that is possible, and says what to do where it is not."""
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
            "The load generator wrk is needed, and could not be installed: on Debian and Ubuntu "
            "apt-get install wrk, on macOS brew install wrk, or from github.com/wg/wrk."
        )


def posts(target: Target, size: int, count: int, path: str | None = None) -> Request:
    """POSTs of `size` statements, `count` different bodies; ids are fresh each time."""
    samples = Samples(size)
    bodies = []
    for _ in range(count):
        statements = [samples.statement("@ID@") for _ in range(size)]
        bodies.append(orjson.dumps(statements if size > 1 else statements[0]))
    return Request("POST", (path or target.statements,), {**target.headers, **JSON}, bodies)


def measure(target: Target, request: Request, *, connections: int, seconds: int) -> Measured:
    """Loads the target with one request, each connection as fast as it is answered."""
    with tempfile.TemporaryDirectory() as folder:
        plan = _plan(Path(folder), request)
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
        command += ["-s", str(_SCRIPT), target.base, "--", str(plan)]
        before = _cpu(target)
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 90)
        after = _cpu(target)
    if done.returncode:
        raise SystemExit(f"wrk could not load {target.base}: {done.stderr or done.stdout}")
    found = json.loads(done.stdout.rpartition("RESULT ")[2])
    wall = found["seconds"]
    whole, *ours = ((now - then) / wall for then, now in zip(before, after, strict=True))
    server, database, generator = ours
    return Measured(
        rate=found["requests"] / wall,
        p50=found["p50"],
        p90=found["p90"],
        p99=found["p99"],
        refused=found["refused"],
        broken=found["broken"],
        seconds=wall,
        server_cpu=server,
        database_cpu=database,
        generator_cpu=generator,
        other_cpu=max(whole - sum(ours), 0.0),
    )


def _cpu(target: Target) -> tuple[float, float, float, float]:
    """Seconds used by all, by server, by database and by generator.

    The generator is the only child that ends meanwhile.
    """
    times = os.times()
    return (
        machine_seconds(),
        cpu_seconds(target.server, without=target.database),
        cpu_seconds(target.database),
        times.children_user + times.children_system,
    )


def _plan(folder: Path, request: Request) -> Path:
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
    """A Lua string; JSON's escapes of plain ASCII are Lua's too."""
    return json.dumps(text)
