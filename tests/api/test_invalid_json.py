"""Invalid JSON, and JSON of the wrong shape."""

from __future__ import annotations

import asyncio
import gc
import json
import time

import pytest

from tests.support.invalid_input import EVENT, INTERFACES, check, post, refused, text
from tests.support.partners import Partner
from tests.support.statements import statement

# Invalid JSON


def within(literal: str) -> bytes:
    """A valid statement with a literal in an extension."""
    marked = text(result={"extensions": {"http://example.com/x": "HERE"}})
    return marked.replace('"HERE"', literal).encode("utf-8", "surrogatepass")


INVALID_JSON = {
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


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("body", INVALID_JSON.values(), ids=INVALID_JSON)
async def test_invalid_json_is_refused(partner: Partner, interface: str, body: bytes) -> None:
    problem = await refused(partner, interface, body, "malformed-json")
    assert "Traceback" not in problem["detail"]
    assert len(problem["detail"]) < 300


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("open_", [b"[", b'{"a":', b"[[{"])
async def test_body_of_opening_brackets_is_refused(
    partner: Partner, interface: str, open_: bytes
) -> None:
    for depth in (1, 100, 1_000, 100_000):
        response = await post(partner, interface, open_ * depth)
        check(response)
        assert response.status_code in (400, 413)
    assert await partner.all() == []


@pytest.mark.parametrize("interface", INTERFACES)
async def test_deep_nesting_is_refused(partner: Partner, interface: str) -> None:
    for depth in (1_000, 100_000):
        for body in (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth):
            response = await post(partner, interface, body)
            check(response)
            assert response.status_code in (400, 413)
            response = await post(partner, interface, b"[{}," + body + b"]")
            check(response)
            assert response.status_code in (207, 400, 413)
    assert await partner.all() == []


async def test_hundred_levels_of_nesting_are_stored(partner: Partner) -> None:
    nested = "[" * 100 + "1" + "]" * 100
    response = await post(partner, "statements", within(nested))
    assert response.status_code == 200, response.text
    assert nested in (await partner.get()).text


async def test_invalid_json_in_one_item_refuses_that_item_only(partner: Partner) -> None:
    good = text().encode()
    for bad in (
        within("1e999"),
        within('{"a":1,"a":2}'),
        within("[" * 250 + "]" * 250),
    ):
        response = await post(partner, "statements", b"[" + good + b"," + bad + b"," + good + b"]")
        assert [result["status"] for result in response.json()["results"]] == [200, 400, 200]
        assert response.json()["results"][1]["problem"]["code"] == "malformed-json"


async def test_batch_with_invalid_json_syntax_is_refused(partner: Partner) -> None:
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
        for interface in ("statements", "xapi"):
            await refused(partner, interface, body, "malformed-json")


# JSON of another shape


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize(
    "body", ["null", "true", "7", "-1.5e300", '"text"', "{}", '{"":{}}', "12345678901234567890123"]
)
async def test_json_of_another_type_is_refused_with_the_expectation(
    partner: Partner, interface: str, body: str
) -> None:
    problem = await refused(partner, interface, body.encode(), "invalid-statement")
    assert problem["errors"]


@pytest.mark.parametrize("interface", INTERFACES)
async def test_nul_character_is_refused_with_its_pointer(partner: Partner, interface: str) -> None:
    if interface == "track":
        body = json.dumps(EVENT | {"note\0": {"a": ["b\0"]}})
        at = ["/note\0", "/note\0/a/0"]
    else:
        body = text(result={"response": "a\0", "extensions": {"http://e.example/x": {"k\0": 1}}})
        at = ["/result/extensions/http:~1~1e.example~1x/k\0", "/result/response"]
    problem = await refused(partner, interface, body.encode(), "invalid-statement")
    assert [error["pointer"] for error in problem["errors"]] == at


async def test_huge_numbers_are_kept(partner: Partner) -> None:
    for literal in ("1e308", "-1.7976931348623157e308", "5e-324", "1e-999", "18446744073709551615"):
        response = await post(partner, "statements", within(literal))
        assert response.status_code == 200, (literal, response.text)
        assert f":{literal}}}" in (await partner.get(statementId=response.json()[0])).text


async def test_detail_never_contains_a_whole_body(partner: Partner) -> None:
    long = "x" * 15_000
    for body in ({long: 1}, statement(verb={"id": long}), statement(**{long: long[:10]})):
        response = await partner.send(body)
        check(response)
        assert len(response.json()["detail"]) < 1_000 or long in json.dumps(body)[:20_000]


@pytest.mark.slow
async def test_event_loop_is_released_between_slow_items(partner: Partner) -> None:
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            began = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - began)

    bad = text(actor={"objectType": "Group", "member": [{}] * 4_000})
    gc.freeze()  # a collection of the objects of all earlier tests takes longer than an item
    watching = asyncio.create_task(watch())
    try:
        response = await post(partner, "statements", f"[{','.join([bad] * 100)}]".encode())
    finally:
        watching.cancel()
        gc.unfreeze()
    assert response.json()["summary"] == {"received": 100, "invalid": 100}
    assert longest < 0.5  # all items together take twice as long


@pytest.mark.slow
async def test_slow_batch_does_not_delay_another_partner(
    partner: Partner, stranger: Partner
) -> None:
    bad = text(actor={"objectType": "Group", "member": [{}] * 4_000})
    slow = asyncio.create_task(post(partner, "statements", f"[{','.join([bad] * 50)}]".encode()))
    await asyncio.sleep(0.1)
    assert (await stranger.send([statement()] * 20)).status_code == 200
    assert not slow.done()
    assert (await slow).status_code == 400
