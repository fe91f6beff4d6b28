"""`lrs serve` and other commands in processes of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx

from tests.support.files import ROOT

LRS = [sys.executable, "-c", "from lrs.cli.main import main; main()"]
BARE = {key: value for key, value in os.environ.items() if not key.startswith("LRS_")}
OTHER_PROCESSES_OFF = {"LRS_PIPES_ENABLED": "off", "LRS_PROJECTION_ENABLED": "off"}


class Server:
    """`lrs serve` in its own process, on a free port; name one if the server has a public URL.

    Projector and pipes are off unless the environment enables them: each start costs time. Without
    `wait`, it has printed its URL, and its workers start.
    """

    def __init__(
        self, data: Path, *arguments: str, port: int = 0, wait: bool = True, **environment: str
    ) -> None:
        self.data = data
        data.parent.mkdir(exist_ok=True)
        self.log = data.parent / "stderr.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*LRS, "serve", "--port", str(port), "--data-directory", str(data), *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env=BARE | OTHER_PROCESSES_OFF | environment,
                start_new_session=True,
            )
        self.greeting = ""
        assert self.process.stdout is not None
        while not (result := re.search(r"Learning Record Store at (\S+)", self.greeting)):
            line = self.process.stdout.readline()
            assert line, self.said()
            self.greeting += line
        self.url = f"http://127.0.0.1:{port}" if port else result[1]
        if wait:
            wait_until_ready(self.url)

    def said(self) -> str:
        return self.log.read_text()

    def rest_of_greeting(self) -> str:
        """All output of a stopped server."""
        assert self.process.stdout is not None
        return self.greeting + self.process.stdout.read()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)

    def close(self) -> None:
        if self.process.poll() is None:
            self.stop()
        assert self.process.stdout is not None
        self.process.stdout.close()


def wait_until_ready(url: str) -> None:
    give_up = time.monotonic() + 60
    with httpx.Client() as client:  # a client costs more than a request
        while True:
            with suppress(httpx.HTTPError):
                if client.get(f"{url}/readyz").status_code == 200:
                    return
            assert time.monotonic() < give_up
            time.sleep(0.05)


def wait_for(result: Callable[[], bool], seconds: float = 20) -> None:
    give_up = time.monotonic() + seconds
    while not result():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in its own process."""
    return subprocess.run(
        [*LRS, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=BARE | environment,
        timeout=120,
        check=False,
    )
