"""Continuous archiving of the embedded database, and restore to a point in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from lrs.embedded_postgres import wal_archive
from tests.support.backups import PASSPHRASE, last_line_refused
from tests.support.senders import stored
from tests.support.server_process import Server, run
from tests.support.statements import XAPI, new_id, statement


def post(server: Server, auth: tuple[str, str], count: int) -> set[str]:
    """Ids of new statements; all requests but the first wait a moment of the database's clock."""
    ids = [new_id() for _ in range(count)]
    for item in ids:
        response = httpx.post(
            f"{server.url}/xapi/statements", json=statement(id=item), auth=auth, headers=XAPI
        )
        assert response.status_code == 200
    return set(ids)


def ids(data: Path, auth: tuple[str, str]) -> set[str]:
    server = Server(data, LRS_LOG_LEVEL="warning")
    try:
        return set(stored(server.url, auth))
    finally:
        server.close()


def test_archive_restores_the_statements_of_a_time_and_of_its_end(
    partner_data: Path, auth: tuple[str, str]
) -> None:
    parent = partner_data.parent
    archive = parent / "arch'ive 50%f"
    environment = {"LRS_WAL_ARCHIVE_DIRECTORY": str(archive), "PASSPHRASE": PASSPHRASE}
    command = ("--data-directory", str(partner_data))
    server = Server(partner_data, LRS_LOG_LEVEL="warning", **environment)
    try:
        first = post(server, auth, 2)
        for _ in range(2):
            base = run("backup", "base", "--keep", "1", *command, **environment)
            assert base.returncode == 0, base.stderr
        second = post(server, auth, 2)
        until = datetime.now(UTC)
        third = post(server, auth, 2)
    finally:
        server.close()
    assert len(list(archive.glob("base-*"))) == 1
    assert not list((archive / "wal").glob("*.new"))
    for name, arguments, expected in (
        ("then", ("--until", until.isoformat()), first | second),
        ("end", (), first | second | third),
    ):
        data = parent / name
        result = run(
            "restore", str(archive), *arguments, "--data-directory", str(data),
            PASSPHRASE=PASSPHRASE,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        assert ids(data, auth) == expected
    unreachable = (
        (until + timedelta(days=1), "recovery ended before configured recovery target was reached"),
        (until - timedelta(days=1), "has no base backup before"),
    )
    for time, expected_reason in unreachable:
        data = parent / "unreachable"
        arguments = ("--until", time.isoformat(), "--data-directory", str(data))
        result = run("restore", str(archive), *arguments, PASSPHRASE=PASSPHRASE)
        assert expected_reason in last_line_refused(result)
        assert not data.exists() or not list(data.iterdir())


def test_base_backup_without_an_archive_is_refused(partner_data: Path) -> None:
    result = run("backup", "base", "--data-directory", str(partner_data), PASSPHRASE=PASSPHRASE)
    assert "LRS_WAL_ARCHIVE_DIRECTORY" in last_line_refused(result)


@pytest.mark.parametrize("time", ["yesterday", "2026-11-30T17:05:00"])
def test_time_without_an_offset_is_refused(partner_data: Path, time: str) -> None:
    result = run("restore", str(partner_data), "--until", time)
    assert result.returncode == 2
    assert "expected a time such as 2026-11-30T17:05:00Z" in result.stderr


def test_path_of_a_segment_is_quoted_for_shell_and_postgresql() -> None:
    segment = wal_archive._segment(Path("/a b/50%f"))
    assert segment == "'/a b/50%%f'/%f.gz"
