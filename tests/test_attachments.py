"""Attachments: sent with their statements, kept once, given back byte for byte."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from support import XAPI, Partner, new_id, statement
from test_multipart import attached, body, part

from lrs.api.services import Services
from lrs.store.statements import attachments

Json = dict[str, Any]

URL = "/xapi/statements"
BOUNDARY = "314159265358979323846"
MIXED = {"Content-Type": f"multipart/mixed; boundary={BOUNDARY}"}
EVERY_BYTE = bytes(range(256))
# What a careless reader would take for the end of the part, or of the line.
NASTY = b"\r\n--" + BOUNDARY[:-1].encode() + b"--\r\n\r\n\n\r\0\xff\r\n"


def sha2_of(content: bytes, algorithm: str = "sha256") -> str:
    return hashlib.new(algorithm, content).hexdigest()


def described(content: bytes, algorithm: str = "sha256", **members: Any) -> Json:
    """An attachment as a statement describes it."""
    return {
        "usageType": "http://example.com/usage/certificate",
        "display": {"en-US": "A certificate", "de": "Ein Zeugnis"},
        "contentType": "application/pdf",
        "length": len(content),
        "sha2": sha2_of(content, algorithm),
    } | members


def elsewhere(content: bytes, **members: Any) -> Json:
    return described(content, fileUrl="https://files.example.com/1", **members)


def having(*described: Json, **members: Any) -> Json:
    """A statement with attachments."""
    return statement(**{"id": new_id(), **members}, attachments=list(described))


def within(*described: Json) -> Json:
    """A statement whose SubStatement has attachments."""
    inner = statement(attachments=list(described))
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
    answer = await post(partner, statements, *contents)
    assert answer.status_code == 200, answer.text


async def get(partner: Partner, url: str = URL, **params: str) -> httpx.Response:
    return await partner.http.get(
        url, params=params or None, headers=XAPI, auth=(partner.key, partner.secret)
    )


@dataclass
class Answer:
    """What came: the JSON, and the other parts by hash, in order."""

    json: Any
    contents: dict[str, bytes]
    headers: list[dict[str, str]]

    @property
    def ids(self) -> list[str]:
        return [each["id"] for each in self.json["statements"]]


def read(answer: httpx.Response) -> Answer:
    """An answer taken apart by a reader that believes in CRLF and in nothing else."""
    assert answer.status_code == 200, answer.text
    kind, _, boundary = answer.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/mixed"
    assert boundary.isalnum()
    line = b"--" + boundary.encode()
    pieces = (b"\r\n" + answer.content).split(b"\r\n" + line)
    assert pieces[0] == b""
    assert pieces[-1] == b"--\r\n"
    contents: dict[str, bytes] = {}
    headers = []
    for piece in pieces[1:-1]:
        head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        lines = (each.partition(": ") for each in head.decode().split("\r\n"))
        headers.append({name: value for name, _, value in lines})
        sha2 = headers[-1].get("X-Experience-API-Hash", "")
        assert sha2 not in contents
        contents[sha2] = content
    found = json.loads(contents.pop(""))
    return Answer(found, contents, headers)


async def rows(services: Services, partner: Partner) -> int:
    """How many contents are kept for a partner."""
    count: int = await services.database.readers.fetchval(
        "select count(*) from attachment where partner_id = $1", partner.partner_id
    )
    return count


async def ids(partner: Partner) -> set[str]:
    return {each["id"] for each in await partner.all()}


# Sent


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("content", [EVERY_BYTE, NASTY, b"", b"\r\n", b"\n"])
async def test_content_comes_back_byte_for_byte(
    partner: Partner, method: str, content: bytes
) -> None:
    sent = having(described(content))
    sending = await partner.http.request(
        method,
        URL,
        params={"statementId": sent["id"]} if method == "PUT" else None,
        content=multipart_body(sent, content),
        headers={**XAPI, **MIXED},
        auth=(partner.key, partner.secret),
    )
    assert sending.status_code == (204 if method == "PUT" else 200), sending.text
    found = read(await get(partner, statementId=sent["id"], attachments="true"))
    assert sent.items() <= found.json.items()
    assert found.contents == {sha2_of(content): content}


async def test_each_part_says_what_it_is(partner: Partner) -> None:
    sent = having(described(EVERY_BYTE, contentType="image/png"))
    await stored(partner, sent, EVERY_BYTE)
    answer = await get(partner, statementId=sent["id"], attachments="true")
    assert read(answer).headers == [
        {"Content-Type": "application/json"},
        {
            "Content-Type": "image/png",
            "Content-Transfer-Encoding": "binary",
            "X-Experience-API-Hash": sha2_of(EVERY_BYTE),
        },
    ]
    # Once in the statement, once in front of the content.
    assert answer.content.count(sha2_of(EVERY_BYTE).encode()) == 2


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("capitals", [False, True])
async def test_every_sha2_may_be_used(partner: Partner, algorithm: str, capitals: bool) -> None:
    sha2 = sha2_of(EVERY_BYTE, algorithm)
    sent = having(described(EVERY_BYTE, sha2=sha2.upper() if capitals else sha2))
    first = part(json.dumps(sent).encode(), "Content-Type: application/json")
    second = attached(EVERY_BYTE, sha2)
    answer = await post_raw(partner, body(first, second, boundary=BOUNDARY))
    assert answer.status_code == 200, answer.text
    found = read(await get(partner, statementId=sent["id"], attachments="true"))
    assert found.contents == {sha2: EVERY_BYTE}
    assert found.json["attachments"] == sent["attachments"]


async def test_a_batch_shares_one_attachment(partner: Partner, services: Services) -> None:
    batch = [having(described(b"shared")) for _ in range(3)]
    batch += [within(described(b"shared")), having(described(b"own"), described(b"shared"))]
    await stored(partner, batch, b"shared", b"own")
    assert await rows(services, partner) == 2
    found = read(await get(partner, attachments="true"))
    assert set(found.ids) == {each["id"] for each in batch}
    assert found.contents == {sha2_of(b"shared"): b"shared", sha2_of(b"own"): b"own"}


async def test_content_is_kept_once_however_often_it_comes(
    partner: Partner, stranger: Partner, services: Services
) -> None:
    for _ in range(3):
        await stored(partner, having(described(EVERY_BYTE)), EVERY_BYTE)
    assert await rows(services, partner) == 1
    assert await rows(services, stranger) == 0
    await stored(stranger, having(described(EVERY_BYTE)), EVERY_BYTE)
    assert await rows(services, stranger) == 1


async def test_the_same_request_again_is_fine(partner: Partner, services: Services) -> None:
    sent = [having(described(EVERY_BYTE)), having(elsewhere(b"far"))]
    for _ in range(2):
        await stored(partner, sent, EVERY_BYTE)
    assert await ids(partner) == {each["id"] for each in sent}
    assert await rows(services, partner) == 1


async def test_one_part_may_be_sent_twice(partner: Partner, services: Services) -> None:
    await stored(partner, having(described(b"x"), described(b"x")), b"x", b"x")
    assert await rows(services, partner) == 1


async def test_statements_without_attachments_may_come_as_multipart(partner: Partner) -> None:
    batch = [statement(id=new_id()), having(elsewhere(b"far"))]
    await stored(partner, batch)
    assert await ids(partner) == {each["id"] for each in batch}


async def test_the_length_is_not_held_against_the_sender(partner: Partner) -> None:
    await stored(partner, having(described(EVERY_BYTE, length=7)), EVERY_BYTE)


# Refused


async def refused(
    services: Services, partner: Partner, answer: httpx.Response, *pointers: str
) -> str:
    """A refusal leaves nothing behind; returns what it says."""
    assert answer.status_code == 400, answer.text
    problem = answer.json()
    if pointers:
        told = problem["results"][0]["problem"] if "results" in problem else problem
        assert [error["pointer"] for error in told["errors"]] == list(pointers)
    assert await ids(partner) == set()
    assert await rows(services, partner) == 0
    detail: str = problem["detail"]
    return detail


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        (having(described(b"x")), "/attachments/0"),
        (having(elsewhere(b"y"), described(b"x")), "/attachments/1"),
        (within(described(b"x")), "/object/attachments/0"),
    ],
)
async def test_as_json_every_attachment_lies_elsewhere(
    partner: Partner, services: Services, sent: Json, pointer: str
) -> None:
    await refused(services, partner, await partner.xapi(sent), pointer)
    await refused(services, partner, await partner.send(sent), pointer)
    await refused(services, partner, await post(partner, sent), pointer)


@pytest.mark.parametrize("make", [having, within])
async def test_as_json_attachments_that_lie_elsewhere_are_fine(partner: Partner, make: Any) -> None:
    one, other = make(elsewhere(b"x")), make(elsewhere(b"x"))
    assert (await partner.xapi(one)).status_code == 200
    assert (await partner.send(other)).status_code == 200
    found = read(await get(partner, attachments="true"))
    assert (set(found.ids), found.contents) == ({one["id"], other["id"]}, {})


async def test_content_must_come_with_this_request(partner: Partner) -> None:
    """That it is here already says nothing of whether the sender has it."""
    await stored(partner, having(described(EVERY_BYTE)), EVERY_BYTE)
    again = having(described(EVERY_BYTE))
    for answer in (await partner.xapi(again), await post(partner, again)):
        assert answer.status_code == 400
        assert "/attachments/0" in answer.json()["detail"]
    assert again["id"] not in await ids(partner)


async def test_content_that_is_here_is_shown_with_whoever_names_it(partner: Partner) -> None:
    await stored(partner, having(described(EVERY_BYTE)), EVERY_BYTE)
    other = having(elsewhere(EVERY_BYTE))
    assert (await partner.xapi(other)).status_code == 200
    found = read(await get(partner, statementId=other["id"], attachments="true"))
    assert found.contents == {sha2_of(EVERY_BYTE): EVERY_BYTE}


async def test_a_surplus_part_is_refused(partner: Partner, services: Services) -> None:
    for sent in (having(described(b"x")), statement(), [statement(), having(described(b"x"))]):
        said = await refused(services, partner, await post(partner, sent, b"x", b"y"))
        assert sha2_of(b"y") in said or sha2_of(b"x") in said


async def test_a_part_with_a_wrong_hash_is_refused(partner: Partner, services: Services) -> None:
    sent = having(described(b"x"))
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
        answer = await post_raw(partner, body(first, second, boundary=BOUNDARY))
        assert "Part 2" in await refused(services, partner, answer)


async def test_content_under_the_hash_of_another_kind_is_not_what_was_named(
    partner: Partner, services: Services
) -> None:
    sent = having(described(b"x", "sha512"))
    await refused(services, partner, await post(partner, sent, b"x"))


async def test_a_refused_batch_keeps_no_content(partner: Partner, services: Services) -> None:
    good = having(described(b"good"))
    for bad in (statement(verb={}), having(described(b"absent")), {"actor": 7}, 7):
        await refused(services, partner, await post(partner, [good, bad], b"good"))


async def test_a_conflict_keeps_no_content(partner: Partner, services: Services) -> None:
    known = statement(id=new_id())
    assert (await partner.xapi(known)).status_code == 200
    other = having(described(b"x"), id=known["id"], verb={"id": "http://example.com/other"})
    for batch in (other, [other], [having(described(b"x")), other]):
        answer = await post(partner, batch, b"x")
        assert answer.status_code == 409
        assert await rows(services, partner) == 0
    assert await ids(partner) == {known["id"]}


async def test_what_is_known_brings_nothing_new(partner: Partner, services: Services) -> None:
    """Attachments do not make another statement of it, and nothing stored is changed."""
    known = having(elsewhere(b"x"))
    assert (await partner.xapi(known)).status_code == 200
    await stored(partner, {**known, "attachments": [described(b"x")]}, b"x")
    assert await rows(services, partner) == 0
    (found,) = await partner.all()
    assert found["attachments"] == known["attachments"]


async def test_put_takes_one_statement_and_its_attachments(
    partner: Partner, services: Services
) -> None:
    sent = having(described(b"x"))

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
async def test_other_kinds_of_multipart_are_refused(partner: Partner, content_type: str) -> None:
    answer = await partner.http.post(
        URL,
        content=multipart_body(statement()),
        headers={**XAPI, "Content-Type": content_type},
        auth=(partner.key, partner.secret),
    )
    assert answer.status_code == 400
    assert await ids(partner) == set()


async def test_the_partner_interface_takes_no_multipart(
    partner: Partner, services: Services
) -> None:
    sent = having(described(b"x"))
    answer = await partner.send(multipart_body(sent, b"x"), headers=MIXED)
    assert answer.json()["code"] == "unsupported-media-type"
    await refused(services, partner, answer)


async def test_on_the_partner_interface_each_item_stands_for_itself(
    partner: Partner, services: Services
) -> None:
    batch = [having(elsewhere(b"x")), having(described(b"x")), statement(id=new_id())]
    answer = await partner.send(batch)
    assert answer.status_code == 207
    assert [each["status"] for each in answer.json()["results"]] == [200, 400, 200]
    assert await ids(partner) == {batch[0]["id"], batch[2]["id"]}
    assert await rows(services, partner) == 0


# Asked for


async def test_content_is_never_shown_to_another_partner(
    partner: Partner, stranger: Partner
) -> None:
    secret = having(described(b"secret"))
    await stored(partner, secret, b"secret")
    # It knows the hash, and the id.
    curious = having(elsewhere(b"secret"), id=secret["id"])
    assert (await stranger.xapi(curious)).status_code == 200
    for params in ({}, {"statementId": secret["id"]}):
        answer = await get(stranger, **params, attachments="true")
        assert read(answer).contents == {}
        assert b"X-Experience-API-Hash" not in answer.content
    assert read(await get(partner, attachments="true")).contents


async def test_content_comes_only_where_it_is_asked_for(partner: Partner) -> None:
    sent = having(described(EVERY_BYTE))
    await stored(partner, sent, EVERY_BYTE)
    for wanted in ({}, {"attachments": "false"}):
        answer = await get(partner, statementId=sent["id"], **wanted)
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["attachments"] == sent["attachments"]
        listed = await get(partner, **wanted)
        assert listed.headers["content-type"] == "application/json"
        assert listed.json()["statements"][0]["attachments"] == sent["attachments"]
    for wrong in ("1", "True", "yes", ""):
        assert (await get(partner, attachments=wrong)).status_code == 400


async def test_an_answer_with_nothing_attached_is_multipart_all_the_same(partner: Partner) -> None:
    empty = read(await get(partner, attachments="true"))
    assert (empty.json, empty.contents) == ({"statements": [], "more": ""}, {})
    sent = statement(id=new_id())
    await partner.xapi(sent)
    assert read(await get(partner, attachments="true")).ids == [sent["id"]]
    found = read(await get(partner, statementId=sent["id"], attachments="true"))
    assert (found.json["id"], found.contents) == (sent["id"], {})


async def test_what_is_not_there_is_a_problem_and_not_multipart(partner: Partner) -> None:
    answer = await get(partner, statementId=new_id(), attachments="true")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_contents_come_in_the_order_of_the_statements(partner: Partner) -> None:
    """Each once, where it is first named."""
    contents = [bytes([number]) * 3 for number in range(30)]
    for start in range(0, 30, 3):
        some = contents[start : start + 3]
        await stored(partner, having(*map(described, [*some, some[0]])), *reversed(some))
    await stored(partner, having(described(contents[9])), contents[9])
    found = read(await get(partner, attachments="true", ascending="true"))
    assert list(found.contents.values()) == contents
    found = read(await get(partner, attachments="true"))
    named = [each["sha2"] for one in found.json["statements"] for each in one["attachments"]]
    assert list(found.contents) == list(dict.fromkeys(named))


@pytest.mark.parametrize("ascending", ["false", "true"])
async def test_more_goes_on_with_attachments(partner: Partner, ascending: str) -> None:
    contents = [f"content {number}".encode() for number in range(5)]
    sent = [having(described(content)) for content in contents]
    for each, content in zip(sent, contents, strict=True):
        await stored(partner, each, content)
    order: Sequence[int] = range(5) if ascending == "true" else range(4, -1, -1)
    answer = await get(partner, attachments="true", limit="2", ascending=ascending)
    for places in (order[:2], order[2:4], order[4:]):
        found = read(answer)
        assert found.ids == [sent[place]["id"] for place in places]
        assert list(found.contents.values()) == [contents[place] for place in places]
        if found.json["more"]:
            answer = await get(partner, found.json["more"])
    assert found.json["more"] == ""


@pytest.mark.parametrize("form", ["ids", "canonical"])
async def test_content_comes_with_every_format(partner: Partner, form: str) -> None:
    sent = [having(described(b"x")), within(described(b"y"))]
    await stored(partner, sent, b"x", b"y")
    found = read(await get(partner, attachments="true", format=form))
    assert set(found.contents.values()) == {b"x", b"y"}
    one = read(await get(partner, statementId=sent[0]["id"], attachments="true", format=form))
    assert one.contents == {sha2_of(b"x"): b"x"}
    if form == "canonical":
        assert one.json["attachments"][0]["display"] == {"en-US": "A certificate"}


async def test_the_attachments_of_a_voided_statement_are_kept(partner: Partner) -> None:
    sent = having(described(b"x"))
    voiding = statement(
        verb={"id": "http://adlnet.gov/expapi/verbs/voided"},
        object={"objectType": "StatementRef", "id": sent["id"]},
    )
    await stored(partner, [voiding, sent], b"x")
    assert read(await get(partner, attachments="true")).contents == {}
    found = read(await get(partner, voidedStatementId=sent["id"], attachments="true"))
    assert found.contents == {sha2_of(b"x"): b"x"}


async def test_the_partner_interface_gives_attachments_too(partner: Partner) -> None:
    await stored(partner, having(described(b"x")), b"x")
    found = read(await partner.get(attachments="true"))
    assert found.contents == {sha2_of(b"x"): b"x"}


async def test_head_has_the_headers_and_no_content(partner: Partner, server: str) -> None:
    await stored(partner, having(described(EVERY_BYTE)), EVERY_BYTE)
    async with httpx.AsyncClient(base_url=server) as http:
        for _ in range(2):  # on one connection
            answer = await http.head(
                URL,
                params={"attachments": "true"},
                headers=XAPI,
                auth=(partner.key, partner.secret),
            )
            assert (answer.status_code, answer.content) == (200, b"")
            assert answer.headers["content-type"].startswith("multipart/mixed")


async def test_large_contents_are_streamed(
    partner: Partner, services: Services, server: str
) -> None:
    """Two of 5 MB, and some that are small; they are read in portions, and sent as they come."""
    large = [os.urandom(5_000_000), os.urandom(5_000_000)]
    small = [b"one", b"two", b"three"]
    contents = [small[0], large[0], small[1], large[1], small[2]]
    sent = having(*map(described, contents))
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
        ) as answer:
            assert answer.headers["transfer-encoding"] == "chunked"
            whole = b"".join([chunk async for chunk in answer.aiter_raw()])
    found = read(httpx.Response(200, headers=answer.headers, content=whole))
    assert list(found.contents.values()) == contents
    hashes = list(map(sha2_of, contents))
    asked = attachments.stream_contents(services.database, partner.partner_id, hashes)
    assert [len(content) async for _, content in asked] == [len(each) for each in contents]


async def test_a_reader_that_leaves_in_the_middle_harms_nobody(
    partner: Partner, server: str
) -> None:
    content = os.urandom(5_000_000)
    await stored(partner, having(described(content)), content)
    auth = (partner.key, partner.secret)
    for _ in range(3):
        async with (
            httpx.AsyncClient(base_url=server) as http,
            http.stream(
                "GET", URL, params={"attachments": "true"}, headers=XAPI, auth=auth
            ) as answer,
        ):
            assert answer.status_code == 200
            await anext(answer.aiter_raw())
    async with httpx.AsyncClient(base_url=server) as http:
        assert (await http.get(URL, headers=XAPI, auth=auth)).status_code == 200


async def test_a_content_type_cannot_speak_for_the_server(
    partner: Partner, services: Services
) -> None:
    """What a sender calls its content must not end the header it is written into."""
    nasty = "text/plain\r\nX-Experience-API-Hash: 0\r\n\r\n--"
    sent = having(described(b"x", contentType=nasty))
    await refused(services, partner, await post(partner, sent, b"x"), "/attachments/0/contentType")
