"""The clients in tests/clients: installed from the npm registry, and their results."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from lrs.xapi import multipart
from tests.support.files import ROOT
from tests.support.partners import Partner
from tests.support.programs import find_program
from tests.support.statements import XAPI

Json = dict[str, Any]

DOCUMENTS = ("state", "activityProfile", "agentProfile")
CLIENTS = ROOT / "tests" / "clients"
CACHE = ROOT / ".cache" / "clients"
PACKAGE_FILES = ("package.json", "package-lock.json", ".npmrc")
NPM_OPTIONS = ["--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"]


def installed_packages() -> Path:
    """The folder of the packages in the lock file, which are installed once per lock file.

    Skips the test if they cannot be installed, or fails in CI.
    """
    npm, node = find_program("npm"), find_program("node", "nodejs")
    lock_file = (CLIENTS / "package-lock.json").read_bytes()
    folder = CACHE / hashlib.sha256(lock_file).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # between the processes of a test run
        complete = folder / "complete"
        if not complete.exists():
            for name in PACKAGE_FILES:
                shutil.copy(CLIENTS / name, folder)
            installed = _run([npm, "ci", *NPM_OPTIONS, "--loglevel=error"], folder, timeout=300)
            if installed.returncode:
                _unavailable(f"npm ci: {installed.stderr.strip()[:500]}")
            complete.write_text(node)
    return folder / "node_modules"


def _unavailable(message: str) -> None:
    if "CI" in os.environ:
        pytest.fail(message)
    pytest.skip(message)


def _run(command: Sequence[str], folder: Path, timeout: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, encoding="utf-8", timeout=timeout, check=False
    )


def configuration(server: str, partner: Partner, **members: Any) -> Json:
    """The argument of a program: the access to the server, and members of its own."""
    access = {"endpoint": f"{server}/xapi/", "key": partner.key, "secret": partner.secret}
    return access | members


def run_in_node(packages: Path, program: str, configuration: Json) -> Json:
    """The result of a program of tests/clients."""
    node = find_program("node", "nodejs")
    command = [node, "run.mjs", str(packages), program, json.dumps(configuration)]
    ran = _run(command, CLIENTS, timeout=120)
    assert ran.returncode == 0, ran.stderr[-2000:]
    result: Json = json.loads(ran.stdout)
    return result


def stored_attachments(url: str, partner: Partner, statement_id: str) -> list[str]:
    """The contents of a statement's attachments as the server has them, in hexadecimal digits."""
    response = httpx.get(
        f"{url}/xapi/statements",
        params={"statementId": statement_id, "attachments": "true"},
        headers=XAPI,
        auth=(partner.key, partner.secret),
        timeout=30,
    )
    assert response.status_code == 200, response.text
    text, attachments = multipart.parse(response.content, response.headers["content-type"])
    declared = json.loads(text)["attachments"]
    for attachment in declared:
        content = attachments[attachment["sha2"]].content
        assert hashlib.sha256(content).hexdigest() == attachment["sha2"]
        assert len(content) == attachment["length"]
    return [attachments[attachment["sha2"]].content.hex() for attachment in declared]


def check_statements(result: Json) -> None:
    """Four statements, read newest first in pages of three; an invalid one is refused."""
    assert result["one"] == result["sent"][0]
    assert [len(page) for page in result["pages"]] == [3, 1]
    listed = [statement_id for page in result["pages"] for statement_id in page]
    assert sorted(listed) == sorted(result["sent"])
    assert listed[-1] == result["sent"][0]
    assert result["invalid"] == 400


def check_document(result: Json, dropped: int | None) -> None:
    """A document created, merged, replaced under a condition, listed and deleted."""
    assert result == {
        "created": {"page": 1},
        "merged": {"page": 1, "seen": ["\u00fc"]},
        "stale": 412,
        "listed": ["a/b?c&d", "bookmark"],
        "dropped": dropped,
    }


def check_xapi(result: Json, version: str) -> None:
    statements = result["statements"]
    first, *batch = statements["sent"]
    check_statements(statements)
    assert statements["responses"] == [[first], [first], batch]
    assert statements["duration"] == "PT1M2.5S"
    assert statements["withVerb"] == [batch[1]]
    assert sorted(statements["since"]) == sorted(batch)
    assert statements["voided"] == batch[0]
    assert statements["notVoided"] == 4  # with the voiding statement
    assert statements["conflict"] == 409
    assert statements["version"] == version
    for kind in DOCUMENTS:
        check_document(result[kind], dropped=404)
    assert result["deletedStates"] == []
    assert result["person"]["name"] == ["J\u00fcrgen"]
    name = {"en-US": "A course", "de-DE": "Ein Kurs"}
    assert result["activity"]["definition"] == {"name": name}
