"""Clients that send statements while processes are killed, and what is stored after that."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.support.statements import XAPI, new_id, statement


def postgres(data: Path) -> list[psutil.Process]:
    """The processes of the embedded PostgreSQL on this directory."""
    result = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.name() == "postgres" and Path(process.cwd()) == data / "postgres":
                result.append(process)
    return result


class Senders:
    """Clients that send statements and batches in a loop, and record the outcome of each."""

    def __init__(self, url: str, auth: tuple[str, str], count: int = 6) -> None:
        self.url, self.auth = url, auth
        self.sent: set[str] = set()
        self.acknowledged: list[str] = []
        self.cut: list[str] = []
        self.unexpected: list[Any] = []
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.send, args=(n,)) for n in range(count)]
        for thread in self.threads:
            thread.start()

    def send(self, number: int) -> None:
        with httpx.Client(auth=self.auth, headers=XAPI, timeout=15) as client:
            while not self.ended.is_set():
                ids = [new_id() for _ in range((1, 10)[number % 2])]
                self.sent.update(ids)
                batch = [statement(id=item) for item in ids]
                try:
                    response = client.post(
                        f"{self.url}/xapi/statements", json=batch if number % 2 else batch[0]
                    )
                except httpx.ConnectError:
                    time.sleep(0.02)
                except httpx.HTTPError:
                    self.cut += ids
                else:
                    if response.status_code == 200:
                        self.acknowledged += ids
                    elif response.status_code != 503:
                        self.unexpected.append(response.text)

    def wait_for(self, more: int) -> None:
        """Returns after `count` more statements are acknowledged."""
        wanted, give_up = len(self.acknowledged) + more, time.monotonic() + 20
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < give_up
            time.sleep(0.005)

    def end(self) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()
        assert self.unexpected == []


def stored(url: str, auth: tuple[str, str]) -> Counter[str]:
    result: Counter[str] = Counter()
    with httpx.Client(auth=auth, headers=XAPI, base_url=url) as client:
        more = "/xapi/statements?format=ids"
        while more:
            page = client.get(more).json()
            result.update(item["id"] for item in page["statements"])
            more = page["more"]
    return result
