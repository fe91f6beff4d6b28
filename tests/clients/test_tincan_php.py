"""TinCanPHP: LRS_TEST_TINCANPHP names the folder of its source; Composer is not needed."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.support.clients import (
    CLIENTS,
    DOCUMENTS,
    check_statements,
    configuration,
    stored_attachments,
)
from tests.support.partners import Partner
from tests.support.programs import find_program

FOLDER = os.environ.get("LRS_TEST_TINCANPHP")


@pytest.mark.skipif(not FOLDER, reason="LRS_TEST_TINCANPHP is not set")
def test_tincan_php_round_trips(server: str, partner: Partner) -> None:
    arguments = [str(FOLDER), json.dumps(configuration(server, partner))]
    ran = subprocess.run(
        [find_program("php"), "tincan.php", *arguments],
        cwd=CLIENTS,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-3000:]
    result = json.loads(ran.stdout)
    assert "1.0.3" in result["about"]
    check_statements(result["statements"])
    attachments = result["attachments"]
    assert attachments["one"] == attachments["sent"]
    assert stored_attachments(server, partner, attachments["id"]) == attachments["sent"]
    for kind in DOCUMENTS:
        assert result[kind] == {
            "created": {"page": 1},
            "replaced": {"page": 3},
            "stale": 412,
            "listed": ["a/b?c&d", "bookmark"],
            "dropped": 404,
        }
