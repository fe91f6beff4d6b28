"""The servers under load: lrs with its own database, and bare Starlette as a baseline."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ROOT = Path(__file__).resolve().parent.parent.parent
PARTNER = "demo"
JSON = {"Content-Type": "application/json"}
VERSION = {"X-Experience-API-Version": "1.0.3"}

LRS = [sys.executable, "-c", "from lrs.cli.main import main; main()"]


@dataclass(frozen=True, slots=True)
class Server:
    """`path` is the statements resource. Process ids and `dsn` are empty for an external server."""

    url: str
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    dsn: str = ""
    pid: int | None = None
    database_pid: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def process_id(self) -> int:
        """Raises ValueError for an external server."""
        if self.pid is None:
            raise ValueError("An external server has no process id.")
        return self.pid

    @property
    def superuser_dsn(self) -> str:
        return self.dsn.replace("lrs@", "postgres@", 1)

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=dict(self.headers), timeout=60)

    def metric(self, name: str) -> float:
        """A value of /metrics without labels."""
        with self.client() as client:
            text = client.get("/metrics").raise_for_status().text
        match = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
        return float(match[1]) if match else 0.0


@contextmanager
def lrs(folder: Path, workers: int = 1, **settings: str) -> Iterator[Server]:
    """lrs with its embedded PostgreSQL in `folder`, and a token of the demo partner.

    The projection is off unless the settings enable it.
    """
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("LRS_")},
        "LRS_DATA_DIRECTORY": str(folder),
        "LRS_PORT": str(port),
        "LRS_WORKERS": str(workers),
        "LRS_LOG_LEVEL": "warning",
        "LRS_PROJECTION_ENABLED": "false",
        "PYTHONPATH": str(ROOT),
        **settings,
    }
    url = f"http://127.0.0.1:{port}"
    with _process([*LRS, "serve"], environment, f"{url}/readyz") as pid:
        postmaster = (folder / "postgres/postmaster.pid").read_text().splitlines()
        server = Server(
            url,
            dsn=f"postgresql://lrs@/lrs?host={postmaster[4]}&port=5432",
            pid=pid,
            database_pid=int(postmaster[0]),
            environment=environment,
        )
        yield _as_partner(server, PARTNER)


def add_partner(server: Server, name: str) -> Server:
    """The same server with the token of a new partner."""
    run_command(server, "partner", "add", name)
    return _as_partner(server, name)


def _as_partner(server: Server, name: str) -> Server:
    output = run_command(
        server, "credential", "add", name, "--label", "Bench", "--scope", "all", "--scope", "admin"
    )
    credential = dict(re.findall(r"^(key|secret)\s+(\S+)$", output, re.MULTILINE))
    response = httpx.post(
        f"{server.url}/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=(credential["key"], credential["secret"]),
    )
    token = response.raise_for_status().json()["access_token"]
    headers = {"Authorization": f"Bearer {token}", **VERSION}
    return replace(server, path=f"/v1/partners/{name}/statements", headers=headers)


def run_command(server: Server, *arguments: str) -> str:
    """The output of a command of lrs on the server's database."""
    command = [*LRS, *arguments]
    return subprocess.run(
        command, env=server.environment, capture_output=True, text=True, check=True
    ).stdout


def external(endpoint: str, authorization: str) -> Server:
    """Another LRS, by its xAPI endpoint."""
    parts = urlsplit(endpoint.rstrip("/"))
    headers = {**VERSION, "Authorization": authorization}
    return Server(f"{parts.scheme}://{parts.netloc}", f"{parts.path}/statements", headers)


@contextmanager
def starlette(folder: Path, body: bytes, workers: int = 1) -> Iterator[Server]:
    """Starlette on uvicorn that reads every request and responds with `body`."""
    port = free_port()
    path = folder / "response"
    path.write_bytes(body)
    command = [sys.executable, "-m", "uvicorn", "--factory", "scripts.bench.servers:starlette_app"]
    command += ["--port", str(port), "--workers", str(workers), "--log-level", "error"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "BENCH_RESPONSE": str(path)}
    url = f"http://127.0.0.1:{port}"
    with _process([*command, "--no-access-log"], environment, url) as pid:
        yield Server(url, pid=pid)


def starlette_app() -> Starlette:
    body = Path(os.environ["BENCH_RESPONSE"]).read_bytes()

    async def respond(request: Request) -> Response:
        if request.method == "POST":
            await request.body()
        return Response(body, media_type="application/json")

    return Starlette(routes=[Route("/{path:path}", respond, methods=["GET", "POST"])])


@contextmanager
def _process(command: list[str], environment: Mapping[str, str], url: str) -> Iterator[int]:
    """The id of a process that responds at `url`."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            _await_response(url, process)
            yield process.pid
        finally:
            process.terminate()
            process.wait(90)


def _await_response(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        if process.poll() is not None:
            raise SystemExit(f"The server of {url} exited with {process.returncode}.")
        with suppress(httpx.TransportError):
            if httpx.get(url, timeout=5).status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return  # 503: the server is still starting
        time.sleep(0.05)
    raise SystemExit(f"No response from {url}.")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
