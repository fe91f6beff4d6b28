"""Attachments in responses."""

from __future__ import annotations

import os
from collections.abc import Sequence

import httpx
import pytest

from lrs.api.services import Services
from lrs.store.statements import attachments
from tests.support.attachments import (
    EVERY_BYTE,
    MIXED,
    URL,
    attachment_of,
    attachment_with_url,
    get,
    multipart_body,
    post,
    read,
    refused,
    sha2_of,
    statement_with,
    stored,
    substatement_with,
)
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement


async def test_content_is_isolated_by_partner(partner: Partner, stranger: Partner) -> None:
    secret = statement_with(attachment_of(b"secret"))
    await stored(partner, secret, b"secret")
    # The other partner uses the same hash and id.
    curious = statement_with(attachment_with_url(b"secret"), id=secret["id"])
    assert (await stranger.xapi(curious)).status_code == 200
    for params in ({}, {"statementId": secret["id"]}):
        response = await get(stranger, **params, attachments="true")
        assert read(response).contents == {}
        assert b"X-Experience-API-Hash" not in response.content
    assert read(await get(partner, attachments="true")).contents


async def test_content_is_sent_only_with_attachments_true(partner: Partner) -> None:
    sent = statement_with(attachment_of(EVERY_BYTE))
    await stored(partner, sent, EVERY_BYTE)
    for wanted in ({}, {"attachments": "false"}):
        response = await get(partner, statementId=sent["id"], **wanted)
        assert response.headers["content-type"] == "application/json"
        assert response.json()["attachments"] == sent["attachments"]
        listed = await get(partner, **wanted)
        assert listed.headers["content-type"] == "application/json"
        assert listed.json()["statements"][0]["attachments"] == sent["attachments"]
    for wrong in ("1", "yes", ""):
        assert (await get(partner, attachments=wrong)).status_code == 400


async def test_response_without_attachments_is_multipart(partner: Partner) -> None:
    empty = read(await get(partner, attachments="true"))
    assert (empty.json, empty.contents) == ({"statements": [], "more": ""}, {})
    sent = statement(id=new_id())
    await partner.xapi(sent)
    assert read(await get(partner, attachments="true")).ids == [sent["id"]]
    result = read(await get(partner, statementId=sent["id"], attachments="true"))
    assert (result.json["id"], result.contents) == (sent["id"], {})


async def test_unknown_statement_returns_a_problem_not_multipart(partner: Partner) -> None:
    response = await get(partner, statementId=new_id(), attachments="true")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


async def test_contents_are_in_the_order_of_the_statements(partner: Partner) -> None:
    """Once each, at the first statement that refers to it."""
    contents = [bytes([number]) * 3 for number in range(30)]
    for start in range(0, 30, 3):
        some = contents[start : start + 3]
        await stored(
            partner, statement_with(*map(attachment_of, [*some, some[0]])), *reversed(some)
        )
    await stored(partner, statement_with(attachment_of(contents[9])), contents[9])
    result = read(await get(partner, attachments="true", ascending="true"))
    assert list(result.contents.values()) == contents
    result = read(await get(partner, attachments="true"))
    named = [
        attachment["sha2"] for one in result.json["statements"] for attachment in one["attachments"]
    ]
    assert list(result.contents) == list(dict.fromkeys(named))


@pytest.mark.parametrize("ascending", ["false", "true"])
async def test_pagination_continues_with_attachments(partner: Partner, ascending: str) -> None:
    contents = [f"content {number}".encode() for number in range(5)]
    sent = [statement_with(attachment_of(content)) for content in contents]
    for item, content in zip(sent, contents, strict=True):
        await stored(partner, item, content)
    order: Sequence[int] = range(5) if ascending == "true" else range(4, -1, -1)
    response = await get(partner, attachments="true", limit="2", ascending=ascending)
    for positions in (order[:2], order[2:4], order[4:]):
        result = read(response)
        assert result.ids == [sent[position]["id"] for position in positions]
        assert list(result.contents.values()) == [contents[position] for position in positions]
        if result.json["more"]:
            response = await get(partner, result.json["more"])
    assert result.json["more"] == ""


@pytest.mark.parametrize("form", ["ids", "canonical"])
async def test_content_is_sent_with_every_format(partner: Partner, form: str) -> None:
    sent = [statement_with(attachment_of(b"x")), substatement_with(attachment_of(b"y"))]
    await stored(partner, sent, b"x", b"y")
    result = read(await get(partner, attachments="true", format=form))
    assert set(result.contents.values()) == {b"x", b"y"}
    one = read(await get(partner, statementId=sent[0]["id"], attachments="true", format=form))
    assert one.contents == {sha2_of(b"x"): b"x"}
    if form == "canonical":
        assert one.json["attachments"][0]["display"] == {"en-US": "A certificate"}


async def test_attachments_of_a_voided_statement_are_returned(partner: Partner) -> None:
    sent = statement_with(attachment_of(b"x"))
    voiding = statement(
        verb={"id": "http://adlnet.gov/expapi/verbs/voided"},
        object={"objectType": "StatementRef", "id": sent["id"]},
    )
    await stored(partner, [voiding, sent], b"x")
    assert read(await get(partner, attachments="true")).contents == {}
    result = read(await get(partner, voidedStatementId=sent["id"], attachments="true"))
    assert result.contents == {sha2_of(b"x"): b"x"}


async def test_partner_interface_returns_attachments(partner: Partner) -> None:
    await stored(partner, statement_with(attachment_of(b"x")), b"x")
    result = read(await partner.get(attachments="true"))
    assert result.contents == {sha2_of(b"x"): b"x"}


async def test_head_with_attachments_has_headers_and_no_content(
    partner: Partner, server: str
) -> None:
    await stored(partner, statement_with(attachment_of(EVERY_BYTE)), EVERY_BYTE)
    async with httpx.AsyncClient(base_url=server) as http:
        for _ in range(2):  # on one connection
            response = await http.head(
                URL,
                params={"attachments": "true"},
                headers=XAPI,
                auth=(partner.key, partner.secret),
            )
            assert (response.status_code, response.content) == (200, b"")
            assert response.headers["content-type"].startswith("multipart/mixed")


async def test_large_contents_are_streamed(
    partner: Partner, services: Services, server: str
) -> None:
    """Two of 5 MB and some small ones, read and sent in chunks."""
    large = [os.urandom(5_000_000), os.urandom(5_000_000)]
    small = [b"one", b"two", b"three"]
    contents = [small[0], large[0], small[1], large[1], small[2]]
    sent = statement_with(*map(attachment_of, contents))
    async with httpx.AsyncClient(base_url=server, timeout=30) as http:
        auth = (partner.key, partner.secret)
        posted = await http.post(
            URL,
            content=multipart_body(sent, *contents),
            headers={**XAPI, **MIXED},
            auth=auth,
        )
        assert posted.status_code == 200, posted.text
        async with http.stream(
            "GET", URL, params={"attachments": "true"}, headers=XAPI, auth=auth
        ) as response:
            assert response.headers["transfer-encoding"] == "chunked"
            whole = b"".join([chunk async for chunk in response.aiter_raw()])
    result = read(httpx.Response(200, headers=response.headers, content=whole))
    assert list(result.contents.values()) == contents
    hashes = list(map(sha2_of, contents))
    sizes = await attachments.list_sizes(services.database, partner.partner_id, hashes)
    requested = attachments.stream_contents(services.database, partner.partner_id, sizes)
    assert [len(content) async for _, content in requested] == [len(item) for item in contents]


async def test_client_disconnect_during_a_stream_affects_no_other(
    partner: Partner, server: str
) -> None:
    content = os.urandom(5_000_000)
    await stored(partner, statement_with(attachment_of(content)), content)
    auth = (partner.key, partner.secret)
    for _ in range(3):
        async with (
            httpx.AsyncClient(base_url=server) as http,
            http.stream(
                "GET", URL, params={"attachments": "true"}, headers=XAPI, auth=auth
            ) as response,
        ):
            assert response.status_code == 200
            await anext(response.aiter_raw())
    async with httpx.AsyncClient(base_url=server) as http:
        assert (await http.get(URL, headers=XAPI, auth=auth)).status_code == 200


async def test_content_type_with_line_ends_is_refused(partner: Partner, services: Services) -> None:
    """Otherwise it would inject headers into the response."""
    nasty = "text/plain\r\nX-Experience-API-Hash: 0\r\n\r\n--"
    sent = statement_with(attachment_of(b"x", contentType=nasty))
    await refused(services, partner, await post(partner, sent, b"x"), "/attachments/0/contentType")
