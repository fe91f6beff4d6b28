"""POST merges JSON documents."""

from __future__ import annotations

import gzip
import json

import pytest

from lrs.api.services import Services
from tests.support.documents import BINARY, JSON, NONE_YET, Resource, code

# Merging


async def test_post_stores_what_is_new(resource: Resource) -> None:
    assert (await resource.ask("POST", "one", BINARY)).status_code == 204
    assert await resource.content() == BINARY
    sent = await resource.ask("POST", "two", b' { "a" : 1.0 } ', JSON)
    assert sent.status_code == 204
    answer = await resource.ask("GET", "two")
    assert (answer.content, answer.headers["ETag"]) == (b' { "a" : 1.0 } ', sent.headers["ETag"])


async def test_post_merges_the_members_of_the_first_level(resource: Resource) -> None:
    await resource.store({"car": {"make": "Ford", "model": "Escape"}, "driver": "Dale", "n": [1]})
    answer = await resource.ask("POST", "one", {"car": {"make": "Dodge"}, "new": None})
    assert answer.status_code == 204
    got = await resource.ask("GET")
    assert got.json() == {"car": {"make": "Dodge"}, "driver": "Dale", "n": [1], "new": None}
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["ETag"] == answer.headers["ETag"]


@pytest.mark.parametrize("text", [b"", b"[1]", b"abc", b'{"a":1}{', b'{"a":1,"a":2}', b'{"a":NaN}'])
async def test_what_is_posted_as_json_is_an_object(resource: Resource, text: bytes) -> None:
    assert code(await resource.ask("POST", "one", text, JSON)) == (400, "malformed-json")
    assert (await resource.ask("GET")).status_code == 404
    await resource.store({"a": 1})
    assert code(await resource.ask("POST", "one", text, JSON)) == (400, "malformed-json")
    assert json.loads(await resource.content()) == {"a": 1}


@pytest.mark.parametrize("content_type", [None, "text/plain", "not/json", "application/jsonp"])
async def test_only_json_merges_with_json(resource: Resource, content_type: str | None) -> None:
    other = {"Content-Type": content_type} if content_type else {}
    refused = (400, "unsupported-media-type")
    await resource.store({"a": 1})
    assert code(await resource.ask("POST", "one", b'{"b":2}', other)) == refused
    assert json.loads(await resource.content()) == {"a": 1}
    await resource.ask("PUT", "two", b'{"a":1}', {**NONE_YET, **other})
    assert code(await resource.ask("POST", "two", {"b": 2})) == refused
    assert await resource.content("two") == b'{"a":1}'


async def test_what_is_compressed_is_not_kept_as_if_it_were_not(resource: Resource) -> None:
    headers = {**NONE_YET, **JSON, "Content-Encoding": "gzip"}
    for method in ("PUT", "POST"):
        answer = await resource.ask(method, "one", gzip.compress(b"{}"), headers)
        assert code(answer) == (400, "unsupported-media-type")
    assert (await resource.ask("GET")).status_code == 404


async def test_json_may_carry_parameters(resource: Resource) -> None:
    headers = {"Content-Type": "application/json; charset=UTF-8"}
    for content in (b'{"a":1}', b'{"b":2}'):
        assert (await resource.ask("POST", "one", content, headers)).status_code == 204
    assert await resource.content() == b'{"a":1,"b":2}'


async def test_a_merge_does_not_grow_beyond_the_limit(
    services: Services, resource: Resource
) -> None:
    half = "x" * (services.settings.max_body_bytes // 2)
    await resource.store({"a": half})
    assert code(await resource.ask("POST", "one", {"b": half})) == (413, "too-large")
    assert list(json.loads(await resource.content())) == ["a"]
    assert code(await resource.ask("POST", "two", half.encode() * 3)) == (413, "too-large")
