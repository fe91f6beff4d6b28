"""xAPI clients in JavaScript, run by Node against the server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.clients import (
    CLIENTS,
    DOCUMENTS,
    check_document,
    check_statements,
    check_xapi,
    configuration,
    run_in_node,
    stored_attachments,
)
from tests.support.partners import Partner

pytestmark = pytest.mark.slow


def test_tincanjs_round_trips(packages: Path, server: str, partner: Partner) -> None:
    """In Node, the client replaces bytes that are not UTF-8: its attachments are text."""
    result = run_in_node(packages, "tincanjs", configuration(server, partner, contents="text"))
    assert "1.0.3" in result["about"]
    check_statements(result["statements"])
    attachments = result["attachments"]
    assert attachments["one"] == attachments["page"] == attachments["sent"]
    assert stored_attachments(server, partner, attachments["id"]) == attachments["sent"]
    for kind in DOCUMENTS:
        check_document(result[kind], dropped=None)


@pytest.mark.parametrize(("adapter", "version"), [("fetch", "1.0.3"), ("axios", "2.0.0")])
def test_xapi_round_trips(
    packages: Path, server: str, partner: Partner, adapter: str, version: str
) -> None:
    """With axios in Node, the client sends attachments as application/octet-stream."""
    configured = configuration(server, partner, version=version, adapter=adapter, contents="binary")
    result = run_in_node(packages, "xapi", configured)
    assert {"1.0.3", "2.0.0"} <= set(result["about"])
    check_xapi(result, version)
    attachments = result["attachments"]
    assert stored_attachments(server, partner, attachments["id"]) == attachments["sent"]
    assert result["textAttachment"] == {"one": ["Gr\u00fc\u00dfe"], "page": ["Gr\u00fc\u00dfe"]}


def test_adl_xapiwrapper_round_trips(packages: Path, server: str, partner: Partner) -> None:
    result = run_in_node(packages, "adl-xapiwrapper", configuration(server, partner))
    assert result["reachable"]
    check_statements(result["statements"])
    assert result["statements"]["response"] == result["statements"]["sent"][:1]
    for kind in DOCUMENTS:
        check_document(result[kind] | {"dropped": None}, dropped=None)
    assert result["person"]["name"] == ["J\u00fcrgen"]


def test_lock_file_has_hashes_and_no_urls() -> None:
    """npm's configuration decides the registry; hashes identify the packages."""
    text = (CLIENTS / "package-lock.json").read_text()
    assert "://" not in text
    packages = json.loads(text)["packages"]
    assert all("integrity" in package for path, package in packages.items() if path)
