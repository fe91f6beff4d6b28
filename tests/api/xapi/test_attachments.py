"""Attachments that are stored with their statements."""

from __future__ import annotations

import json

import pytest

from lrs.api.services import Services
from tests.support.attachments import (
    BOUNDARY,
    DELIMITER_LIKE,
    EVERY_BYTE,
    MIXED,
    URL,
    attachment_of,
    attachment_with_url,
    get,
    ids,
    multipart_body,
    post_raw,
    read,
    rows,
    sha2_of,
    statement_with,
    stored,
    substatement_with,
)
from tests.support.multipart import attached, body, part
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("content", [EVERY_BYTE, DELIMITER_LIKE, b"", b"\r\n", b"\n"])
async def test_content_round_trips_byte_for_byte(
    partner: Partner, method: str, content: bytes
) -> None:
    sent = statement_with(attachment_of(content))
    sending = await partner.http.request(
        method,
        URL,
        params={"statementId": sent["id"]} if method == "PUT" else None,
        content=multipart_body(sent, content),
        headers={**XAPI, **MIXED},
        auth=(partner.key, partner.secret),
    )
    assert sending.status_code == (204 if method == "PUT" else 200), sending.text
    result = read(await get(partner, statementId=sent["id"], attachments="true"))
    assert sent.items() <= result.json.items()
    assert result.contents == {sha2_of(content): content}


async def test_part_has_content_type_hash_and_encoding(partner: Partner) -> None:
    sent = statement_with(attachment_of(EVERY_BYTE, contentType="image/png"))
    await stored(partner, sent, EVERY_BYTE)
    response = await get(partner, statementId=sent["id"], attachments="true")
    assert read(response).headers == [
        {"Content-Type": "application/json"},
        {
            "Content-Type": "image/png",
            "Content-Transfer-Encoding": "binary",
            "X-Experience-API-Hash": sha2_of(EVERY_BYTE),
        },
    ]
    # In the statement and in the headers of the part.
    assert response.content.count(sha2_of(EVERY_BYTE).encode()) == 2


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("capitals", [False, True])
async def test_every_sha2_variant_is_accepted(
    partner: Partner, algorithm: str, capitals: bool
) -> None:
    sha2 = sha2_of(EVERY_BYTE, algorithm)
    sent = statement_with(attachment_of(EVERY_BYTE, sha2=sha2.upper() if capitals else sha2))
    first = part(json.dumps(sent).encode(), "Content-Type: application/json")
    second = attached(EVERY_BYTE, sha2)
    response = await post_raw(partner, body(first, second, boundary=BOUNDARY))
    assert response.status_code == 200, response.text
    result = read(await get(partner, statementId=sent["id"], attachments="true"))
    assert result.contents == {sha2: EVERY_BYTE}
    assert result.json["attachments"] == sent["attachments"]


async def test_attachment_shared_by_a_batch_is_stored_once(
    partner: Partner, services: Services
) -> None:
    batch = [statement_with(attachment_of(b"shared")) for _ in range(3)]
    batch += [
        substatement_with(attachment_of(b"shared")),
        statement_with(attachment_of(b"own"), attachment_of(b"shared")),
    ]
    await stored(partner, batch, b"shared", b"own")
    assert await rows(services, partner) == 2
    result = read(await get(partner, attachments="true"))
    assert set(result.ids) == {item["id"] for item in batch}
    assert result.contents == {sha2_of(b"shared"): b"shared", sha2_of(b"own"): b"own"}


async def test_repeated_content_is_deduplicated_per_partner(
    partner: Partner, stranger: Partner, services: Services
) -> None:
    for _ in range(3):
        await stored(partner, statement_with(attachment_of(EVERY_BYTE)), EVERY_BYTE)
    assert await rows(services, partner) == 1
    assert await rows(services, stranger) == 0
    await stored(stranger, statement_with(attachment_of(EVERY_BYTE)), EVERY_BYTE)
    assert await rows(services, stranger) == 1


async def test_repeated_multipart_request_is_idempotent(
    partner: Partner, services: Services
) -> None:
    sent = [statement_with(attachment_of(EVERY_BYTE)), statement_with(attachment_with_url(b"far"))]
    for _ in range(2):
        await stored(partner, sent, EVERY_BYTE)
    assert await ids(partner) == {item["id"] for item in sent}
    assert await rows(services, partner) == 1


async def test_part_sent_twice_is_deduplicated(partner: Partner, services: Services) -> None:
    await stored(partner, statement_with(attachment_of(b"x"), attachment_of(b"x")), b"x", b"x")
    assert await rows(services, partner) == 1


async def test_multipart_without_attachments_is_accepted(partner: Partner) -> None:
    batch = [statement(id=new_id()), statement_with(attachment_with_url(b"far"))]
    await stored(partner, batch)
    assert await ids(partner) == {item["id"] for item in batch}


async def test_wrong_attachment_length_is_accepted(partner: Partner) -> None:
    await stored(partner, statement_with(attachment_of(EVERY_BYTE, length=7)), EVERY_BYTE)


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_multipart_body_without_its_type_is_accepted(partner: Partner, method: str) -> None:
    """axios in Node replaces the Content-Type of a Blob."""
    sent = statement_with(attachment_of(EVERY_BYTE), attachment_of(DELIMITER_LIKE))
    response = await partner.http.request(
        method,
        URL,
        params={"statementId": sent["id"]} if method == "PUT" else None,
        content=multipart_body(sent, EVERY_BYTE, DELIMITER_LIKE),
        headers={**XAPI, "Content-Type": "application/octet-stream"},
        auth=(partner.key, partner.secret),
    )
    assert response.is_success, response.text
    received = read(await get(partner, statementId=sent["id"], attachments="true"))
    assert set(received.contents.values()) == {EVERY_BYTE, DELIMITER_LIKE}
