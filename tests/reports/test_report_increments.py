"""Incremental report downloads, and statements as a report."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from lrs import resources
from lrs.api.services import Services
from lrs.reports.export_stream import CopyStream
from lrs.store.statements import watermark
from tests.support.partners import Partner
from tests.support.report_downloads import get, parquet
from tests.support.reports import DAY, NOON, World
from tests.support.statements import new_id, statement

AWKWARD = "Zoë says \"a\\b\", 10 % ,\r\nnew\tline \\N null 'x' 😀"


# Changed days


async def mark(world: World, *days: Any, at: datetime) -> None:
    for day in days:
        await world.database.writers.execute(
            "insert into changed_day (partner_id, day, changed_at) values ($1, $2, $3)"
            " on conflict (partner_id, day) do update set changed_at = excluded.changed_at",
            *(world.partner_id, day, at),
        )


async def test_incremental_facts_contain_changed_days_only(partner: Partner, world: World) -> None:
    tomorrow = DAY + timedelta(days=1)
    await mark(world, DAY, tomorrow, at=NOON)
    first = await get(partner, "course_fact")
    assert (first.headers["Lrs-Replaces"], len(first.json()["rows"])) == ("all", 2)
    since = first.headers["Lrs-Cursor"]
    assert since == first.json()["cursor"] == "2026-05-08T12:00:00.000000Z"
    nothing = await get(partner, "course_fact", params={"since": since})
    assert (nothing.headers["Lrs-Replaces"], nothing.json()["rows"]) == ("none", [])
    assert nothing.headers["Lrs-Cursor"] == since
    await mark(world, tomorrow, DAY + timedelta(days=9), at=NOON + timedelta(seconds=1))
    changes = await get(partner, "course_fact", params={"since": since})
    assert changes.headers["Lrs-Replaces"] == "2026-05-09,2026-05-17"
    assert changes.json()["replaces"] == ["2026-05-09", "2026-05-17"]
    assert [row["date_id"] for row in changes.json()["rows"]] == [20260509]
    assert changes.headers["Lrs-Cursor"] == "2026-05-08T12:00:01.000000Z"


async def test_increment_with_most_days_changed_replaces_all(
    partner: Partner, world: World
) -> None:
    days = [DAY + timedelta(days=number) for number in range(101)]
    await mark(world, *days, at=NOON)
    response = await get(partner, "course_fact", params={"since": "2026-01-01T00:00:00Z"})
    assert (response.headers["Lrs-Replaces"], len(response.json()["rows"])) == ("all", 2)


async def test_dimensions_are_always_sent_whole(partner: Partner, world: World) -> None:
    response = await get(partner, "course_dim", params={"since": "2099-01-01T00:00:00Z"})
    assert (response.headers["Lrs-Replaces"], len(response.json()["rows"])) == ("all", 2)


# Statements


async def test_statement_rows_have_the_stored_json(partner: Partner) -> None:
    sent = [statement(id=new_id(), result={"response": AWKWARD}) for _ in range(3)]
    pretty = json.dumps(statement(id=new_id()), indent=2).encode()
    assert (await partner.send(sent)).status_code == 200
    assert (await partner.send(pretty)).status_code == 200
    stored = await partner.all(ascending="true")
    response = await get(partner, "statements.ndjson")
    assert [json.loads(line) for line in response.text.split("\n")[:-1]] == stored
    assert (await get(partner, "statements")).json()["rows"] == stored
    rows = parquet(await get(partner, "statements.parquet"))
    assert [json.loads(row["payload"]) for row in rows] == stored
    for row, item in zip(rows, stored, strict=True):
        assert (row["id"], row["verb"]) == (item["id"], item["verb"]["id"])
        assert row["stored"] == datetime.fromisoformat(item["stored"])
        assert row["timestamp"] == item["timestamp"]
        assert json.loads(row["actor"]) == item["actor"]
    texts = csv.DictReader(io.StringIO((await get(partner, "statements.csv")).text, ""))
    assert [json.loads(row["payload"]) for row in texts] == stored


async def test_statements_after_the_cursor_are_sent(partner: Partner) -> None:
    seen: list[str] = []
    since = None
    for _ in range(3):
        ids = [new_id() for _ in range(4)]
        await partner.send([statement(id=item) for item in ids])
        params = {"since": since} if since else {}
        response = await get(partner, "statements.ndjson", params=params)
        assert response.headers["Lrs-Replaces"] == "none"
        since = response.headers["Lrs-Cursor"]
        actual = [json.loads(line)["id"] for line in response.text.splitlines()]
        assert actual == ids
        seen += actual
    assert len(set(seen)) == 12


async def test_statements_end_at_the_watermark(
    partner: Partner, services: Services, slow_writer: Any
) -> None:
    """Statements stored after an open transaction began are sent with the next request."""
    async with slow_writer.transaction():
        await slow_writer.execute("select 1")
        await partner.send(statement(id=new_id()))
        first = await get(partner, "statements.ndjson")
        assert first.content == b""
    increment = await get(
        partner, "statements.ndjson", params={"since": first.headers["Lrs-Cursor"]}
    )
    assert increment.text.count("\n") == 1


async def test_abandoned_row_stream_is_closed() -> None:
    """Also if its reader ended with another error than a cancellation."""

    class Connection:
        def terminate(self) -> None:
            pass

        async def copy_from_query(self, *_: object, output: Any, **__: object) -> str:
            await output(b"x" * 300_000)
            await output(b"read no more")
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raise ConnectionError from None
            return "COPY 2"

    rows = aiter(CopyStream(cast(Any, Connection()), "select", (), "csv"))
    await anext(rows)
    await asyncio.sleep(0.01)
    closing = asyncio.ensure_future(rows.aclose())
    done, _ = await asyncio.wait([closing], timeout=2)
    closing.cancel()
    assert done


async def test_statement_report_of_a_standby_returns_503(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A standby does not see open transactions: an export would miss late statements."""
    sql = resources.query("get_watermark").replace("pg_is_in_recovery()", "true")
    monkeypatch.setattr(watermark, "_SQL", sql)
    url = partner.url("reports/statements.ndjson")
    response = await partner.http.get(url, headers=partner.headers)
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert "standby" in response.json()["detail"]
