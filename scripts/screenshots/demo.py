"""A server of its own with a partner that sends, well and badly."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

LRS = [sys.executable, "-c", "from lrs.cli.main import main; main()"]
PARTNER = "acme"
PASSWORD = "correct horse battery"  # noqa: S105  of a server that ends with the script

_VERBS = ("completed", "progressed", "passed", "experienced")
_XAPI = {"X-Experience-API-Version": "1.0.3"}


@contextmanager
def running(directory: Path) -> Iterator[tuple[str, str]]:
    """The URL of a new server, and the one-time link of its owner."""
    serve = [*LRS, "serve", "--port", "0", "--data-directory", str(directory / "data")]
    process = subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield _read_greeting(process)
    finally:
        process.terminate()
        process.wait(20)


def _read_greeting(process: subprocess.Popen[str]) -> tuple[str, str]:
    url = link = ""
    for line in process.stdout or ():
        url = url or "".join(re.findall(r"Learning Record Store at (\S+)", line))
        link = link or "".join(re.findall(r"(http\S+/console/link\S+)", line))
        if url and link:
            return url, link
    raise SystemExit("The server did not start.")


def fill(client: httpx.Client) -> tuple[str, str]:
    """Adds a partner that sends statements, and requests that are refused; its credential."""
    client.post("/v1/admin/partners", json={"name": PARTNER, "title": "Acme Learning"})
    client.post("/v1/admin/partners", json={"name": "globex", "title": "Globex"})
    content = {"label": "course platform", "scopes": ["all"]}
    issued = client.post(f"/v1/admin/partners/{PARTNER}/credentials", json=content).json()
    credential = (issued["key"], issued["secret"])
    base = f"/v1/partners/{PARTNER}"
    with httpx.Client(base_url=client.base_url, auth=credential, headers=_XAPI) as sender:
        for organization in ("north", "south"):
            batch = [_statement(number) for number in range(60)]
            path = f"{base}/organizations/{organization}/statements"
            token = sender.post("/oauth2/token", data={"grant_type": "client_credentials"}).json()
            bearer = {"Authorization": f"Bearer {token['access_token']}"}
            httpx.post(f"{client.base_url}{path}", json=batch, headers=bearer)
        reference = sender.get("/xapi/statements", params={"limit": 1}).json()["statements"][0]
        sender.post("/xapi/statements", json=_reference_to(reference["id"]))
        _send_wrong_items(sender, bearer)
        sender.get("/xapi/v1/statement")
        sender.post(f"/v1/partner/{PARTNER}/statements", json=[])
        httpx.get(
            f"{client.base_url}/xapi/statements", auth=(credential[0], "wrong"), headers=_XAPI
        )
    _add_pipes(client, credential)
    time.sleep(5)  # the ledger and the projection write every few seconds
    return credential


def _add_pipes(client: httpx.Client, credential: tuple[str, str]) -> None:
    """A pipe to another partner, which has other statements with two ids, and two that fail."""
    issued = client.post("/v1/admin/partners/globex/credentials", json={}).json()
    globex = {"kind": "basic", "key": issued["key"], "secret": issued["secret"]}
    found = httpx.get(
        f"{client.base_url}/xapi/statements", params={"limit": 2}, auth=credential, headers=_XAPI
    ).json()["statements"]
    for item in found:
        other = _statement(3) | {"id": item["id"]}
        httpx.post(
            f"{client.base_url}/xapi/statements", json=other, headers=_XAPI,
            auth=(issued["key"], issued["secret"]),
        )  # fmt: skip
    url, start = f"{client.base_url}/xapi", {"start": "beginning"}
    for name, direction, target, options in (
        ("warehouse", "forward", url, start),
        ("archive", "forward", "http://127.0.0.1:9/xapi", start),
        ("history", "pull", url, {}),
    ):
        pipe = {"name": name, "direction": direction, "url": target, "credentials": globex}
        body = {**pipe, "options": options, "start": True}
        client.post(f"/v1/admin/partners/{PARTNER}/pipes", json=body).raise_for_status()


def _statement(number: int) -> dict[str, Any]:
    chosen = random.Random(number)
    verb, course = chosen.choice(_VERBS), chosen.randrange(1, 6)
    learner = chosen.choice(("ada", "ben", "chloe", "dan", "eve", "femi"))
    day = chosen.randrange(1, 29)
    return {
        "actor": {"mbox": f"mailto:{learner}@example.com", "name": learner.capitalize()},
        "verb": {"id": f"http://adlnet.gov/expapi/verbs/{verb}", "display": {"en": verb}},
        "object": {
            "id": f"https://acme.example/courses/{course}",
            "definition": {
                "name": {"en": f"Course {course}"},
                "type": "http://adlnet.gov/expapi/activities/course",
            },
        },
        "result": {
            "score": {"scaled": 0.8},
            "completion": verb == "completed",
            "duration": f"PT{chosen.randrange(5, 90)}M",
        },
        "timestamp": f"2026-{chosen.randrange(8, 12):02}-{day:02}T10:{number % 60:02}:00Z",
    }


def _reference_to(statement_id: str) -> dict[str, Any]:
    return {
        **_statement(1),
        "object": {"objectType": "StatementRef", "id": statement_id},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/commented", "display": {"en": "commented"}},
    }


def _send_wrong_items(sender: httpx.Client, bearer: dict[str, str]) -> None:
    wrong = _statement(7)
    wrong["actor"] = {"mbox": "ada@example.com"}
    wrong["timestamp"] = "yesterday"
    unfinished = {name: _statement(8)[name] for name in ("actor", "object")}
    url = f"{sender.base_url}/v1/partners/{PARTNER}/statements"
    for _ in range(3):
        httpx.post(url, json=[_statement(9), wrong], headers=bearer)
    httpx.post(url, json=unfinished, headers=bearer)
