"""What this machine allows: bare Starlette, a bare commit, COPY of the same rows."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson

from lrs.checking import Sender, StatementReader, check
from lrs.store.statements import Prepared

ROOT = Path(__file__).resolve().parent.parent.parent

_BARE = """
import os, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
body = open(os.environ["BARE_ANSWER"], "rb").read()
async def answer(request):
    if request.method == "POST":
        await request.body()
    return Response(body, media_type="application/json")
app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
"""


@contextmanager
def bare(folder: Path, port: int, answer: bytes, workers: int) -> Iterator[tuple[str, int]]:
    """Bare Starlette that gives one answer to everything: its base URL and process id."""
    (folder / "bare_app.py").write_text(_BARE)
    (folder / "answer").write_bytes(answer)
    command = [sys.executable, "-m", "uvicorn", "bare_app:app", "--port", str(port)]
    command += ["--workers", str(workers), "--no-access-log", "--log-level", "error"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "BARE_ANSWER": str(folder / "answer")}
    with subprocess.Popen(command, env=environment) as process:
        try:
            base = f"http://127.0.0.1:{port}"
            await_answer(base + "/")
            yield base, process.pid
        finally:
            process.terminate()


def await_answer(url: str) -> None:
    for _ in range(300):
        try:
            httpx.get(url, timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"nothing answers at {url}")


def prepared(statements: Sequence[dict[str, Any]], partner_id: int) -> list[Prepared]:
    authority = '{"account":{"homePage":"http://bench","name":"bench"}}'
    sender = Sender(partner_id, "bench", "http://bench", None, authority, 1, False)
    return [
        check(orjson.dumps(each), sender, StatementReader(), 1_000_000).prepared
        for each in statements
    ]


async def commit_p50(dsn: str, seconds: float) -> float:
    """Milliseconds that a bare commit of one row takes, on one connection."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "create table if not exists bench_commit (id uuid primary key, payload text)"
        )
        text, times = "x" * 800, []
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            await connection.execute(
                "insert into bench_commit values (gen_random_uuid(), $1)", text
            )
            times.append(time.perf_counter() - began)
        await connection.execute("drop table bench_commit")
    finally:
        await connection.close()
    return statistics.median(times) * 1000


async def copy_rate(dsn: str, rows: Sequence[Prepared], batch: int, connections: int) -> float:
    """Statements a second by COPY into tables like ours, with the same rows and indexes."""
    setup = await asyncpg.connect(dsn)
    for table in ("statement", "link"):
        await setup.execute(f"drop table if exists bench_{table}")
        await setup.execute(f"create table bench_{table} (like {table} including all)")
    batches = [rows[at : at + batch] for at in range(0, len(rows), batch)]
    pools = [await asyncpg.connect(dsn) for _ in range(connections)]
    began = time.perf_counter()
    await asyncio.gather(
        *(_copy(pool, batches[number::connections]) for number, pool in enumerate(pools))
    )
    seconds = time.perf_counter() - began
    for pool in pools:
        await pool.close()
    for table in ("statement", "link"):
        await setup.execute(f"drop table bench_{table}")
    await setup.close()
    return len(rows) / seconds


async def _copy(connection: asyncpg.Connection, batches: Sequence[Sequence[Prepared]]) -> None:
    moment = datetime.now(UTC)
    for batch in batches:
        moment += timedelta(microseconds=1)
        async with connection.transaction():
            await connection.copy_records_to_table(
                "bench_statement",
                records=[
                    (
                        moment,
                        each.verb_key,
                        each.authority_key,
                        1,
                        each.statement_id,
                        each.digest,
                        None,
                        each.body + '"stored":"2026-05-08T14:44:01.267000Z"}',
                    )
                    for each in batch
                ],
            )
            await connection.copy_records_to_table(
                "bench_link",
                records=[
                    (key, moment, 1, roles, each.statement_id)
                    for each in batch
                    for key, roles in each.links
                ],
            )
