"""What those who run the server see: is it alive, can it serve, what has it done."""

from __future__ import annotations

import asyncio
import json
import logging
import logging.config
import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.parser import text_string_to_metric_families
from support import XAPI, Partner, new_id, serving, statement

from lrs import __version__
from lrs.api import health
from lrs.app import create_app, running
from lrs.errors import InternalError
from lrs.observability import logs
from lrs.settings import Settings
from lrs.store import migrations, nonces
from lrs.store.postgres import Database
from lrs.store.statements import references


async def measured(http: httpx.AsyncClient, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return sum(
        sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


# Health


async def test_it_is_alive(http: httpx.AsyncClient) -> None:
    answer = await http.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")


async def test_it_is_ready(http: httpx.AsyncClient) -> None:
    answer = await http.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "version": __version__,
        "schema": migrations.known()[-1].version,
    }


async def test_it_is_not_ready_on_a_newer_schema(
    http: httpx.AsyncClient, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("insert into schema_migration values (9999, 'from the future')")
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["content-type"] == "application/problem+json"
        assert "9999" in answer.json()["detail"]
        assert (await http.get("/healthz")).status_code == 200
    finally:
        await connection.execute("delete from schema_migration where version = 9999")
        await connection.close()
    assert (await http.get("/readyz")).status_code == 200


# Metrics


async def test_requests_are_counted_by_route_and_status(partner: Partner) -> None:
    http = partner.http
    route = "/v1/partners/{partner}/statements"

    async def counted(method: str, status: int) -> float:
        return await measured(
            http, "lrs_requests_total", method=method, route=route, status=str(status)
        )

    before = [await counted("POST", 200), await counted("POST", 400), await counted("GET", 401)]
    await partner.send(statement())
    await partner.send({})
    await http.get(partner.url("statements"))
    after = [await counted("POST", 200), await counted("POST", 400), await counted("GET", 401)]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 1]
    assert await measured(http, "lrs_request_seconds_count", route=route) >= 3


async def test_paths_and_methods_that_strangers_make_up_are_not_kept_apart(
    http: httpx.AsyncClient,
) -> None:
    for _ in range(3):
        await http.request(f"X{new_id()[:8].upper()}", f"/{new_id()}")
    text = (await http.get("/metrics")).text
    found = re.findall(r'lrs_requests_total\{method="(\w+)",route="none",status="404"\}', text)
    assert "other" in found
    assert not [method for method in found if method.startswith("X")]


async def test_outcomes_are_counted_by_partner(partner: Partner) -> None:
    sent = statement(id=new_id())
    await partner.send(sent)
    await partner.send([sent, {**sent, "actor": {"mbox": "mailto:a@b.example"}}, {}, sent])
    await partner.send([statement()], params={"validate": "true"})
    await partner.send(b'{"a":"' + b"x" * 20_000 + b'"}')
    counted = {
        outcome: await measured(
            partner.http, "lrs_outcomes_total", partner=partner.name, outcome=outcome
        )
        for outcome in ("stored", "duplicate", "conflict", "invalid", "too_large")
    }
    assert counted == {
        "stored": 1,
        "duplicate": 2,
        "conflict": 1,
        "invalid": 1,
        "too_large": 1,
    }


async def test_commits_the_queue_and_the_pools_are_measured(partner: Partner) -> None:
    http = partner.http
    names = ["lrs_commit_statements_sum", "lrs_commit_statements_count", "lrs_commit_seconds_count"]
    before = [await measured(http, name) for name in names]
    await partner.send([statement() for _ in range(7)])
    after = [await measured(http, name) for name in names]
    assert [b - a for a, b in zip(before, after, strict=True)] == [7, 1, 1]
    assert await measured(http, "lrs_queue_statements") == 0
    for pool in ("writers", "readers"):
        for state in ("idle", "busy"):
            assert await measured(http, "lrs_pool_connections", pool=pool, state=state) >= 0
    assert await measured(http, "lrs_pool_connections", state="idle") >= 1


# The id of a request, and its line in the log


@pytest.mark.parametrize("given", ["abc", "0af7651916cd43dd/8448:eb=+._-", "x" * 128])
async def test_a_request_keeps_its_id(http: httpx.AsyncClient, given: str) -> None:
    answer = await http.get("/healthz", headers={"X-Request-ID": given})
    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", [None, "", "a b", "x" * 129, "ü", "a\tb", '{"x":1}', "abc\xff"])
async def test_a_request_without_a_sane_id_gets_one(
    http: httpx.AsyncClient, given: str | None
) -> None:
    headers: Any = {} if given is None else {"X-Request-ID": given.encode("latin-1")}
    answers = [await http.get("/nothing", headers=headers) for _ in range(2)]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)
    assert ids[0] != ids[1]


async def test_every_request_is_one_line_of_json_with_its_id(settings: Settings) -> None:
    stream = StringIO()
    configuration = logs.configuration("info")
    handler = logging.StreamHandler(stream)
    formatter = logging.config.DictConfigurator(configuration)
    handler.setFormatter(formatter.configure_formatter(configuration["formatters"]["json"]))
    handler.addFilter(logs.WithRequestId())
    logger = logging.getLogger("lrs.requests")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        async with serving(settings) as http:
            answers = await asyncio.gather(
                *(http.get(f"/x%0A/{n}", headers={"X-Request-ID": f"id-{n}"}) for n in range(5))
            )
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert sorted(line["request_id"] for line in lines) == [f"id-{n}" for n in range(5)]
    assert [answer.headers["x-request-id"] for answer in answers] == [f"id-{n}" for n in range(5)]
    for line in lines:
        assert (line["level"], line["logger"], line["message"]) == (
            "INFO",
            "lrs.requests",
            "request",
        )
        assert (line["method"], line["status"]) == ("GET", 404)
        assert line["ms"] >= 0
        assert line["time"]


async def test_secrets_are_not_logged(
    settings: Settings, partner: Partner, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "lrs"):
        await partner.authenticate()
        await partner.xapi(statement())
        await partner.http.get(
            "/xapi/statements", headers=XAPI, params={"x": "y"}, auth=("x", partner.secret)
        )
    text = "\n".join(f"{record.__dict__}" for record in caplog.records)
    assert "/xapi/statements" in text
    assert partner.secret not in text
    assert partner.token not in text


# What is not there


@pytest.mark.parametrize("path", ["/v1", "/v1/partners", "/xapi", "/healthz/", "/nothing"])
async def test_what_is_not_there_is_a_problem(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert answer.headers["content-type"] == "application/problem+json"
    assert path in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/healthz", {"GET", "HEAD"}),
        ("POST", "/readyz", {"GET", "HEAD"}),
        ("PUT", "/oauth2/token", {"POST"}),
        ("PATCH", "/xapi/statements", {"GET", "HEAD", "POST"}),
        ("DELETE", "/v1/partners/x/statements", {"GET", "HEAD", "POST"}),
        ("HEAD", "/v1/partners/x/track", {"POST"}),
    ],
)
async def test_another_method_is_a_problem_that_says_which_are_answered(
    http: httpx.AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    answer = await http.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert allowed <= set(answer.headers["allow"].split(", "))
    if method != "HEAD":
        assert answer.json()["code"] == "method-not-allowed"


@pytest.mark.parametrize(
    ("path", "status"),
    [("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/nothing", 404), ("/docs", 200)],
)
async def test_head_is_get_without_a_body(server: str, path: str, status: int) -> None:
    async with httpx.AsyncClient(base_url=server) as http:
        head, get = await http.head(path), await http.get(path)
        assert (head.status_code, get.status_code) == (status, status)
        assert head.content == b""
        assert head.headers["content-type"] == get.headers["content-type"]
        # The connection is still in step.
        assert (await http.get("/healthz")).text == "ok\n"


async def test_an_unexpected_error_is_a_problem_without_its_details(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(msgspec.structs.replace(settings, log_level="error"))
    # Without its lifespan there are no services, which no handler expects.
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://lrs.test") as http:
        answer = await http.get("/readyz", headers={"X-Request-ID": "failing"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "failing"
    assert "services" not in answer.text
    assert "unexpected error" in caplog.text


async def test_a_head_that_has_no_end_is_refused(server: str) -> None:
    answer = await _told(server, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 70_000)
    assert answer.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 66_000,
        b"GET /healthz?" + b"a" * 66_000 + b" HTTP/1.1\r\nHost: x",
    ],
    ids=["header", "query"],
)
async def test_a_long_head_is_refused_even_if_it_comes_at_once(server: str, head: bytes) -> None:
    answer = await _told(server, head + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"head-too-large" in answer


@pytest.mark.parametrize(
    "request_line",
    [b"FOO /healthz HTTP/1.1", b"GET /healthz HTTP/9", b"not http", b"GET / HTTP/1.1\r\n: x"],
)
async def test_what_is_no_request_is_refused_like_all_else(
    server: str, request_line: bytes
) -> None:
    answer = await _told(server, request_line + b"\r\nHost: x\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["code"] == "bad-request"


async def _told(server: str, sent: bytes) -> bytes:
    """All that is answered until the connection is closed."""
    host, _, port = server.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


async def test_a_large_body_is_no_large_head(server: str) -> None:
    """Heads and bodies in one piece, one after another on one connection."""
    async with httpx.AsyncClient(base_url=server) as client:
        for _ in range(3):
            answer = await client.post("/oauth2/token", content=b"x" * 2_000_000)
            assert answer.status_code == 413
            assert (await client.get("/healthz")).status_code == 200


# Where the time goes


async def test_an_answer_says_where_its_time_went(settings: Settings, partner: Partner) -> None:
    async with serving(msgspec.structs.replace(settings, server_timing=True)) as http:
        headers = dict(partner.http.headers) | {"Authorization": f"Bearer {partner.token}"}
        path = f"/v1/partners/{partner.name}/statements"
        for answer, stages in (
            (
                await http.post(path, json=statement(), headers=headers),
                ["auth", "parse", "validate", "queue", "database", "render"],
            ),
            (await http.get(path, headers=headers), ["auth", "database", "render"]),
            (await http.get("/healthz"), ["render"]),
        ):
            assert answer.status_code == 200
            told = answer.headers["server-timing"]
            assert re.findall(r"(\w+);dur=\d+\.\d{3}(?:, |$)", told) == stages


async def test_that_is_told_only_where_it_was_asked_for(http: httpx.AsyncClient) -> None:
    assert "server-timing" not in (await http.get("/healthz")).headers


def test_what_a_killed_worker_had_at_hand_counts_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as killed:
        killed.wait()
    name = "lrs_queue_statements"
    for pid, waiting in ((killed.pid, 40.0), (os.getpid(), 2.0)):
        values = MmapedDict(str(tmp_path / f"gauge_livesum_{pid}.db"))
        values.write_value(mmap_key(name, name, [], [], "Waiting."), waiting, 0.0)
        values.close()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    assert health._registry().get_sample_value(name) == 2.0


async def test_what_cannot_be_swept_hinders_nothing_else(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the next time, nor what is swept beside it, nor the server's end."""
    swept: list[str] = []
    again = asyncio.Event()

    async def fail(_: Database) -> int:
        swept.append("references")
        raise InternalError("The database refused what the server asked of it.")

    async def forget(_: Database) -> int:
        swept.append("nonces")
        if len(swept) > 2:
            again.set()
        return 0

    monkeypatch.setattr(references, "resolve_pending", fail)
    monkeypatch.setattr(nonces, "delete_expired", forget)
    monkeypatch.setattr("lrs.app._SWEEP_SECONDS", 0.01)
    async with running(settings), asyncio.timeout(10):
        await again.wait()
    assert swept[:4] == ["references", "nonces"] * 2
