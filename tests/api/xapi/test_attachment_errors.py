"""Attachments that are refused."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import httpx
import pytest

from lrs.api.services import Services
from tests.support.attachments import (
    BOUNDARY,
    EVERY_BYTE,
    MIXED,
    URL,
    Json,
    attachment_of,
    attachment_with_url,
    get,
    ids,
    multipart_body,
    post,
    post_raw,
    read,
    refused,
    rows,
    sha2_of,
    statement_with,
    stored,
    substatement_with,
)
from tests.support.multipart import attached, body, part
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        (statement_with(attachment_of(b"x")), "/attachments/0"),
        (statement_with(attachment_with_url(b"y"), attachment_of(b"x")), "/attachments/1"),
        (substatement_with(attachment_of(b"x")), "/object/attachments/0"),
    ],
)
async def test_json_request_with_attachment_without_file_url_is_refused(
    partner: Partner, services: Services, sent: Json, pointer: str
) -> None:
    await refused(services, partner, await partner.xapi(sent), pointer)
    await refused(services, partner, await partner.send(sent), pointer)
    await refused(services, partner, await post(partner, sent), pointer)


@pytest.mark.parametrize("make", [statement_with, substatement_with])
async def test_json_request_with_file_urls_is_accepted(partner: Partner, make: Any) -> None:
    one, other = make(attachment_with_url(b"x")), make(attachment_with_url(b"x"))
    assert (await partner.xapi(one)).status_code == 200
    assert (await partner.send(other)).status_code == 200
    result = read(await get(partner, attachments="true"))
    assert (set(result.ids), result.contents) == ({one["id"], other["id"]}, {})


async def test_stored_content_does_not_replace_a_missing_part(partner: Partner) -> None:
    """Stored content does not prove that the sender has it."""
    await stored(partner, statement_with(attachment_of(EVERY_BYTE)), EVERY_BYTE)
    again = statement_with(attachment_of(EVERY_BYTE))
    for response in (await partner.xapi(again), await post(partner, again)):
        assert response.status_code == 400
        assert "/attachments/0" in response.json()["detail"]
    assert again["id"] not in await ids(partner)


async def test_stored_content_is_returned_with_file_url_attachments_of_its_hash(
    partner: Partner,
) -> None:
    await stored(partner, statement_with(attachment_of(EVERY_BYTE)), EVERY_BYTE)
    other = statement_with(attachment_with_url(EVERY_BYTE))
    assert (await partner.xapi(other)).status_code == 200
    result = read(await get(partner, statementId=other["id"], attachments="true"))
    assert result.contents == {sha2_of(EVERY_BYTE): EVERY_BYTE}


async def test_surplus_part_is_refused(partner: Partner, services: Services) -> None:
    for sent in (
        statement_with(attachment_of(b"x")),
        statement(),
        [statement(), statement_with(attachment_of(b"x"))],
    ):
        message = await refused(services, partner, await post(partner, sent, b"x", b"y"))
        assert sha2_of(b"y") in message or sha2_of(b"x") in message


async def test_part_with_a_wrong_hash_is_refused(partner: Partner, services: Services) -> None:
    sent = statement_with(attachment_of(b"x"))
    first = part(json.dumps(sent).encode(), "Content-Type: application/json")
    for second in (
        attached(b"y", sha2_of(b"x")),
        attached(b"x", sha2_of(b"x", "sha512")[:64]),
        attached(b"x", "not a hash"),
        attached(b"x", hashlib.sha1(b"x").hexdigest()),
        part(b"x", "Content-Type: text/plain", "Content-Transfer-Encoding: binary"),
        part(
            b"eA==",
            "Content-Transfer-Encoding: base64",
            f"X-Experience-API-Hash: {sha2_of(b'x')}",
        ),
    ):
        response = await post_raw(partner, body(first, second, boundary=BOUNDARY))
        assert "Part 2" in await refused(services, partner, response)


async def test_part_with_another_sha2_variant_is_refused(
    partner: Partner, services: Services
) -> None:
    sent = statement_with(attachment_of(b"x", "sha512"))
    await refused(services, partner, await post(partner, sent, b"x"))


async def test_refused_batch_stores_no_content(partner: Partner, services: Services) -> None:
    good = statement_with(attachment_of(b"good"))
    for bad in (statement(verb={}), statement_with(attachment_of(b"absent")), {"actor": 7}, 7):
        await refused(services, partner, await post(partner, [good, bad], b"good"))


async def test_conflict_stores_no_content(partner: Partner, services: Services) -> None:
    existing = statement(id=new_id())
    assert (await partner.xapi(existing)).status_code == 200
    other = statement_with(
        attachment_of(b"x"), id=existing["id"], verb={"id": "http://example.com/other"}
    )
    for batch in (other, [other], [statement_with(attachment_of(b"x")), other]):
        response = await post(partner, batch, b"x")
        assert response.status_code == 409
        assert await rows(services, partner) == 0
    assert await ids(partner) == {existing["id"]}


async def test_duplicate_statement_stores_no_content(partner: Partner, services: Services) -> None:
    """Attachments do not make a statement different, and stored statements do not change."""
    existing = statement_with(attachment_with_url(b"x"))
    assert (await partner.xapi(existing)).status_code == 200
    await stored(partner, {**existing, "attachments": [attachment_of(b"x")]}, b"x")
    assert await rows(services, partner) == 0
    (result,) = await partner.all()
    assert result["attachments"] == existing["attachments"]


async def test_invalid_multipart_put_is_refused(partner: Partner, services: Services) -> None:
    sent = statement_with(attachment_of(b"x"))

    async def put(statements: Any, *contents: bytes) -> httpx.Response:
        return await partner.http.put(
            URL,
            params={"statementId": sent["id"]},
            content=multipart_body(statements, *contents),
            headers={**XAPI, **MIXED},
            auth=(partner.key, partner.secret),
        )

    await refused(services, partner, await put([sent], b"x"))
    await refused(services, partner, await put(sent, b"x", b"y"))
    await refused(services, partner, await put(sent), "/attachments/0")
    await refused(services, partner, await put({**sent, "id": new_id()}, b"x"), "/id")
    assert (await put(sent, b"x")).status_code == 204
    assert await rows(services, partner) == 1


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/mixed",
        "multipart/mixed; boundary=",
        "multipart/form-data; boundary=x",
        "multipart/related; boundary=x",
        "multipart/mixedup; boundary=x",
    ],
)
async def test_other_multipart_types_are_refused(partner: Partner, content_type: str) -> None:
    response = await partner.http.post(
        URL,
        content=multipart_body(statement()),
        headers={**XAPI, "Content-Type": content_type},
        auth=(partner.key, partner.secret),
    )
    assert response.status_code == 400
    assert await ids(partner) == set()


@pytest.mark.parametrize("content", [b"", b"{}", b"-", b"--x", b"--x\r\n\r\n{}", b"--" + b"x" * 90])
async def test_untyped_body_without_parts_is_refused(partner: Partner, content: bytes) -> None:
    response = await partner.http.post(
        URL,
        content=content,
        headers={**XAPI, "Content-Type": "application/octet-stream"},
        auth=(partner.key, partner.secret),
    )
    assert (response.status_code, response.json()["code"]) == (400, "unsupported-media-type")


async def test_multipart_on_the_partner_interface_is_refused(
    partner: Partner, services: Services
) -> None:
    sent = statement_with(attachment_of(b"x"))
    response = await partner.send(multipart_body(sent, b"x"), headers=MIXED)
    assert response.json()["code"] == "unsupported-media-type"
    await refused(services, partner, response)


async def test_missing_attachment_refuses_only_its_item_on_the_partner_interface(
    partner: Partner, services: Services
) -> None:
    batch = [
        statement_with(attachment_with_url(b"x")),
        statement_with(attachment_of(b"x")),
        statement(id=new_id()),
    ]
    response = await partner.send(batch)
    assert response.status_code == 207
    assert [result["status"] for result in response.json()["results"]] == [200, 400, 200]
    assert await ids(partner) == {batch[0]["id"], batch[2]["id"]}
    assert await rows(services, partner) == 0
