"""Whatever is sent, the answer says what is wrong with it, and nothing is stored."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import time
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import NASTY, json_values, mutated, statements, texts
from support import JSON, XAPI, Partner, statement

EVENT = {
    "content_id": "1",
    "user": "u",
    "status": "started",
    "event_date": "2026-01-01T00:00:00Z",
}
FACES = ["statements", "track", "xapi"]


def url(partner: Partner, face: str) -> str:
    return "/xapi/statements" if face == "xapi" else partner.url(face)


async def post(
    partner: Partner, face: str, body: bytes, headers: dict[str, str] | None = None
) -> httpx.Response:
    return await partner.http.post(
        url(partner, face),
        content=body,
        headers={**JSON, **XAPI, **partner.headers, **(headers or {})},
    )


async def get(partner: Partner, query: str, face: str = "statements") -> httpx.Response:
    return await partner.http.get(
        f"{url(partner, face)}?{query}", headers={**XAPI, **partner.headers}
    )


def check(answer: httpx.Response) -> None:
    """No failure of ours; a refusal is a problem, or one for each item of a batch."""
    assert answer.status_code < 500, answer.text
    if answer.status_code < 400:
        return
    body = answer.json()
    if answer.headers["content-type"] == "application/json":
        assert [result["index"] for result in body["results"]] == [*range(len(body["results"]))]
        problems = [result["problem"] for result in body["results"] if result["problem"]]
    else:
        assert answer.headers["content-type"] == "application/problem+json"
        assert body["status"] == answer.status_code
        problems = [body]
    for problem in problems:
        assert problem["type"] == f"urn:lrs:problem:{problem['code']}"
        assert problem["title"]
        assert problem["detail"]
        for error in problem.get("errors", ()):
            assert error["detail"]
            assert error["requirement"]


async def refused(
    partner: Partner, face: str, body: bytes, code: str, status: int = 400
) -> dict[str, Any]:
    """The problem that a body is refused with."""
    answer = await post(partner, face, body)
    check(answer)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert await partner.all() == []
    return dict(answer.json())


# Not JSON


def text(**members: Any) -> str:
    return json.dumps(statement(**members))


def within(literal: str) -> bytes:
    """A statement that would be good, with a literal where any JSON may stand."""
    marked = text(result={"extensions": {"http://example.com/x": "HERE"}})
    return marked.replace('"HERE"', literal).encode("utf-8", "surrogatepass")


NOT_JSON = {
    "nothing": b"",
    "white space": b" \r\n\t ",
    "cut off": text().encode()[:-1],
    "a comma too many": text().encode()[:-1] + b",}",
    "two values": text().encode() * 2,
    "something behind": text().encode() + b" x",
    "a brace too many": text().encode() + b"}",
    "no quotes": b"{actor:1}",
    "single quotes": text().replace('"', "'").encode(),
    "a comment": b"/* */" + text().encode(),
    "a form": b"statement=1&x=2",
    "XML": b"<statement/>",
    "NaN": within("NaN"),
    "Infinity": within("Infinity"),
    "-Infinity": within("-Infinity"),
    "a number beyond all": within("1e999"),
    "a negative one": within("-1e999"),
    "as long digits": within("9" * 400),
    "a leading zero": within("01"),
    "a plus": within("+1"),
    "a bare point": within("1."),
    "hexadecimal": within("0x10"),
    "a lone surrogate, escaped": within('"\\ud800"'),
    "a reversed pair": within('"\\udc00\\ud800"'),
    "a lone surrogate, encoded": within('"\ud800"'),
    "not UTF-8": within('"x"').replace(b'"x"', b'"\xff\xfe"'),
    "Latin-1": within('"x"').replace(b'"x"', b'"\xe4"'),
    "overlong UTF-8": within('"x"').replace(b'"x"', b'"\xc0\xaf"'),
    "a byte order mark": b"\xef\xbb\xbf" + text().encode(),
    "UTF-16": text().encode("utf-16"),
    "UTF-32": text().encode("utf-32"),
    "a raw control character": within('"\x01"'),
    "a raw newline": within('"\n"'),
    "a raw NUL": within('"\x00"'),
    "NUL alone": b"\x00",
    "an unknown escape": within('"\\x41"'),
    "a short escape": within('"\\u12"'),
    "a key twice": text().encode()[:-1] + b',"verb":{"id":"http://example.com/v"}}',
    "a key twice, deep": within('{"a":[{"b":1,"b":1}]}'),
    "a key twice, once escaped": within('{"a":1,"\\u0061":2}'),
    "a key twice, both the same": within('{"":1,"":1}'),
    "nested 250 levels": within("[" * 250 + "]" * 250),
    "nested 1,000 levels": within("[" * 1000 + "]" * 1000),
    "nested 2,500 levels": within('{"":' * 2500 + "1" + "}" * 2500),
}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
async def test_what_is_not_json_is_refused(partner: Partner, face: str, body: bytes) -> None:
    problem = await refused(partner, face, body, "malformed-json")
    assert "Traceback" not in problem["detail"]
    assert len(problem["detail"]) < 300


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("open_", [b"[", b'{"a":', b"[[{"])
async def test_a_body_that_only_opens_is_refused(partner: Partner, face: str, open_: bytes) -> None:
    for depth in (1, 100, 1_000, 100_000):
        answer = await post(partner, face, open_ * depth)
        check(answer)
        assert answer.status_code in (400, 413)
    assert await partner.all() == []


@pytest.mark.parametrize("face", FACES)
async def test_depth_is_refused_however_it_is_made(partner: Partner, face: str) -> None:
    for depth in (1_000, 100_000):
        for body in (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth):
            answer = await post(partner, face, body)
            check(answer)
            assert answer.status_code in (400, 413)
            answer = await post(partner, face, b"[{}," + body + b"]")
            check(answer)
            assert answer.status_code in (207, 400, 413)
    assert await partner.all() == []


async def test_a_hundred_levels_are_kept(partner: Partner) -> None:
    nested = "[" * 100 + "1" + "]" * 100
    answer = await post(partner, "statements", within(nested))
    assert answer.status_code == 200, answer.text
    assert nested in (await partner.get()).text


async def test_an_item_that_is_not_json_leaves_the_others_alone(partner: Partner) -> None:
    good = text().encode()
    for bad in (
        within("1e999"),
        within('{"a":1,"a":2}'),
        within("[" * 250 + "]" * 250),
    ):
        answer = await post(partner, "statements", b"[" + good + b"," + bad + b"," + good + b"]")
        assert [result["status"] for result in answer.json()["results"]] == [200, 400, 200]
        assert answer.json()["results"][1]["problem"]["code"] == "malformed-json"


async def test_a_batch_that_is_not_json_is_refused_as_a_whole(partner: Partner) -> None:
    good = text().encode()
    for body in (
        b"[" + good,
        b"[" + good + b",]",
        b"[" + good + b"," + b"]",
        b"[," + good + b"]",
        b"[" + good + b" " + good + b"]",
        b"[" + good + b"]]",
        b"[" + good + b"] []",
        b"[" + good + b"," + within('"\\ud800"') + b"]",
    ):
        for face in ("statements", "xapi"):
            await refused(partner, face, body, "malformed-json")


# JSON, but not what is wanted


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    "body", ["null", "true", "7", "-1.5e300", '"text"', "{}", '{"":{}}', "12345678901234567890123"]
)
async def test_other_json_is_told_what_was_expected(partner: Partner, face: str, body: str) -> None:
    problem = await refused(partner, face, body.encode(), "invalid-statement")
    assert problem["errors"]


@pytest.mark.parametrize("face", FACES)
async def test_nul_characters_are_named_where_they_stand(partner: Partner, face: str) -> None:
    if face == "track":
        body = json.dumps(EVENT | {"note\0": {"a": ["b\0"]}})
        at = ["/note\0", "/note\0/a/0"]
    else:
        body = text(result={"response": "a\0", "extensions": {"http://e.example/x": {"k\0": 1}}})
        at = ["/result/extensions/http:~1~1e.example~1x/k\0", "/result/response"]
    problem = await refused(partner, face, body.encode(), "invalid-statement")
    assert [error["pointer"] for error in problem["errors"]] == at


async def test_huge_but_possible_values_are_kept(partner: Partner) -> None:
    for literal in ("1e308", "-1.7976931348623157e308", "5e-324", "1e-999", "18446744073709551615"):
        answer = await post(partner, "statements", within(literal))
        assert answer.status_code == 200, (literal, answer.text)
        assert f":{literal}}}" in (await partner.get(statementId=answer.json()[0])).text


async def test_a_sentence_never_repeats_a_whole_body(partner: Partner) -> None:
    long = "x" * 15_000
    for body in ({long: 1}, statement(verb={"id": long}), statement(**{long: long[:10]})):
        answer = await partner.send(body)
        check(answer)
        assert len(answer.json()["detail"]) < 1_000 or long in json.dumps(body)[:20_000]


async def test_others_have_their_turn_between_items_that_take_long(partner: Partner) -> None:
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            began = time.process_time()
            await asyncio.sleep(0)
            longest = max(longest, time.process_time() - began)

    bad = text(actor={"objectType": "Group", "member": [{}] * 4_000})
    watching = asyncio.create_task(watch())
    answer = await post(partner, "statements", f"[{','.join([bad] * 100)}]".encode())
    watching.cancel()
    assert answer.json()["summary"] == {"received": 100, "invalid": 100}
    assert longest < 0.5  # all of them take twice as long


async def test_a_batch_that_takes_long_holds_up_no_other_partner(
    partner: Partner, stranger: Partner
) -> None:
    bad = text(actor={"objectType": "Group", "member": [{}] * 4_000})
    slow = asyncio.create_task(post(partner, "statements", f"[{','.join([bad] * 50)}]".encode()))
    await asyncio.sleep(0.1)
    assert (await stranger.send([statement()] * 20)).status_code == 200
    assert not slow.done()
    assert (await slow).status_code == 400


# Headers


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    "value", ["", "text/json", "application/xml", "json", "application/json5", "é", ";", "*/*"]
)
async def test_another_content_type_is_refused(partner: Partner, face: str, value: str) -> None:
    headers: Any = {**XAPI, **partner.headers, "Content-Type": value.encode()}
    answer = await partner.http.post(url(partner, face), content=text().encode(), headers=headers)
    check(answer)
    assert (answer.status_code, answer.json()["code"]) == (400, "unsupported-media-type")
    assert await partner.all() == []


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "identity, gzip", "é", "x" * 1000])
async def test_a_body_in_a_coding_is_refused_for_that(
    partner: Partner, face: str, coding: str
) -> None:
    headers: Any = {"Content-Encoding": coding.encode()}
    answer = await post(partner, face, gzip.compress(text().encode()), headers)
    check(answer)
    assert (answer.status_code, answer.json()["code"]) == (400, "unsupported-media-type")
    assert answer.headers["accept-encoding"] == "identity"
    assert "Content-Encoding" in answer.json()["detail"]
    assert len(answer.json()["detail"]) < 200
    assert await partner.all() == []


@pytest.mark.parametrize("coding", ["Identity", "", "UTF-8", "utf8"])
async def test_what_is_no_coding_is_passed_over(partner: Partner, coding: str) -> None:
    answer = await post(partner, "xapi", text().encode(), {"Content-Encoding": coding})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"\xff",
        b"B\xe4sic eDp5",
        b"Bearer \xff\xfe",
        b"Bearer " + "токен".encode(),
        b"Bearer \xe4.\xe4",
        b"Bearer a b c",
        b"Bearer a,b",
        b"Bearer .",
        b"Bearer ..",
        b"Bearer " + b"a" * 20_000,
        b"Basic",
        b"Basic ",
        b"Basic =",
        b"Basic e",
        b"Basic \xff",
        b"Basic YQ",
        b"Basic YQ==",
        b"Basic Og==",
        b"Basic YTpi\n",
        b"Basic YTpi YTpi",
        b"Basic YQA6Yg==",
        b"Basic /////w==",
        b"Basic " + b"YTpi" * 5_000,
        b"basic",
        b"Negotiate YTpi",
        b"AWS4-HMAC-SHA256 x=y",
        b'OAuth oauth_consumer_key="x"',
    ],
)
@pytest.mark.parametrize("face", FACES)
async def test_a_bad_authorization_is_401(partner: Partner, face: str, value: bytes) -> None:
    headers: Any = {**JSON, **XAPI, "Authorization": value}
    answer = await partner.http.post(url(partner, face), content=text().encode(), headers=headers)
    check(answer)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"].isascii()


async def test_a_secret_may_hold_a_colon_and_is_still_wrong(partner: Partner) -> None:
    for secret in (f"{partner.secret}:", f":{partner.secret}", "a:b:c"):
        answer = await partner.http.get(
            "/xapi/statements", headers=XAPI, auth=(partner.key, secret)
        )
        assert answer.status_code == 401


@pytest.mark.parametrize(
    "declared", ["x", "-1", "²", "1e3", "9" * 30, "9" * 5000, "0x10", "", " 5", "5, 5"]
)
async def test_a_strange_content_length_is_no_failure(partner: Partner, declared: str) -> None:
    # A real server refuses most of these before we see them.
    answer = await post(
        partner,
        "statements",
        text().encode(),
        {"Content-Length": declared.encode("latin-1")},  # type: ignore[dict-item]
    )
    check(answer)


# Paths


@pytest.mark.parametrize(
    "name",
    [
        "%00",
        "a%00b",
        "%0A",
        "%1B%5B31m",
        "%7F",
        "%C2%85",
        "%E2%80%AE",
        "x" * 256,
        "%C3%A4" * 256,
        "%F0%9F%98%80" * 256,
    ],
)
@pytest.mark.parametrize("resource", ["statements", "track"])
async def test_an_organization_is_a_name(partner: Partner, resource: str, name: str) -> None:
    good = statement() if resource == "statements" else EVENT
    answers = [await partner.send(good, resource=resource, organization=name)]
    if resource == "statements":
        answers.append(await partner.get(name))
    for answer in answers:
        check(answer)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")
    assert await partner.all() == []


@pytest.mark.parametrize("name", ["%FF", "%C3", "%ED%A0%80", "%", "%zz", "..%2F..", "a%2Fb", "%2e"])
async def test_a_strange_path_is_no_failure(partner: Partner, name: str) -> None:
    for path in (
        partner.url("statements", name),
        f"/v1/partners/{name}/statements",
        f"/xapi/{name}",
        f"/{name}",
        f"/schemas/{name}",
        f"/docs/{name}",
    ):
        answer = await partner.http.get(path, headers={**XAPI, **partner.headers})
        check(answer)


@pytest.mark.parametrize("length", [255])
async def test_the_longest_organization_is_kept(partner: Partner, length: int) -> None:
    # Letters outside the first plane, that do not compress: the most bytes that a name can have.
    name = "".join(chr(0x10000 + number * 7919 % 60_000) for number in range(length))
    name = "".join(letter if letter.isprintable() else "\U0001f600" for letter in name)
    answer = await partner.http.post(
        partner.url("statements", name), json=statement(), headers=partner.headers
    )
    assert answer.status_code == 200, answer.text
    found = await partner.http.get(partner.url("statements", name), headers=partner.headers)
    assert [each["id"] for each in found.json()["statements"]] == answer.json()


# Parameters


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ("limit=-1", ["limit"]),
        ("limit=1e3", ["limit"]),
        ("limit=%C2%B2", ["limit"]),
        ("limit=99999999999999999999", ["limit"]),
        ("limit=1&limit=1", ["limit"]),
        ("statementId=x", ["statementId"]),
        ("statementId=%00", ["statementId"]),
        ("voidedStatementId=1", ["voidedStatementId"]),
        ("agent=x", ["agent"]),
        ("agent=%7B%7D", ["agent"]),
        ("agent=[]", ["agent"]),
        ("agent=null", ["agent"]),
        ("agent=%7B%22mbox%22:%22mailto:a@b.c%22,%22mbox%22:%22mailto:a@b.c%22%7D", ["agent"]),
        ("agent=%7B%22mbox%22:%22mailto:a%5Cu0000@b.c%22%7D", ["agent"]),
        ("agent=" + "[" * 2000, ["agent"]),
        ("agent=%7B%22objectType%22:%22Group%22,%22member%22:[]%7D", ["agent"]),
        ("verb=completed", ["verb"]),
        ("verb=", ["verb"]),
        ("activity=x", ["activity"]),
        ("registration=1", ["registration"]),
        ("related_agents=yes", ["related_agents"]),
        ("related_activities=1", ["related_activities"]),
        ("since=yesterday", ["since"]),
        ("since=2026-02-30T00:00:00Z", ["since"]),
        ("until=2026-01-01", ["until"]),
        ("until=0000-01-01T00:00:00Z", ["until"]),
        ("until=99999-01-01T00:00:00Z", ["until"]),
        ("format=xml", ["format"]),
        ("attachments=maybe", ["attachments"]),
        ("ascending=0", ["ascending"]),
        ("cursor=", ["cursor"]),
        ("cursor=x", ["cursor"]),
        ("cursor=1.x", ["cursor"]),
        ("cursor=-1.6690e6c9-3ef0-4ed3-8b37-7f3964730bee", ["cursor"]),
        ("cursor=%C2%B2.6690e6c9-3ef0-4ed3-8b37-7f3964730bee", ["cursor"]),
        ("cursor=" + "9" * 30 + ".6690e6c9-3ef0-4ed3-8b37-7f3964730bee", ["cursor"]),
        ("cursor=" + "9" * 5000 + ".6690e6c9-3ef0-4ed3-8b37-7f3964730bee", ["cursor"]),
        ("cursor=1.6690e6c9-3ef0-4ed3-8b37-7f3964730bee%00", ["cursor"]),
        ("StatementId=x", ["StatementId"]),
        ("%00=%00", ["\0"]),
        ("=", [""]),
        ("a=1&limit=x&b=2", ["a", "limit", "b"]),
    ],
)
@pytest.mark.parametrize("face", ["statements", "xapi"])
async def test_a_bad_parameter_is_named(
    partner: Partner, face: str, query: str, at: list[str]
) -> None:
    answer = await get(partner, query, face)
    check(answer)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter"), answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == at
    assert "  " not in answer.json()["detail"]


@pytest.mark.parametrize(
    "query",
    [
        "since=0001-01-01T00:00:00Z",
        "since=9999-12-31T23:59:59.999999Z",
        "until=0001-01-01T00:00:00Z",
        "until=9999-12-31T23:59:59.9999999Z",
        "verb=a:%EF%BF%BD",
        "verb=http://example.com/%2500",
        "limit=0",
        "",
        "&&",
    ],
)
async def test_the_outermost_parameters_are_answered(partner: Partner, query: str) -> None:
    await partner.send(statement())
    for order in ("", "&ascending=true"):
        answer = await get(partner, query + order)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("query", ["%FF=1", "verb=%FF", "verb=%ED%A0%80", "verb=%", "agent=%zz"])
async def test_bad_percent_encoding_is_no_failure(partner: Partner, query: str) -> None:
    answer = await get(partner, query)
    check(answer)
    answer = await partner.http.post(
        f"{partner.url('statements')}?{query}", json=statement(), headers=partner.headers
    )
    check(answer)
    assert answer.status_code == 400


# Whatever it may be

MANY = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
tokens = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        '"',
        '"id"',
        '"actor"',
        "null",
        "true",
        "1e99",
        "-",
        "0",
        "\\u",
        " ",
    ]
)
bodies = st.one_of(
    st.binary(max_size=64),
    st.lists(tokens, max_size=12).map(lambda parts: "".join(parts).encode()),
    json_values().map(lambda value: json.dumps(value).encode()),
    mutated(statements("1.0.3")).map(lambda value: json.dumps(value).encode()),
    st.lists(mutated(statements("2.0.0")), max_size=3).map(
        lambda value: json.dumps(value).encode()
    ),
    mutated(st.fixed_dictionaries({name: st.just(value) for name, value in EVENT.items()})).map(
        lambda value: json.dumps(value).encode()
    ),
)
header_values = st.sampled_from(
    ["application/json", "text/plain", "multipart/mixed; boundary=x", "multipart/mixed", ""]
)


@MANY
@given(body=bodies, content_type=header_values, face=st.sampled_from(FACES))
async def test_any_body_is_answered(
    partner: Partner, body: bytes, content_type: str, face: str
) -> None:
    answer = await post(partner, face, body, {"Content-Type": content_type})
    check(answer)


@MANY
@given(
    body=bodies,
    content_type=st.sampled_from(["application/json", "application/x-www-form-urlencoded"]),
)
async def test_any_token_request_is_answered(
    partner: Partner, body: bytes, content_type: str
) -> None:
    for auth in (httpx.Auth(), httpx.BasicAuth(partner.key, partner.secret)):
        answer = await partner.http.post(
            "/oauth2/token", content=body, headers={"Content-Type": content_type}, auth=auth
        )
        assert answer.status_code in (400, 401)
        assert answer.json()["error"]


names = st.sampled_from(
    ["statementId", "voidedStatementId", "agent", "verb", "activity", "registration", "since", "x"]
) | st.sampled_from(
    ["until", "limit", "format", "cursor", "ascending", "attachments", "related_agents", "limit"]
)
values = st.one_of(
    texts(),
    st.sampled_from([value for value in NASTY if isinstance(value, str) and len(value) < 100]),
    st.sampled_from(
        ["true", "0", "1", "ids", "canonical", "1.6690e6c9-3ef0-4ed3-8b37-7f3964730bee"]
    ),
    json_values().map(json.dumps),
)


@MANY
@given(
    parameters=st.lists(st.tuples(names | texts(), values), max_size=4),
    face=st.sampled_from(["statements", "xapi"]),
)
async def test_any_parameters_are_answered(
    partner: Partner, parameters: list[tuple[str, str]], face: str
) -> None:
    answer = await partner.http.get(
        url(partner, face),
        params=httpx.QueryParams([*parameters]),
        headers={**XAPI, **partner.headers},
    )
    check(answer)
    assert answer.status_code in (200, 400, 404)


@MANY
@given(
    path=st.lists(texts(), max_size=5),
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "X"]),
)
async def test_any_path_is_answered(partner: Partner, path: list[str], method: str) -> None:
    for prefix in ("", "/xapi", "/v1/partners", f"/v1/partners/{partner.name}/organizations"):
        target = "/".join([prefix, *(quote(part, safe="") for part in path)])
        answer = await partner.http.request(
            method, f"http://lrs.test{target}", headers={**XAPI, **partner.headers}
        )
        check(answer)


@MANY
@given(value=st.binary(max_size=40).filter(lambda raw: not {10, 13} & set(raw)))
async def test_any_header_is_answered(partner: Partner, value: bytes) -> None:
    for name in ("Authorization", "X-Experience-API-Version", "Accept-Language", "If-None-Match"):
        headers: Any = {**XAPI, **partner.headers, "X-Request-ID": value, name: value}
        for target in ("/xapi/statements?format=canonical", partner.url("statements")):
            answer = await partner.http.get(target, headers=headers)
            check(answer)


# On a real connection

POST = b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\n"
RAW = {
    "a byte in the path": b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "UTF-8 in the path": "GET /ü HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "UTF-8 in the query": "GET /xapi/statements?ü=ü HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "a NUL in the path": b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a NUL in a header": b"GET / HTTP/1.1\r\nHost: x\r\nX: \x00\r\n\r\n",
    "bytes in a header": b"GET /xapi/statements HTTP/1.1\r\nHost: x\r\nX-Request-ID: \xff\r\n\r\n",
    "no path": b"GET  HTTP/1.1\r\nHost: x\r\n\r\n",
    "a whole URL": b"GET http://other/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "a star": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "another protocol": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "an unknown method": b"BREW /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "an upgrade": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50 + b"\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a bad length": POST + b"Content-Length: -1\r\n\r\n",
    "length and chunks": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bad chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "many headers": b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    "a long header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
    "a long path": b"GET /" + b"y" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a body that ends early": POST + b"Content-Length: 99\r\n\r\nabc",
}


@pytest.mark.parametrize("request_", RAW.values(), ids=RAW)
async def test_a_broken_request_is_refused_and_the_server_lives(
    server: str, request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = server.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request_)
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 5)
    except OSError:
        answer = b""
    finally:
        writer.close()
    if answer:
        assert answer.startswith(b"HTTP/1.1 ")
        assert int(answer.split()[1]) < 500, answer
    async with httpx.AsyncClient(base_url=server) as http:
        assert (await http.get("/healthz")).status_code == 200
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


CUTS = {"at once": [], "the body later": [b"\r\n\r\n"], "in pieces": [b"Upg", b": h2", b"\r\n\r"]}


@pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"])
@pytest.mark.parametrize("after", [b"", b"\r\nmore than it said"])
@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
async def test_the_wish_for_another_protocol_takes_no_body_away(
    server: str, partner: Partner, cuts: list[bytes], before: bytes, after: bytes
) -> None:
    """Java's client wishes for HTTP/2 by default."""
    host, port = server.removeprefix("http://").split(":")
    secret = base64.b64encode(f"{partner.key}:{partner.secret}".encode()).decode()
    form = b"grant_type=client_credentials"
    head = (
        f"POST /oauth2/token HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {secret}\r\n"
        "Connection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n"
    )
    pieces = [before + head.encode() + form + after]
    for cut in cuts:
        start, _, rest = pieces.pop().rpartition(cut)
        pieces += [start + cut, rest]
    reader, writer = await asyncio.open_connection(host, int(port))
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.05 if cuts else 0)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert answer.count(b"HTTP/1.1 200 ") == (2 if before else 1), answer
    assert b"access_token" in answer


async def test_many_wishes_at_once_are_passed_over(server: str) -> None:
    host, port = server.removeprefix("http://").split(":")
    wish = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(wish * 2_000 + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    assert answer.count(b"HTTP/1.1 200 OK") == 2_001
