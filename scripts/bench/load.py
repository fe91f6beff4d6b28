"""The load: wrk, which takes a fraction of what the server takes; and the CPU each side used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_LUA = """
math.randomseed(os.time() + {seed})
wrk.method = "{method}"
{headers}
local bodies = {{}}
for _, name in ipairs({{{bodies}}}) do
  local file = io.open(name, "rb")
  local text, pieces = file:read("*a"), {{}}
  for piece in (text .. "@ID@"):gmatch("(.-)@ID@") do pieces[#pieces + 1] = piece end
  bodies[#bodies + 1] = pieces
  file:close()
end
local function id()
  local r = math.random
  return string.format("%08x-%04x-4%03x-%04x-%06x%06x", r(0, 4294967295), r(0, 65535),
    r(0, 4095), r(32768, 49151), r(0, 16777215), r(0, 16777215))
end
local turn, paths = 0, {{{paths}}}
function request()
  turn = turn + 1
  local body
  if #bodies > 0 then
    local pieces, out = bodies[turn % #bodies + 1], {{}}
    for i, piece in ipairs(pieces) do
      out[#out + 1] = piece
      if i < #pieces then out[#out + 1] = id() end
    end
    body = table.concat(out)
  end
  return wrk.format(nil, paths[turn % #paths + 1], nil, body)
end
function done(summary, latency, requests)
  io.write(string.format('\\nRESULT {{"requests": %d, "seconds": %f, "p50": %f, "p90": %f, '
    .. '"p99": %f, "refused": %d, "broken": %d}}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(90) / 1e3, latency:percentile(99) / 1e3, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""


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
    """Rates are per second, times in milliseconds, CPU in cores."""

    rate: float
    p50: float
    p90: float
    p99: float
    refused: int
    broken: int
    server_cpu: float = 0.0
    database_cpu: float = 0.0
    generator_cpu: float = 0.0


def available() -> bool:
    return shutil.which("wrk") is not None


def measure(
    base: str,
    request: Request,
    *,
    connections: int,
    seconds: float,
    server: Sequence[int] = (),
    database: Sequence[int] = (),
) -> Measured:
    """Loads `base` with one request; `server` and `database` are process ids to watch."""
    with tempfile.TemporaryDirectory() as folder:
        script = _script(Path(folder), request)
        before = (_cpu(server), _cpu(database))
        spent = os.times()
        shown = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(script), base],
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + 60,
        ).stdout
        now = os.times()
    found = json.loads(shown.rpartition("RESULT ")[2])
    wall = found["seconds"]
    generator = now.children_user + now.children_system
    generator -= spent.children_user + spent.children_system
    return Measured(
        found["requests"] / wall,
        found["p50"],
        found["p90"],
        found["p99"],
        found["refused"],
        found["broken"],
        (_cpu(server) - before[0]) / wall,
        (_cpu(database) - before[1]) / wall,
        generator / wall,
    )


def _script(folder: Path, request: Request) -> Path:
    names = []
    for number, body in enumerate(request.bodies):
        (folder / f"body-{number}").write_bytes(body)
        names.append(json.dumps(str(folder / f"body-{number}")))
    script = folder / "load.lua"
    script.write_text(
        _LUA.format(
            seed=os.getpid(),
            method=request.method,
            headers="\n".join(
                f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}"
                for name, value in request.headers.items()
            ),
            bodies=", ".join(names),
            paths=", ".join(json.dumps(path) for path in request.paths),
        )
    )
    return script


def _cpu(roots: Sequence[int]) -> float:
    """Seconds of CPU that these processes and their children have used."""
    total = 0.0
    seen: set[int] = set()
    for root in roots:
        try:
            family = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
        except psutil.Error:
            continue
        for process in family:
            if process.pid not in seen:
                seen.add(process.pid)
                try:
                    times = process.cpu_times()
                except psutil.Error:
                    continue
                total += times.user + times.system
    return total
