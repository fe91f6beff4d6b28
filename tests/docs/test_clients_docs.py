"""docs/clients.md names the clients and the versions of the tests."""

from __future__ import annotations

import json
import re
from importlib.metadata import version

from tests.support.clients import CLIENTS
from tests.support.files import DOCS


def test_documented_clients_are_the_tested_versions() -> None:
    text = (DOCS / "clients.md").read_text()
    documented = dict(re.findall(r"^\| \[([^]]+)\]\([^)]+\) \| ([\d.]+) \|", text, re.MULTILINE))
    tested = json.loads((CLIENTS / "package.json").read_text())["dependencies"]
    assert documented == {**tested, "tincan": version("tincan")}
