"""Multipart requests with attachments, and multipart responses."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import httpx

from lrs.api.services import Services
from tests.support.multipart import attached, body, part
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement

Json = dict[str, Any]

URL = "/xapi/statements"
BOUNDARY = "314159265358979323846"
MIXED = {"Content-Type": f"multipart/mixed; boundary={BOUNDARY}"}
EVERY_BYTE = bytes(range(256))

# Bytes that a careless parser takes for the end of the part or of a line.
DELIMITER_LIKE = b"\r\n--" + BOUNDARY[:-1].encode() + b"--\r\n\r\n\n\r\0\xff\r\n"


def sha2_of(content: bytes, algorithm: str = "sha256") -> str:
    return hashlib.new(algorithm, content).hexdigest()


def attachment_of(content: bytes, algorithm: str = "sha256", **members: Any) -> Json:
    """The attachment object of a statement."""
    return {
        "usageType": "http://example.com/usage/certificate",
        "display": {"en-US": "A certificate", "de": "Ein Zeugnis"},
        "contentType": "application/pdf",
        "length": len(content),
        "sha2": sha2_of(content, algorithm),
    } | members


def attachment_with_url(content: bytes, **members: Any) -> Json:
    return attachment_of(content, fileUrl="https://files.example.com/1", **members)


def statement_with(*attachment_of: Json, **members: Any) -> Json:
    """A statement with attachments."""
    return statement(**{"id": new_id(), **members}, attachments=list(attachment_of))


def substatement_with(*attachment_of: Json) -> Json:
    """A statement whose SubStatement has attachments."""
    inner = statement(attachments=list(attachment_of))
    return statement(id=new_id(), object={"objectType": "SubStatement", **inner})


def multipart_body(statements: Any, *contents: bytes) -> bytes:
    text = json.dumps(statements).encode()
    first = part(text, "Content-Type: application/json")
    return body(first, *map(attached, contents), boundary=BOUNDARY)


async def post(partner: Partner, statements: Any, *contents: bytes) -> httpx.Response:
    return await post_raw(partner, multipart_body(statements, *contents))


async def post_raw(partner: Partner, content: bytes) -> httpx.Response:
    return await partner.http.post(
        URL, content=content, headers={**XAPI, **MIXED}, auth=(partner.key, partner.secret)
    )


async def stored(partner: Partner, statements: Any, *contents: bytes) -> None:
    response = await post(partner, statements, *contents)
    assert response.status_code == 200, response.text


async def get(partner: Partner, url: str = URL, **params: str) -> httpx.Response:
    return await partner.http.get(
        url, params=params or None, headers=XAPI, auth=(partner.key, partner.secret)
    )


@dataclass
class Answer:
    """A response: the JSON, and the other parts by hash, in order."""

    json: Any
    contents: dict[str, bytes]
    headers: list[dict[str, str]]

    @property
    def ids(self) -> list[str]:
        return [item["id"] for item in self.json["statements"]]


def read(response: httpx.Response) -> Answer:
    """A response split at CRLF only."""
    assert response.status_code == 200, response.text
    kind, _, boundary = response.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/mixed"
    assert boundary.isalnum()
    line = b"--" + boundary.encode()
    pieces = (b"\r\n" + response.content).split(b"\r\n" + line)
    assert pieces[0] == b""
    assert pieces[-1] == b"--"
    contents: dict[str, bytes] = {}
    headers = []
    for piece in pieces[1:-1]:
        head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        lines = (item.partition(": ") for item in head.decode().split("\r\n"))
        headers.append({name: value for name, _, value in lines})
        sha2 = headers[-1].get("X-Experience-API-Hash", "")
        assert sha2 not in contents
        contents[sha2] = content
    result = json.loads(contents.pop(""))
    return Answer(result, contents, headers)


async def rows(services: Services, partner: Partner) -> int:
    """The number of stored contents of a partner."""
    count: int = await services.database.readers.fetchval(
        "select count(*) from attachment where partner_id = $1", partner.partner_id
    )
    return count


async def ids(partner: Partner) -> set[str]:
    return {item["id"] for item in await partner.all()}


async def refused(
    services: Services, partner: Partner, response: httpx.Response, *pointers: str
) -> str:
    """Asserts that nothing is stored; returns the detail."""
    assert response.status_code == 400, response.text
    problem = response.json()
    if pointers:
        reported = problem["results"][0]["problem"] if "results" in problem else problem
        assert [error["pointer"] for error in reported["errors"]] == list(pointers)
    assert await ids(partner) == set()
    assert await rows(services, partner) == 0
    detail: str = problem["detail"]
    return detail
