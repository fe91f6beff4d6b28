"""The servers that are measured: ours on a database of its own, and bare ones beside it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent.parent
PARTNER = "demo"
JSON = {"Content-Type": "application/json"}
VERSION = {"X-Experience-API-Version": "1.0.3"}

_LRS = [sys.executable, "-c", "from lrs.cli.main import main; main()"]


@dataclass(frozen=True, slots=True)
class Target:
    """A server to measure. `server` and `database` are the processes to watch, if they are ours.

    `statements` is the path of the resource; `dsn` leads to the database as the server's role.
    """

    base: str
    statements: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    dsn: str = ""
    server: int | None = None
    database: int | None = None

    @property
    def superuser(self) -> str:
        """The way to the same database with all rights."""
        return self.dsn.replace("lrs@", "postgres@", 1)

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.base, headers=dict(self.headers), timeout=60)


@contextmanager
def ours(folder: Path, workers: int = 1, **settings: str) -> Iterator[Target]:
    """Our server with its embedded PostgreSQL in `folder`, and a token of the demo partner.

    Reports are left alone unless the settings say otherwise.
    """
    port = _free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("LRS_")},
        "LRS_DATA_DIRECTORY": str(folder),
        "LRS_PORT": str(port),
        "LRS_WORKERS": str(workers),
        "LRS_LOG_LEVEL": "warning",
        "LRS_PROJECTION": "false",
        "PYTHONPATH": str(ROOT),
        **settings,
    }
    base = f"http://127.0.0.1:{port}"
    with _running([*_LRS, "serve"], environment, f"{base}/readyz") as server:
        postmaster = (folder / "postgres/postmaster.pid").read_text().splitlines()
        yield Target(
            base,
            f"/v1/partners/{PARTNER}/statements",
            {"Authorization": f"Bearer {_token(base, environment)}", **VERSION},
            f"postgresql://lrs@/lrs?host={postmaster[4]}&port=5432",
            server,
            int(postmaster[0]),
        )


@contextmanager
def bare(folder: Path, answer: bytes, workers: int = 1) -> Iterator[Target]:
    """Bare Starlette that gives one answer to everything."""
    port = _free_port()
    (folder / "answer").write_bytes(answer)
    command = [sys.executable, "-m", "uvicorn", "scripts.bench.bare:app", "--port", str(port)]
    command += ["--workers", str(workers), "--no-access-log", "--log-level", "error"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "BARE_ANSWER": str(folder / "answer")}
    base = f"http://127.0.0.1:{port}"
    with _running(command, environment, base) as server:
        yield Target(base, server=server)


@contextmanager
def raw() -> Iterator[Target]:
    """A socket that answers whatever comes."""
    port = _free_port()
    command = [sys.executable, "-m", "scripts.bench.raw", str(port)]
    base = f"http://127.0.0.1:{port}"
    with _running(command, os.environ | {"PYTHONPATH": str(ROOT)}, base) as server:
        yield Target(base, server=server)


@contextmanager
def _running(command: list[str], environment: Mapping[str, str], url: str) -> Iterator[int]:
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            _await_answer(url, process)
            yield process.pid
        finally:
            process.terminate()
            process.wait(90)


def _await_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"the server for {url} ended at once")
        try:
            httpx.get(url, timeout=5)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nothing answers at {url}")


def _token(base: str, environment: Mapping[str, str]) -> str:
    command = [*_LRS, "credential", "add", PARTNER, "--label", "Bench"]
    command += ["--scope", "all", "--scope", "admin"]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = dict(re.findall(r"^(key|secret)\s+(\S+)$", shown.stdout, re.MULTILINE))
    answer = httpx.post(
        f"{base}/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=(found["key"], found["secret"]),
    )
    return str(answer.raise_for_status().json()["access_token"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
