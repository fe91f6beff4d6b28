"""Requests that are refused as a whole, and log lines."""

from __future__ import annotations

import gzip
import logging
from typing import Any

import httpx
import pytest

from lrs.api.services import Services
from lrs.store import registry
from lrs.store.registry import LimitOverrides
from tests.support.attachments import MIXED
from tests.support.canvas import body, new_tool
from tests.support.ledger import kept, outcomes
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement

MALFORMED = b'[{"actor": '


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """The fields of the last request's log line."""
    with caplog.at_level(logging.INFO, "lrs.requests"):
        yield lambda: caplog.records[-1].__dict__


async def test_malformed_body_is_kept_as_a_refused_request(
    services: Services, partner: Partner
) -> None:
    await partner.send(MALFORMED, organization="north")
    (refusal,) = await kept(services, partner)
    assert (refusal.outcome, refusal.code) == ("invalid", "malformed-json")
    assert (refusal.item, refusal.item_index) == (MALFORMED, None)
    assert (refusal.credential, refusal.organization) == (partner.key, "north")
    assert await outcomes(services, partner) == {"invalid": 1}


async def test_compressed_body_is_kept_decompressed(services: Services, partner: Partner) -> None:
    await partner.send(gzip.compress(MALFORMED), headers={"Content-Encoding": "gzip"})
    (refusal,) = await kept(services, partner)
    assert (refusal.item, refusal.item_bytes) == (MALFORMED, len(MALFORMED))


async def test_large_malformed_body_is_kept_in_part(services: Services, partner: Partner) -> None:
    await partner.send(b"[" + b" " * 20_000)
    (refusal,) = await kept(services, partner)
    assert (len(refusal.item or b""), refusal.item_bytes) == (16_384, 20_001)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content-Type": "text/plain"}, "unsupported-media-type"),
        ({"X-Experience-API-Version": "0.9"}, "unsupported-version"),
    ],
)
async def test_wrong_headers_are_kept_as_a_refused_request(
    services: Services, partner: Partner, headers: dict[str, str], code: str
) -> None:
    await partner.send(b"[]", headers=headers)
    assert [refusal.code for refusal in await kept(services, partner)] == [code]


async def test_body_of_a_multipart_request_is_not_kept(
    services: Services, partner: Partner
) -> None:
    await partner.http.post(
        "/xapi/statements",
        content=b"--x\r\n",
        headers={**XAPI, **MIXED},
        auth=(partner.key, partner.secret),
    )
    (refusal,) = await kept(services, partner)
    assert (refusal.source, refusal.item, refusal.item_bytes) == ("xapi", None, 5)


async def test_requests_beyond_a_rate_limit_are_counted_and_not_kept(
    services: Services, partner: Partner
) -> None:
    limits = LimitOverrides(rate_limit="1/day")
    await registry.set_partner_limits(services.database, partner.name, limits)
    services.authenticator._caller_cache.clear()
    answers = [await partner.send(statement()) for _ in range(3)]
    assert [answer.status_code for answer in answers][1:] == [429, 429]
    assert await kept(services, partner) == []
    assert (await outcomes(services, partner))["limited"] == 2


async def test_dry_run_and_reads_are_not_kept(services: Services, partner: Partner) -> None:
    await partner.send(MALFORMED, params={"validate": "true"})
    await partner.get(limit="x")
    assert await kept(services, partner) == []


async def test_invalid_canvas_report_is_kept(services: Services, partner: Partner) -> None:
    tool = await new_tool(services, partner)
    response = await tool.send(body("not a duration"))
    assert response.status_code == 422
    (refusal,) = await kept(services, partner)
    assert (refusal.source, refusal.credential) == ("canvas", f"tool {tool.name}")
    assert "not a duration" in (refusal.item or b"").decode()


async def test_log_line_of_a_batch_has_partner_key_and_counts(partner: Partner, lines: Any) -> None:
    stored = statement(id=new_id())
    await partner.send(stored)
    await partner.send([statement(), stored, {**statement(), "verb": 1}, 1])
    line = lines()
    assert (line["partner"], line["key"], line["status"]) == (partner.name, partner.key, 207)
    assert (line["items"], line["stored"], line["refused"]) == (4, 1, 2)
    assert (line["duplicates"], line["code"]) == (1, "duplicate")


async def test_log_line_of_an_atomic_batch_has_the_code(partner: Partner, lines: Any) -> None:
    await partner.xapi([statement(), {**statement(), "verb": 1}])
    line = lines()
    assert (line["items"], line["stored"], line["refused"]) == (2, 0, 1)
    assert line["code"] == "invalid-statement"


async def test_log_line_of_a_refused_request_has_the_code(partner: Partner, lines: Any) -> None:
    await partner.send(MALFORMED)
    assert (lines()["key"], lines()["code"]) == (partner.key, "malformed-json")


async def test_log_line_of_a_401_names_the_key_that_was_tried(
    http: httpx.AsyncClient, partner: Partner, lines: Any
) -> None:
    await http.get("/xapi/statements", headers=XAPI, auth=("unknown-key", "x"))
    line = lines()
    assert (line["status"], line["key"], line["code"]) == (401, "unknown-key", "unauthorized")
    assert "partner" not in line
    await http.get("/xapi/statements", headers=XAPI, auth=(partner.secret, partner.key))
    assert partner.secret not in repr(lines())


async def test_log_line_of_a_callback_names_the_tool(
    services: Services, partner: Partner, lines: Any
) -> None:
    tool = await new_tool(services, partner)
    await tool.send()
    assert (lines()["partner"], lines()["key"]) == (partner.name, f"tool {tool.name}")
