"""Report downloads: formats, compression, errors."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import datetime
from typing import Any, get_args

import httpx
import pyarrow.parquet
import pytest
import zstandard

from lrs.api import openapi
from lrs.api.services import Services
from lrs.auth import scopes
from lrs.reports.encoders import Format, arrow_schema
from lrs.reports.tables import REPORTS, TABLES
from tests.support.partners import Partner, new_partner
from tests.support.report_downloads import get, parquet
from tests.support.reports import DAY, NOON, World
from tests.support.statements import statement

AWKWARD = "Zoë says \"a\\b\", 10 % ,\r\nnew\tline \\N null 'x' 😀"


# List of tables


async def test_list_describes_every_table(partner: Partner) -> None:
    answer = await partner.http.get(partner.url("reports"), headers=partner.headers)
    assert answer.status_code == 200
    body = answer.json()
    assert [table["name"] for table in body["tables"]] == list(TABLES)
    (course,) = [table for table in body["tables"] if table["name"] == "course_fact"]
    assert course["kind"] == "fact"
    assert course["incremental"] is True
    assert course["columns"][0] == {"name": "user_id", "type": "integer"}
    assert body["lag_seconds"] == 0.0


async def test_response_has_the_lag_and_the_consistent_through_time(partner: Partner) -> None:
    """The list and the tables agree; statements have the watermark of the store."""
    await partner.send(statement())
    (stored,) = await partner.all()
    moment = datetime.fromisoformat(stored["stored"])
    answer = await partner.http.get(partner.url("reports"), headers=partner.headers)
    response = await get(partner, "user_dim.json")
    for item in (answer, response):
        through = datetime.fromisoformat(item.json()["consistent_through"])
        assert item.headers["Lrs-Reports-Consistent-Through"] == item.json()["consistent_through"]
        assert (through < moment) == (item.json()["lag_seconds"] > 0)
    assert float(response.headers["Lrs-Reports-Lag"]) == round(response.json()["lag_seconds"], 3)
    raw = await get(partner, "statements.json")
    assert datetime.fromisoformat(raw.json()["consistent_through"]) >= moment
    assert raw.json()["lag_seconds"] == 0.0


def test_openapi_pattern_lists_every_table_and_format() -> None:
    pattern = openapi.bundled()["components"]["parameters"]["table"]["schema"]["pattern"]
    assert pattern == rf"^({'|'.join(TABLES)})(\.({'|'.join(sorted(get_args(Format)))}))?$"


# Formats


@pytest.mark.slow
@pytest.mark.parametrize("table", REPORTS, ids=lambda table: table.name)
async def test_formats_of_a_table_have_equal_rows(
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


async def test_special_characters_survive_every_format(partner: Partner, world: World) -> None:
    """Quotes, backslashes, line ends and tabs; null differs from an empty string."""
    (row,) = (await get(partner, "user_dim.json")).json()["rows"]
    assert (row["first_name"], row["last_name"], row["email"]) == (AWKWARD, "", None)
    assert json.loads((await get(partner, "user_dim.ndjson")).text) == row
    assert parquet(await get(partner, "user_dim.parquet")) == [row]
    text = (await get(partner, "user_dim.csv")).content.decode()
    (exported,) = csv.DictReader(io.StringIO(text, ""))
    assert (exported["first_name"], exported["last_name"], exported["email"]) == (AWKWARD, "", "")
    assert text.splitlines()[-1].endswith(f',"",,,{row["id"]}')


async def test_times_numbers_and_booleans_are_formatted(partner: Partner, world: World) -> None:
    facts = list(csv.DictReader(io.StringIO((await get(partner, "course_fact.csv")).text)))
    assert facts[0]["started_at"] == "2026-05-08T12:00:00.000000Z"
    assert (facts[0]["date_id"], facts[0]["xp"], facts[0]["time_spent"]) == (
        *("20260508", "100", "90.5"),
    )
    (practice,) = csv.DictReader(io.StringIO((await get(partner, "practice_fact.csv")).text))
    assert practice["is_mobile"] == "true"
    first, second = parquet(await get(partner, "course_fact.parquet"))
    assert (first["started_at"], first["xp"], second["xp"]) == (NOON, 100.0, None)
    (row,) = parquet(await get(partner, "practice_fact.parquet"))
    assert row["is_mobile"] is True
    (course, _) = parquet(await get(partner, "course_dim.parquet"))
    assert course["launched_date"] == DAY


async def test_empty_table_has_its_columns(partner: Partner) -> None:
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
async def test_format_determines_content_type_and_file_name(
    partner: Partner, name: str, kind: str
) -> None:
    answer = await get(partner, name)
    assert answer.headers["content-type"] == kind
    file = name if "." in name else f"{name}.json"
    assert answer.headers["content-disposition"] == f'attachment; filename="{file}"'
    head = await partner.http.head(partner.url(f"reports/{name}"), headers=partner.headers)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == kind
    assert "content-length" not in head.headers


# Compression


@pytest.mark.slow
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
async def test_accept_encoding_selects_the_compression(
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
async def test_file_suffix_selects_a_compressed_file(
    partner: Partner, world: World, coding: str, suffix: str, form: str
) -> None:
    plain = await get(partner, f"user_dim.{form}")
    answer = await get(partner, f"user_dim.{form}", params={"compress": coding})
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-type"] == f"application/{coding}"
    assert f'"user_dim.{form}{suffix}"' in answer.headers["content-disposition"]
    assert unpacked(answer.content, coding) == plain.content


async def test_parquet_has_no_content_encoding(partner: Partner, world: World) -> None:
    answer = await get(partner, "date_dim.parquet", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers


# Errors


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
async def test_unknown_table_or_format_is_refused(partner: Partner, path: str, code: str) -> None:
    answer = await partner.http.get(partner.url(f"reports/{path}"), headers=partner.headers)
    assert answer.json()["code"] == code


async def test_statement_report_requires_the_statements_scope(
    services: Services, http: httpx.AsyncClient
) -> None:
    reports = await new_partner(services, http, frozenset({scopes.REPORTS_READ}))
    reader = await new_partner(services, http, frozenset({scopes.STATEMENTS_READ}))
    for partner, allowed in ((reports, "user_dim"), (reader, "statements")):
        for name in ("user_dim", "statements"):
            answer = await http.get(partner.url(f"reports/{name}"), headers=partner.headers)
            assert answer.status_code == (200 if name == allowed else 403)


async def test_reports_of_another_partner_return_403(partner: Partner, stranger: Partner) -> None:
    answer = await partner.http.get(stranger.url("reports/user_dim"), headers=partner.headers)
    assert answer.status_code == 403


async def test_parquet_without_pyarrow_returns_404_with_the_install_command(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    answer = await partner.http.get(
        partner.url("reports/user_dim.parquet"), headers=partner.headers
    )
    assert answer.status_code == 404
    assert "pip install 'lrs-server[parquet]'" in answer.json()["detail"]
    assert (await get(partner, "user_dim.csv")).status_code == 200
