"""Reports over HTTP: every table in every form, compressed or not, whole or what is news of it."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
from datetime import datetime, timedelta
from typing import Any, cast, get_args

import asyncpg
import httpx
import msgspec
import pyarrow.parquet
import pytest
import zstandard
from conftest import new_partner
from reports_support import DAY, NOON, World
from support import Partner, new_id, serving, statement

from lrs import resources
from lrs.api import openapi
from lrs.api.services import Services
from lrs.auth import scopes
from lrs.environment import convert
from lrs.reports.encoders import Format, arrow_schema
from lrs.reports.exports import Rows
from lrs.reports.tables import REPORTS, TABLES
from lrs.settings import Settings
from lrs.store.statements import watermark

AWKWARD = "Zoë says \"a\\b\", 10 % ,\r\nnew\tline \\N null 'x' 😀"


@pytest.fixture
async def world(services: Services, partner: Partner) -> World:
    """A learner with a name that is hard to write, and two days of work on a course."""
    world = World(services.database, partner.partner_id)
    person = await world.person(first_name=AWKWARD, last_name="", email=None)
    course = await world.content("course", "Python", technology="Python", launched_date=str(DAY))
    await world.day(person, course, time_spent=90.5, xp=100.0, started_at=NOON)
    await world.day(person, course, DAY + timedelta(days=1), completed_at=NOON)
    practice = await world.content("practice", "SQL")
    await world.day(person, practice, is_mobile=True)
    return world


async def get(partner: Partner, name: str, **options: Any) -> httpx.Response:
    headers = {**partner.headers, "Accept-Encoding": "identity", **options.pop("headers", {})}
    answer = await partner.http.get(partner.url(f"reports/{name}"), headers=headers, **options)
    assert answer.status_code == 200, answer.text
    return answer


def parquet(answer: httpx.Response) -> list[dict[str, Any]]:
    return pyarrow.parquet.read_table(io.BytesIO(answer.content)).to_pylist()


# The list


async def test_the_list_describes_every_table(partner: Partner) -> None:
    answer = await partner.http.get(partner.url("reports"), headers=partner.headers)
    assert answer.status_code == 200
    body = answer.json()
    assert [table["name"] for table in body["tables"]] == list(TABLES)
    (course,) = [table for table in body["tables"] if table["name"] == "course_fact"]
    assert course["kind"] == "fact"
    assert course["incremental"] is True
    assert course["columns"][0] == {"name": "user_id", "type": "integer"}
    assert body["lag_seconds"] == 0.0


async def test_every_answer_tells_how_far_reports_have_come(partner: Partner) -> None:
    """The list and the tables say it alike; statements are as complete as their own list."""
    await partner.send(statement())
    (stored,) = await partner.all()
    moment = datetime.fromisoformat(stored["stored"])
    answer = await partner.http.get(partner.url("reports"), headers=partner.headers)
    told = await get(partner, "user_dim.json")
    for each in (answer, told):
        through = datetime.fromisoformat(each.json()["through"])
        assert each.headers["Lrs-Reports-Through"] == each.json()["through"]
        assert (through < moment) == (each.json()["lag_seconds"] > 0)
    assert float(told.headers["Lrs-Reports-Lag"]) == round(told.json()["lag_seconds"], 3)
    raw = await get(partner, "statements.json")
    assert datetime.fromisoformat(raw.json()["through"]) >= moment
    assert raw.json()["lag_seconds"] == 0.0


def test_the_interface_names_every_table_and_form() -> None:
    pattern = openapi.bundled()["components"]["parameters"]["table"]["schema"]["pattern"]
    assert pattern == rf"^({'|'.join(TABLES)})(\.({'|'.join(sorted(get_args(Format)))}))?$"


# Forms


@pytest.mark.parametrize("table", REPORTS, ids=lambda table: table.name)
async def test_every_form_of_a_table_says_the_same(
    partner: Partner, world: World, table: Any
) -> None:
    body = (await get(partner, table.name)).json()
    rows = body.pop("rows")
    assert body["table"] == table.name
    lines = (await get(partner, f"{table.name}.ndjson")).text.splitlines()
    assert [json.loads(line) for line in lines] == rows
    names = [column.name for column in table.columns]
    texts = list(csv.DictReader(io.StringIO((await get(partner, f"{table.name}.csv")).text, "")))
    assert len(texts) == len(rows)
    answer = await get(partner, f"{table.name}.parquet")
    schema = pyarrow.parquet.read_schema(io.BytesIO(answer.content))
    assert schema.equals(arrow_schema(table))
    assert pyarrow.parquet.read_metadata(io.BytesIO(answer.content)).num_rows == len(rows)
    for plain, text, packed in zip(rows[:100], texts[:100], parquet(answer)[:100], strict=True):
        assert list(plain) == list(text) == list(packed) == names
        assert [packed[name] is None for name in names] == [plain[name] is None for name in names]


async def test_values_survive(partner: Partner, world: World) -> None:
    """Quotes, backslashes, line ends and tabs; nothing is not the same as an empty text."""
    (row,) = (await get(partner, "user_dim.json")).json()["rows"]
    assert (row["first_name"], row["last_name"], row["email"]) == (AWKWARD, "", None)
    assert json.loads((await get(partner, "user_dim.ndjson")).text) == row
    assert parquet(await get(partner, "user_dim.parquet")) == [row]
    text = (await get(partner, "user_dim.csv")).content.decode()
    (told,) = csv.DictReader(io.StringIO(text, ""))
    assert (told["first_name"], told["last_name"], told["email"]) == (AWKWARD, "", "")
    assert text.splitlines()[-1].endswith(f',"",,,{row["id"]}')


async def test_values_are_written_as_they_are_read(partner: Partner, world: World) -> None:
    facts = list(csv.DictReader(io.StringIO((await get(partner, "course_fact.csv")).text)))
    assert facts[0]["started_at"] == "2026-05-08T12:00:00.000000Z"
    assert (facts[0]["date_id"], facts[0]["xp"], facts[0]["time_spent"]) == (
        *("20260508", "100", "90.5"),
    )
    (practice,) = csv.DictReader(io.StringIO((await get(partner, "practice_fact.csv")).text))
    assert practice["is_mobile"] == "true"
    first, second = parquet(await get(partner, "course_fact.parquet"))
    assert (first["started_at"], first["xp"], second["xp"]) == (NOON, 100.0, None)
    (told,) = parquet(await get(partner, "practice_fact.parquet"))
    assert told["is_mobile"] is True
    (course, _) = parquet(await get(partner, "course_dim.parquet"))
    assert course["launched_date"] == DAY


async def test_an_empty_table_is_a_table(partner: Partner) -> None:
    assert (await get(partner, "course_fact")).json()["rows"] == []
    assert (await get(partner, "course_fact.ndjson")).content == b""
    assert (await get(partner, "course_fact.csv")).text == (
        "user_id,course_id,date_id,started_at,completed_at,time_spent,xp\n"
    )
    assert parquet(await get(partner, "course_fact.parquet")) == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("user_dim", "application/json"),
        ("user_dim.json", "application/json"),
        ("user_dim.ndjson", "application/x-ndjson"),
        ("user_dim.csv", "text/csv; charset=utf-8"),
        ("user_dim.parquet", "application/vnd.apache.parquet"),
    ],
)
async def test_a_form_has_its_type_and_name(partner: Partner, name: str, kind: str) -> None:
    answer = await get(partner, name)
    assert answer.headers["content-type"] == kind
    file = name if "." in name else f"{name}.json"
    assert answer.headers["content-disposition"] == f'attachment; filename="{file}"'
    head = await partner.http.head(partner.url(f"reports/{name}"), headers=partner.headers)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == kind
    assert "content-length" not in head.headers


# Compression


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("gzip, zstd", "zstd"),
        ("zstd;q=0.5, gzip", "gzip"),
        ("br, *;q=0.1", "zstd"),
        ("br;q=1, gzip;q=0", None),
        ("identity", None),
    ],
)
async def test_the_client_says_what_it_can_unpack(
    partner: Partner, world: World, accepted: str, coding: str | None
) -> None:
    plain = await get(partner, "date_dim.ndjson")
    request = partner.http.build_request(
        "GET",
        partner.url("reports/date_dim.ndjson"),
        headers={**partner.headers, "Accept-Encoding": accepted},
    )
    answer = await partner.http.send(request, stream=True)
    raw = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers.get("content-encoding") == coding
    assert "Accept-Encoding" in answer.headers["vary"]
    assert unpacked(raw, coding) == plain.content
    assert coding is None or len(raw) < len(plain.content) / 5


def unpacked(raw: bytes, coding: str | None) -> bytes:
    if coding == "zstd":
        return zstandard.ZstdDecompressor().stream_reader(raw).read()
    return gzip.decompress(raw) if coding else raw


@pytest.mark.parametrize(("coding", "suffix"), [("gzip", ".gz"), ("zstd", ".zst")])
@pytest.mark.parametrize("form", ["csv", "parquet"])
async def test_a_file_can_be_had_compressed(
    partner: Partner, world: World, coding: str, suffix: str, form: str
) -> None:
    plain = await get(partner, f"user_dim.{form}")
    answer = await get(partner, f"user_dim.{form}", params={"compress": coding})
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-type"] == f"application/{coding}"
    assert f'"user_dim.{form}{suffix}"' in answer.headers["content-disposition"]
    assert unpacked(answer.content, coding) == plain.content


async def test_parquet_is_compressed_as_it_is(partner: Partner, world: World) -> None:
    answer = await get(partner, "date_dim.parquet", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers


# What is news


async def mark(world: World, *days: Any, at: datetime) -> None:
    for day in days:
        await world.database.writers.execute(
            "insert into changed_day (partner_id, day, changed_at) values ($1, $2, $3)"
            " on conflict (partner_id, day) do update set changed_at = excluded.changed_at",
            *(world.partner_id, day, at),
        )


async def test_facts_come_by_the_days_that_changed(partner: Partner, world: World) -> None:
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
    news = await get(partner, "course_fact", params={"since": since})
    assert news.headers["Lrs-Replaces"] == "2026-05-09,2026-05-17"
    assert news.json()["replaces"] == ["2026-05-09", "2026-05-17"]
    assert [row["date_id"] for row in news.json()["rows"]] == [20260509]
    assert news.headers["Lrs-Cursor"] == "2026-05-08T12:00:01.000000Z"


async def test_where_most_days_changed_all_are_sent(partner: Partner, world: World) -> None:
    days = [DAY + timedelta(days=number) for number in range(101)]
    await mark(world, *days, at=NOON)
    answer = await get(partner, "course_fact", params={"since": "2026-01-01T00:00:00Z"})
    assert (answer.headers["Lrs-Replaces"], len(answer.json()["rows"])) == ("all", 2)


async def test_dimensions_always_come_whole(partner: Partner, world: World) -> None:
    answer = await get(partner, "course_dim", params={"since": "2099-01-01T00:00:00Z"})
    assert (answer.headers["Lrs-Replaces"], len(answer.json()["rows"])) == ("all", 2)


# Statements


async def test_statements_come_as_they_are(partner: Partner) -> None:
    sent = [statement(id=new_id(), result={"response": AWKWARD}) for _ in range(3)]
    pretty = json.dumps(statement(id=new_id()), indent=2).encode()
    assert (await partner.send(sent)).status_code == 200
    assert (await partner.send(pretty)).status_code == 200
    stored = await partner.all(ascending="true")
    answer = await get(partner, "statements.ndjson")
    assert [json.loads(line) for line in answer.text.split("\n")[:-1]] == stored
    assert (await get(partner, "statements")).json()["rows"] == stored
    rows = parquet(await get(partner, "statements.parquet"))
    assert [json.loads(row["payload"]) for row in rows] == stored
    for row, each in zip(rows, stored, strict=True):
        assert (row["id"], row["verb"]) == (each["id"], each["verb"]["id"])
        assert row["stored"] == datetime.fromisoformat(each["stored"])
        assert row["timestamp"] == each["timestamp"]
        assert json.loads(row["actor"]) == each["actor"]
    texts = csv.DictReader(io.StringIO((await get(partner, "statements.csv")).text, ""))
    assert [json.loads(row["payload"]) for row in texts] == stored


async def test_statements_follow_the_last_cursor(partner: Partner) -> None:
    seen: list[str] = []
    since = None
    for _ in range(3):
        ids = [new_id() for _ in range(4)]
        await partner.send([statement(id=each) for each in ids])
        params = {"since": since} if since else {}
        answer = await get(partner, "statements.ndjson", params=params)
        assert answer.headers["Lrs-Replaces"] == "none"
        since = answer.headers["Lrs-Cursor"]
        found = [json.loads(line)["id"] for line in answer.text.splitlines()]
        assert found == ids
        seen += found
    assert len(set(seen)) == 12


async def test_statements_stop_at_the_horizon(
    partner: Partner, services: Services, slow_writer: Any
) -> None:
    """What is stored after an open transaction began comes next time, and nothing is missed."""
    async with slow_writer.transaction():
        await slow_writer.execute("select 1")
        await partner.send(statement(id=new_id()))
        first = await get(partner, "statements.ndjson")
        assert first.content == b""
    then = await get(partner, "statements.ndjson", params={"since": first.headers["Lrs-Cursor"]})
    assert then.text.count("\n") == 1


async def test_rows_that_nobody_reads_any_more_are_let_go() -> None:
    """Also if what came of them in the end is not that reading them was called off."""

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

    rows = aiter(Rows(cast(Any, Connection()), "select", (), "csv"))
    await anext(rows)
    await asyncio.sleep(0.01)
    closing = asyncio.ensure_future(rows.aclose())
    done, _ = await asyncio.wait([closing], timeout=2)
    closing.cancel()
    assert done


async def test_a_standby_gives_no_bound(partner: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sees nothing of who is writing: an export there would miss what comes late."""
    sql = resources.query("get_watermark").replace("pg_is_in_recovery()", "true")
    monkeypatch.setattr(watermark, "_SQL", sql)
    url = partner.url("reports/statements.ndjson")
    answer = await partner.http.get(url, headers=partner.headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "standby" in answer.json()["detail"]


# Refusals


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("nothing", "not-found"),
        ("course_fact.xlsx", "not-found"),
        ("course_fact.", "not-found"),
        ("course_fact?since=yesterday", "invalid-parameter"),
        ("course_fact?compress=br", "invalid-parameter"),
        ("course_fact?limit=1", "invalid-parameter"),
    ],
)
async def test_what_there_is_not_is_refused(partner: Partner, path: str, code: str) -> None:
    answer = await partner.http.get(partner.url(f"reports/{path}"), headers=partner.headers)
    assert answer.json()["code"] == code


async def test_statements_need_the_scope_of_statements(
    services: Services, http: httpx.AsyncClient
) -> None:
    reports = await new_partner(services, http, frozenset({scopes.REPORTS_READ}))
    reader = await new_partner(services, http, frozenset({scopes.STATEMENTS_READ}))
    for partner, allowed in ((reports, "user_dim"), (reader, "statements")):
        for name in ("user_dim", "statements"):
            answer = await http.get(partner.url(f"reports/{name}"), headers=partner.headers)
            assert answer.status_code == (200 if name == allowed else 403)


async def test_another_partners_reports_are_refused(partner: Partner, stranger: Partner) -> None:
    answer = await partner.http.get(stranger.url("reports/user_dim"), headers=partner.headers)
    assert answer.status_code == 403


async def test_without_pyarrow_the_answer_says_so(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    answer = await partner.http.get(
        partner.url("reports/user_dim.parquet"), headers=partner.headers
    )
    assert answer.status_code == 404
    assert "pip install 'lrs-server[parquet]'" in answer.json()["detail"]
    assert (await get(partner, "user_dim.csv")).status_code == 200


# Connections


async def test_a_client_that_goes_away_gives_its_connection_back(
    settings: Settings, server: str, partner: Partner
) -> None:
    """More clients leave in the middle than there are connections."""
    async with httpx.AsyncClient(base_url=server) as http:
        here = Partner(http, partner.name, 0, "", partner.key, partner.secret)
        await here.authenticate()
        for _ in range(2 * settings.database_exports + 1):
            async with http.stream(
                "GET", here.url("reports/date_dim.ndjson"), headers=here.headers
            ) as answer:
                assert answer.status_code == 200
                await anext(answer.aiter_raw(100))
        assert len((await get(here, "date_dim")).json()["rows"]) == 47_482


async def test_too_many_exports_are_told_to_wait(
    settings: Settings, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrs.reports.exports._PATIENCE", 0.05)
    values = {name: getattr(settings, name) for name in ("database_url", "secret_key")}
    narrow = convert({**values, "database_exports": 1, "log_level": "error"})
    async with serving(narrow) as http:
        here = Partner(http, partner.name, 0, "", partner.key, partner.secret)
        await here.authenticate()
        exports = http._transport.app.services.exports  # type: ignore[attr-defined]
        async with exports.snapshot(partner.partner_id):
            answer = await http.get(here.url("reports/user_dim"), headers=here.headers)
            assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
            assert answer.headers["retry-after"] == "30"
        answers = await asyncio.gather(
            *(http.get(here.url("reports/user_dim"), headers=here.headers) for _ in range(2))
        )
        assert 200 in {answer.status_code for answer in answers}


async def test_a_connection_that_is_lost_in_between_is_no_failure_of_ours(
    partner: Partner, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = "select pg_terminate_backend(pg_backend_pid()), $1::integer, $2::timestamptz"
    monkeypatch.setattr("lrs.reports.exports._CHANGED_DAYS", lost)
    answer = await partner.http.get(
        partner.url("reports/course_fact"),
        params={"since": "2026-01-01T00:00:00Z"},
        headers=partner.headers,
    )
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


async def test_a_connection_is_given_back_whatever_its_end_meets_with(
    settings: Settings, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: object) -> None:
        raise asyncpg.InternalClientError("cannot switch to state 12")

    monkeypatch.setattr("lrs.reports.exports._PATIENCE", 0.05)
    async with serving(msgspec.structs.replace(settings, database_exports=1)) as http:
        exports = http._transport.app.services.exports  # type: ignore[attr-defined]
        with monkeypatch.context() as lost:
            lost.setattr("asyncpg.transaction.Transaction.rollback", fail)
            async with exports.snapshot(partner.partner_id) as snapshot:
                snapshot.connection.terminate()
        async with exports.snapshot(partner.partner_id) as snapshot:
            assert await snapshot.connection.fetchval("select 1") == 1
