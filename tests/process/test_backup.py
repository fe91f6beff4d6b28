"""Backup of a running server, verification and restore."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from lrs import embedded_postgres
from lrs.backup import before_migration
from lrs.store import migrations
from tests.support.backups import PASSPHRASE, last_line_refused
from tests.support.senders import Senders, stored
from tests.support.server_process import Server, run
from tests.support.statements import XAPI, statement


@pytest.fixture
def data(partner_data: Path) -> Path:
    return partner_data


def lrs(data: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command on a data directory, with the passphrase."""
    environment = {"LRS_DATA_DIRECTORY": str(data), "PASSPHRASE": PASSPHRASE} | environment
    return run(*map(str, arguments), **environment)


@pytest.fixture(scope="module")
def backup_pattern(partner_pattern: Path) -> Path:
    """A backup of a stopped server."""
    directory = partner_pattern.parent / "backup"
    result = lrs(partner_pattern, "backup", directory)
    assert result.returncode == 0, result.stderr
    return directory


@pytest.fixture
def backup(data: Path, backup_pattern: Path) -> Path:
    """A copy of that backup."""
    directory = data.parent / "backup"
    shutil.copytree(backup_pattern, directory)
    return directory


def test_backup_under_load_restores_every_statement_acknowledged_before_it(
    data: Path, auth: tuple[str, str]
) -> None:
    directory = data.parent / "backup"
    server = Server(data, LRS_LOG_LEVEL="warning")
    try:
        senders = Senders(server.url, auth, count=2)
        try:
            senders.wait_for(100)
            before = set(senders.acknowledged)
            result = lrs(data, "backup", directory)
            assert result.returncode == 0, result.stderr
            senders.wait_for(1)
        finally:
            senders.end()
    finally:
        server.close()
    verified = lrs(data, "backup", "verify", directory)
    assert "verified: the restored database equals the backup" in verified.stdout, verified.stderr
    restored = data.parent / "restored"
    result = lrs(restored, "restore", directory)
    assert result.returncode == 0, result.stderr
    assert "keys      ok: 1 signing key" in result.stdout
    server = Server(restored, LRS_LOG_LEVEL="warning")
    try:
        kept = stored(server.url, auth)
        answer = httpx.post(
            f"{server.url}/xapi/statements", json=statement(), auth=auth, headers=XAPI
        )
    finally:
        server.close()
    assert answer.status_code == 200
    assert before <= set(kept) <= senders.sent
    manifest = json.loads((directory / "manifest.json").read_text())
    assert sum(day["statements"] for day in manifest["contents"]["days"]) == len(kept)


def test_damaged_backup_is_refused_by_verify_and_restore(data: Path, backup: Path) -> None:
    damaged = max((backup / "database").glob("*.gz"), key=lambda path: path.stat().st_size)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    (backup / "secret.key.jwe").unlink()
    restored = data.parent / "restored"
    for command in (("backup", "verify"), ("restore",)):
        sentence = last_line_refused(lrs(restored, *command, backup, LRS_SECRET_KEY="k" * 32))
        assert f"database/{damaged.name} differs, secret.key.jwe is missing" in sentence
    assert not restored.exists()


def test_backup_with_other_contents_than_its_manifest_is_refused(data: Path, backup: Path) -> None:
    path = backup / "manifest.json"
    manifest = json.loads(path.read_text())
    count = manifest["contents"]["tables"]["credential"]
    manifest["contents"]["tables"]["credential"] = count + 1
    path.write_text(json.dumps(manifest))
    restored = data.parent / "restored"
    sentence = last_line_refused(lrs(restored, "restore", backup))
    assert f"table credential: {count} rows instead of {count + 1}" in sentence
    assert list(restored.iterdir()) == []


def test_wrong_passphrase_is_refused_before_anything_is_restored(data: Path, backup: Path) -> None:
    restored = data.parent / "restored"
    sentence = last_line_refused(lrs(restored, "restore", backup, PASSPHRASE="another passphrase"))
    assert sentence == "The passphrase does not open the secret key of the backup."
    assert not restored.exists()


def test_restore_into_a_used_data_directory_is_refused(data: Path, backup: Path) -> None:
    sentence = last_line_refused(lrs(data, "restore", backup))
    assert "is not empty" in sentence
    assert (data / "secret.key").exists()


def test_interrupted_restore_is_repeated_and_starts_no_server(data: Path, backup: Path) -> None:
    restored = data.parent / "restored"
    restored.mkdir()
    (restored / "restore.unfinished").touch()
    sentence = last_line_refused(lrs(restored, "serve", "--port", "0"))
    assert "holds an unfinished restore: run `lrs restore` again" in sentence
    assert lrs(restored, "restore", backup).returncode == 0
    assert not (restored / "restore.unfinished").exists()


def test_backup_into_a_directory_with_files_is_refused(data: Path) -> None:
    (data.parent / "used").mkdir()
    (data.parent / "used" / "file").touch()
    assert "is not empty" in last_line_refused(lrs(data, "backup", data.parent / "used"))


@pytest.mark.parametrize("passphrase", ["", "short"])
def test_backup_without_a_long_passphrase_leaves_nothing(data: Path, passphrase: str) -> None:
    result = lrs(data, "backup", data.parent / "backup", PASSPHRASE=passphrase)
    assert result.returncode in (1, 2)
    assert "passphrase" in result.stderr
    assert not (data.parent / "backup").exists()


def test_server_backs_up_the_database_before_it_migrates(data: Path) -> None:
    older = migrations.all_migrations()[:-1]
    fresh = data.parent / "fresh"
    with embedded_postgres.running(fresh) as dsn:
        asyncio.run(migrations.migrate(dsn, older))
    server = Server(fresh)
    server.close()
    kept = before_migration.directory(fresh, older[-1].version)
    manifest = json.loads((kept / "manifest.json").read_text())
    assert manifest["schema"] == older[-1].version
    assert f"migrated schema {older[-1].version} → {older[-1].version + 1}" in server.said()
    again = Server(fresh)
    again.close()
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]
    restored = data.parent / "restored"
    result = lrs(
        restored, "restore", kept, LRS_SECRET_KEY=(fresh / "secret.key").read_text().strip()
    )
    assert result.returncode == 0, result.stderr
