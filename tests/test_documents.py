"""State, agent profiles and activity profiles, through the application."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from conftest import new_partner
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from support import Partner, new_id

from lrs.api.services import Services
from lrs.auth import scopes
from lrs.store import documents

AGENT = {"mbox": "mailto:learner@example.com"}
ACTIVITY = "http://example.com/course/1"
NONE_YET = {"If-None-Match": "*"}
JSON = {"Content-Type": "application/json"}
BINARY = bytes(range(256))


@dataclass
class Resource:
    """One of the three resources in one version, as one partner uses it."""

    path: str
    id_parameter: str
    scope: dict[str, str]
    version: str
    partner: Partner

    @property
    def is_state(self) -> bool:
        return self.id_parameter == "stateId"

    async def ask(
        self,
        method: str,
        document_id: str | None = "one",
        content: Any = None,
        headers: dict[str, str] | None = None,
        **parameters: Any,
    ) -> httpx.Response:
        named = {} if document_id is None else {self.id_parameter: document_id}
        answer = await self.partner.http.request(
            method,
            self.path,
            params={**self.scope, **named, **parameters},
            content=json.dumps(content).encode() if isinstance(content, dict | list) else content,
            headers={
                "X-Experience-API-Version": self.version,
                **(JSON if isinstance(content, dict | list) else {}),
                **(headers or {}),
            },
            auth=(self.partner.key, self.partner.secret),
        )
        assert answer.headers["X-Experience-API-Version"] == self.version
        return answer

    async def store(self, content: Any, document_id: str = "one", **parameters: Any) -> str:
        """Stores a new document, and returns its ETag."""
        answer = await self.ask("PUT", document_id, content, NONE_YET, **parameters)
        assert answer.status_code == 204, answer.text
        return answer.headers["ETag"]

    async def content(self, document_id: str = "one", **parameters: Any) -> bytes:
        answer = await self.ask("GET", document_id, **parameters)
        assert answer.status_code == 200, answer.text
        return answer.content

    async def ids(self, **parameters: Any) -> list[str]:
        answer = await self.ask("GET", None, **parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()


VERSIONS = {"1.0.3": "1.0.3", "2.0": "2.0.0"}
RESOURCES: dict[str, tuple[str, str, dict[str, str]]] = {
    "state": (
        "/xapi/activities/state",
        "stateId",
        {"activityId": ACTIVITY, "agent": json.dumps(AGENT)},
    ),
    "agent profile": ("/xapi/agents/profile", "profileId", {"agent": json.dumps(AGENT)}),
    "activity profile": ("/xapi/activities/profile", "profileId", {"activityId": ACTIVITY}),
}


@pytest.fixture(params=VERSIONS.values(), ids=VERSIONS.keys())
def version(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def make(version: str, partner: Partner) -> Callable[..., Resource]:
    def made(kind: str, of: Partner = partner) -> Resource:
        return Resource(*RESOURCES[kind], version, of)

    return made


@pytest.fixture(params=RESOURCES)
def resource(request: pytest.FixtureRequest, make: Callable[..., Resource]) -> Resource:
    return make(request.param)


@pytest.fixture
def state(make: Callable[..., Resource]) -> Resource:
    return make("state")


@pytest.fixture
def profile(make: Callable[..., Resource]) -> Resource:
    return make("agent profile")


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


# One document


async def test_a_document_comes_back_as_it_was_sent(resource: Resource) -> None:
    sent = await resource.ask("PUT", "one", BINARY, {**NONE_YET, "Content-Type": "image/x; q=1"})
    assert (sent.status_code, sent.content) == (204, b"")
    answer = await resource.ask("GET")
    assert (answer.status_code, answer.content) == (200, BINARY)
    assert answer.headers["Content-Type"] == "image/x; q=1"
    etag = hashlib.sha1(BINARY).hexdigest()
    assert answer.headers["ETag"] == sent.headers["ETag"] == f'"{etag}"'
    age = datetime.now(UTC) - parsedate_to_datetime(answer.headers["Last-Modified"])
    assert timedelta(0) <= age < timedelta(minutes=1)


async def test_head_is_get_without_the_content(resource: Resource) -> None:
    assert (await resource.ask("HEAD")).status_code == 404
    await resource.store(BINARY)
    got, head = await resource.ask("GET"), await resource.ask("HEAD")
    assert head.status_code == 200
    for name in ("Content-Type", "Content-Length", "ETag", "Last-Modified"):
        assert head.headers[name] == got.headers[name]
    assert (await resource.ask("HEAD", None)).status_code == 200


async def test_what_is_not_there_is_not_found(resource: Resource) -> None:
    assert code(await resource.ask("GET")) == (404, "not-found")
    assert code(await resource.ask("GET", headers={"If-Match": "*"})) == (404, "not-found")


async def test_a_document_without_a_content_type_is_bytes(resource: Resource) -> None:
    await resource.store(BINARY)
    answer = await resource.ask("GET")
    assert answer.headers["Content-Type"] == "application/octet-stream"


async def test_an_empty_document_is_a_document(resource: Resource) -> None:
    assert (await resource.ask("POST", "one", b"")).status_code == 204
    assert await resource.content() == b""


async def test_delete(resource: Resource) -> None:
    await resource.store(BINARY)
    assert (await resource.ask("DELETE")).status_code == 204
    assert (await resource.ask("GET")).status_code == 404
    assert (await resource.ask("DELETE")).status_code == 204


async def test_put_replaces_content_and_content_type(resource: Resource) -> None:
    etag = await resource.store({"a": 1})
    headers = {"If-Match": etag, "Content-Type": "text/plain"}
    assert (await resource.ask("PUT", "one", b"text", headers)).status_code == 204
    answer = await resource.ask("GET")
    assert (answer.content, answer.headers["Content-Type"]) == (b"text", "text/plain")


async def test_put_keeps_what_only_calls_itself_json(resource: Resource) -> None:
    answer = await resource.ask("PUT", "one", b'{"a"', {**NONE_YET, **JSON})
    assert answer.status_code == 204
    assert await resource.content() == b'{"a"'
    assert code(await resource.ask("POST", "one", {"b": 2})) == (400, "malformed-json")
    assert await resource.content() == b'{"a"'


async def test_a_change_moves_last_modified(services: Services, resource: Resource) -> None:
    await resource.store({"a": 1})
    await services.database.writers.execute(
        "update document set updated = updated - interval '1 hour' where partner_id = $1",
        resource.partner.partner_id,
    )
    before = parsedate_to_datetime((await resource.ask("GET")).headers["Last-Modified"])
    await resource.ask("POST", "one", {"b": 2})
    after = parsedate_to_datetime((await resource.ask("GET")).headers["Last-Modified"])
    assert after - before > timedelta(minutes=50)


async def test_ids_may_be_long_and_in_any_script(resource: Resource) -> None:
    names = [
        "a/b?c&d=%41+ x",
        "\u00e9\u4e2d\U0001f600",
        "x" * 10_000,
        "x" * 9_999 + "y",
        "ONE",
        "one",
    ]
    for name in names:
        await resource.store(name.encode(), name)
    assert sorted(await resource.ids()) == sorted(names)
    for name in names:
        assert await resource.content(name) == name.encode()


async def test_activities_may_be_long(state: Resource) -> None:
    activity = "http://example.com/" + "x" * 20_000
    await state.store(b"long", activityId=activity)
    await state.store(b"longer", activityId=activity + "y")
    assert await state.content(activityId=activity) == b"long"


async def test_a_document_is_not_run_or_reused_by_a_browser(resource: Resource) -> None:
    await resource.store(b"<script>")
    headers = (await resource.ask("GET")).headers
    assert headers["Cache-Control"] == "no-cache"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("sandbox")


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=5000))
async def test_any_bytes_are_kept(profile: Resource, content: bytes) -> None:
    name = new_id()
    etag = await profile.store(content, name)
    assert etag.strip('"') == hashlib.sha1(content).hexdigest()
    assert await profile.content(name) == content


# Many documents


async def test_ids_are_listed_with_the_latest_change(resource: Resource) -> None:
    empty = await resource.ask("GET", None)
    assert (empty.json(), "Last-Modified" in empty.headers) == ([], False)
    for name in ("b", "a"):
        await resource.store(BINARY, name)
    answer = await resource.ask("GET", None)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == ["a", "b"]
    last = (await resource.ask("GET", "a")).headers["Last-Modified"]
    assert answer.headers["Last-Modified"] == last


async def test_since_is_exclusive(services: Services, resource: Resource) -> None:
    for name in ("a", "b"):
        await resource.store(BINARY, name)
    found = await services.database.readers.fetchval(
        "select updated from document where partner_id = $1 and document_id = 'a'",
        resource.partner.partner_id,
    )
    assert await resource.ids(since=found.isoformat()) == ["b"]
    before = found - timedelta(microseconds=1)
    assert await resource.ids(since=before.isoformat()) == ["a", "b"]
    await resource.ask("POST", "a", BINARY, {"If-Match": '"none"'})
    assert await resource.ids(since=found.isoformat()) == ["b"]


async def test_a_registration_has_documents_of_its_own(state: Resource) -> None:
    first, second = new_id(), new_id()
    await state.store(b"none")
    await state.store(b"first", registration=first)
    await state.store(b"second", registration=second.upper())
    assert await state.content() == b"none"
    assert await state.content(registration=first.upper()) == b"first"
    assert await state.content(registration=second) == b"second"
    assert (await state.ask("GET", registration=new_id())).status_code == 404
    await state.ask("DELETE")
    assert (await state.ask("GET")).status_code == 404
    assert await state.content(registration=first) == b"first"


async def test_without_a_registration_all_are_listed_and_deleted(state: Resource) -> None:
    first, second = new_id(), new_id()
    await state.store(b"", "a")
    for registration in (first, second):
        await state.store(b"", "b", registration=registration)
    await state.store(b"", "c", registration=second)
    await state.store(b"", "d", activityId="http://example.com/other")
    assert await state.ids() == ["a", "b", "c"]
    assert await state.ids(registration=first) == ["b"]
    assert (await state.ask("DELETE", None, registration=second)).status_code == 204
    assert await state.ids() == ["a", "b"]
    assert await state.ids(registration=second) == []
    assert (await state.ask("DELETE", None)).status_code == 204
    assert await state.ids() == []
    assert await state.ids(activityId="http://example.com/other") == ["d"]
    assert (await state.ask("DELETE", None)).status_code == 204


async def test_all_are_not_deleted_under_a_precondition(state: Resource) -> None:
    etag = await state.store(b"")
    for headers in ({"If-Match": etag}, {"If-Match": "*"}, NONE_YET):
        answer = await state.ask("DELETE", None, headers=headers)
        assert code(answer) == (412, "precondition-failed")
    assert await state.ids() == ["one"]


async def test_an_agent_is_known_by_its_identifier(profile: Resource) -> None:
    await profile.store(b"learner")
    renamed = json.dumps({**AGENT, "name": "L. Earner", "objectType": "Agent"})
    assert await profile.content(agent=renamed) == b"learner"
    other = json.dumps({"account": {"homePage": "http://a.example.com", "name": "learner"}})
    assert (await profile.ask("GET", agent=other)).status_code == 404


async def test_the_three_resources_do_not_meet(make: Callable[..., Resource]) -> None:
    kinds = [make(kind) for kind in RESOURCES]
    for each in kinds:
        await each.store(each.path.encode())
    for each in kinds:
        assert await each.ids() == ["one"]
        assert await each.content() == each.path.encode()


async def test_partners_do_not_meet(
    make: Callable[..., Resource], resource: Resource, stranger: Partner
) -> None:
    theirs = Resource(
        resource.path, resource.id_parameter, resource.scope, resource.version, stranger
    )
    etag = await resource.store(b"ours")
    assert (await theirs.ask("GET")).status_code == 404
    assert await theirs.ids() == []
    assert (await theirs.ask("PUT", "one", b"x", {"If-Match": etag})).status_code == 412
    assert (await theirs.ask("DELETE")).status_code == 204
    if theirs.is_state:
        assert (await theirs.ask("DELETE", None)).status_code == 204
    await theirs.store(b"theirs")
    assert await resource.content() == b"ours"
    assert await theirs.content() == b"theirs"


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
    half = "x" * (services.settings.body_bytes // 2)
    await resource.store({"a": half})
    assert code(await resource.ask("POST", "one", {"b": half})) == (413, "too-large")
    assert list(json.loads(await resource.content())) == ["a"]
    assert code(await resource.ask("POST", "two", half.encode() * 3)) == (413, "too-large")


# Concurrency


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
async def test_if_match(resource: Resource, method: str) -> None:
    async def ask(etag: str) -> httpx.Response:
        content = None if method == "DELETE" else {"b": 2}
        return await resource.ask(method, "one", content, {"If-Match": etag})

    for wrong in ("*", '"1234"'):
        assert code(await ask(wrong)) == (412, "precondition-failed")
    assert await resource.ids() == []
    etag = await resource.store({"a": 1})
    for wrong in ('"1234"', '"' + "1" * 40 + '"', f"W/{etag}", '"1234", "5678"'):
        assert code(await ask(wrong)) == (412, "precondition-failed")
        assert json.loads(await resource.content()) == {"a": 1}
    answer = await ask(f'"1234", {etag}')
    assert answer.status_code == 204
    if method == "DELETE":
        assert await resource.ids() == []
    else:
        assert json.loads(await resource.content())["b"] == 2
        assert code(await ask(etag)) == (412, "precondition-failed")
        assert (await ask("*")).status_code == 204


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
async def test_if_none_match(resource: Resource, method: str) -> None:
    content = None if method == "DELETE" else {"b": 2}
    assert (await resource.ask(method, "one", content, NONE_YET)).status_code == 204
    await resource.ask("DELETE")
    etag = await resource.store({"a": 1})
    for listed in ("*", etag, f"W/{etag}", f'"1234", {etag}'):
        answer = await resource.ask(method, "one", content, {"If-None-Match": listed})
        assert code(answer) == (412, "precondition-failed")
        assert json.loads(await resource.content()) == {"a": 1}
    answer = await resource.ask(method, "one", content, {"If-None-Match": '"1234"'})
    assert answer.status_code == 204


async def test_preconditions_on_get(resource: Resource) -> None:
    etag = await resource.store({"a": 1})
    for listed in (etag, f"W/{etag}", "*"):
        answer = await resource.ask("GET", headers={"If-None-Match": listed})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["ETag"] == etag
    assert (await resource.ask("GET", headers={"If-None-Match": '"1"'})).status_code == 200
    assert (await resource.ask("GET", headers={"If-Match": etag})).status_code == 200
    answer = await resource.ask("GET", headers={"If-Match": '"1"'})
    assert code(answer) == (412, "precondition-failed")


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
async def test_a_malformed_precondition_is_refused(resource: Resource, name: str) -> None:
    answer = await resource.ask("PUT", "one", b"", {name: '"a" "b"'})
    assert code(answer) == (400, "bad-request")
    assert name in answer.json()["detail"]


async def test_put_without_preconditions_on_a_new_document(resource: Resource) -> None:
    answer = await resource.ask("PUT", "one", {"a": 1})
    if resource.version == "1.0.3" and not resource.is_state:
        assert code(answer) == (400, "bad-request")
        assert "If-None-Match" in answer.json()["detail"]
        assert await resource.ids() == []
    else:
        assert answer.status_code == 204
        assert json.loads(await resource.content()) == {"a": 1}


async def test_put_without_preconditions_on_a_document_that_exists(resource: Resource) -> None:
    await resource.store({"a": 1})
    answer = await resource.ask("PUT", "one", {"b": 2})
    if resource.version == "1.0.3" and resource.is_state:
        assert answer.status_code == 204
        assert json.loads(await resource.content()) == {"b": 2}
    else:
        assert code(answer) == (409, "concurrency-conflict")
        assert "If-Match" in answer.json()["detail"]
        assert json.loads(await resource.content()) == {"a": 1}


async def test_parallel_merges_lose_nothing(resource: Resource) -> None:
    answers = await asyncio.gather(
        *(resource.ask("POST", "one", {f"k{n}": n}) for n in range(20)),
    )
    assert {answer.status_code for answer in answers} == {204}
    assert json.loads(await resource.content()) == {f"k{n}": n for n in range(20)}


async def test_of_parallel_puts_one_wins(resource: Resource) -> None:
    for headers in (NONE_YET, {"If-Match": "etag"}):
        if "If-Match" in headers:
            headers["If-Match"] = (await resource.ask("GET")).headers["ETag"]
        answers = await asyncio.gather(
            *(resource.ask("PUT", "one", {f"{headers}": n}, headers) for n in range(20)),
        )
        statuses = [answer.status_code for answer in answers]
        assert Counter(statuses) == {204: 1, 412: 19}
        won = json.loads(await resource.content())
        assert won == {f"{headers}": statuses.index(204)}


async def test_of_parallel_deletes_with_its_etag_one_wins(resource: Resource) -> None:
    etag = await resource.store(BINARY)
    answers = await asyncio.gather(
        *(resource.ask("DELETE", headers={"If-Match": etag}) for _ in range(20)),
    )
    assert Counter(answer.status_code for answer in answers) == {204: 1, 412: 19}


async def test_comings_and_goings_end(resource: Resource) -> None:
    answers = await asyncio.gather(
        *(
            resource.ask(*asked)
            for n in range(15)
            for asked in (
                ("POST", "one", {f"k{n}": n}),
                ("DELETE", "one"),
                ("DELETE", "one", None, {"If-Match": "*"}),
                *([("DELETE", None)] if resource.is_state else []),
            )
        )
    )
    assert {answer.status_code for answer in answers} <= {204, 412}


async def test_a_swap_that_is_lost_for_ever_is_given_up(
    resource: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> bool:
        return False

    await resource.store({"a": 1})
    monkeypatch.setattr(documents, "_swap", lost)
    answer = await resource.ask("POST", "one", {"b": 2})
    assert code(answer) == (409, "concurrency-conflict")
    assert answer.headers["Retry-After"] == "1"
    assert json.loads(await resource.content()) == {"a": 1}


# Who may


@pytest.mark.parametrize(
    ("granted", "reads", "writes"),
    [
        ("state", "state", "state"),
        ("profile", "profile", "profile"),
        ("all/read", "state profile", ""),
        ("all", "state profile", "state profile"),
        ("statements/read", "", ""),
        ("define", "", ""),
    ],
)
async def test_scopes(
    services: Services,
    http: httpx.AsyncClient,
    make: Callable[..., Resource],
    granted: str,
    reads: str,
    writes: str,
) -> None:
    some = await new_partner(services, http, frozenset({granted}))
    for kind in RESOURCES:
        resource = make(kind, some)
        scope = scopes.STATE if resource.is_state else scopes.PROFILE
        for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
            allowed = reads if method in ("GET", "HEAD") else writes
            answer = await resource.ask(method, "one", None if method == "GET" else {}, NONE_YET)
            assert (answer.status_code == 403) == (scope not in allowed.split()), (kind, method)
            if answer.status_code == 403 and method != "HEAD":
                assert code(answer) == (403, "missing-scope")
                assert scope in answer.json()["detail"]


async def test_version_comes_before_credentials_and_those_before_parameters(
    http: httpx.AsyncClient, partner: Partner
) -> None:
    path = "/xapi/activities/state"
    assert (await http.get(path)).status_code == 400
    version = {"X-Experience-API-Version": "1.0.3"}
    assert (await http.get(path, headers=version)).status_code == 401
    answer = await http.get(path, headers={**version, **partner.headers})
    assert code(answer) == (400, "invalid-parameter")
    assert [each["pointer"] for each in answer.json()["errors"]] == ["activityId", "agent"]


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
async def test_parameters_are_checked(resource: Resource, method: str) -> None:
    content = {"a": 1} if method in ("PUT", "POST") else None
    answer = await resource.ask(method, "one", content, foo="bar")
    assert code(answer) == (400, "invalid-parameter")
    assert [each["pointer"] for each in answer.json()["errors"]] == ["foo"]
    if "agent" in resource.scope:
        answer = await resource.ask(method, "one", content, agent="true")
        assert [each["pointer"] for each in answer.json()["errors"]] == ["agent"]
    if method != "GET" and not (method == "DELETE" and resource.is_state):
        answer = await resource.ask(method, None, content)
        assert [each["pointer"] for each in answer.json()["errors"]] == [resource.id_parameter]


async def test_parameters_are_utf8(partner: Partner, resource: Resource) -> None:
    answer = await partner.http.get(
        f"{resource.path}?{resource.id_parameter}=%FF",
        headers={"X-Experience-API-Version": resource.version, **partner.headers},
    )
    assert code(answer) == (400, "invalid-parameter")


async def test_other_methods_are_refused(resource: Resource) -> None:
    assert code(await resource.ask("PATCH", "one", {})) == (405, "method-not-allowed")
