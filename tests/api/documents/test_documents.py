"""Documents: store, read, list and delete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lrs.api.services import Services
from tests.support.documents import AGENT, BINARY, JSON, NONE_YET, RESOURCES, Resource, code
from tests.support.examples import examples
from tests.support.partners import Partner
from tests.support.statements import new_id

# Single documents


async def test_document_round_trips_with_content_type_and_etag(resource: Resource) -> None:
    sent = await resource.ask("PUT", "one", BINARY, {**NONE_YET, "Content-Type": "image/x; q=1"})
    assert (sent.status_code, sent.content) == (204, b"")
    response = await resource.ask("GET")
    assert (response.status_code, response.content) == (200, BINARY)
    assert response.headers["Content-Type"] == "image/x; q=1"
    etag = hashlib.sha1(BINARY).hexdigest()
    assert response.headers["ETag"] == sent.headers["ETag"] == f'"{etag}"'
    age = datetime.now(UTC) - parsedate_to_datetime(response.headers["Last-Modified"])
    assert timedelta(0) <= age < timedelta(minutes=1)


async def test_head_has_the_headers_of_get_and_no_content(resource: Resource) -> None:
    assert (await resource.ask("HEAD")).status_code == 404
    await resource.store(BINARY)
    got, head = await resource.ask("GET"), await resource.ask("HEAD")
    assert head.status_code == 200
    for name in ("Content-Type", "Content-Length", "ETag", "Last-Modified"):
        assert head.headers[name] == got.headers[name]
    assert (await resource.ask("HEAD", None)).status_code == 200


async def test_unknown_document_returns_404(resource: Resource) -> None:
    assert code(await resource.ask("GET")) == (404, "not-found")
    assert code(await resource.ask("GET", headers={"If-Match": "*"})) == (404, "not-found")


async def test_content_type_defaults_to_octet_stream(resource: Resource) -> None:
    await resource.store(BINARY)
    response = await resource.ask("GET")
    assert response.headers["Content-Type"] == "application/octet-stream"


async def test_empty_document_is_stored(resource: Resource) -> None:
    assert (await resource.ask("POST", "one", b"")).status_code == 204
    assert await resource.content() == b""


async def test_delete_is_idempotent(resource: Resource) -> None:
    await resource.store(BINARY)
    assert (await resource.ask("DELETE")).status_code == 204
    assert (await resource.ask("GET")).status_code == 404
    assert (await resource.ask("DELETE")).status_code == 204


async def test_put_replaces_content_and_content_type(resource: Resource) -> None:
    etag = await resource.store({"a": 1})
    headers = {"If-Match": etag, "Content-Type": "text/plain"}
    assert (await resource.ask("PUT", "one", b"text", headers)).status_code == 204
    response = await resource.ask("GET")
    assert (response.content, response.headers["Content-Type"]) == (b"text", "text/plain")


async def test_put_of_invalid_json_is_stored_and_not_merged(resource: Resource) -> None:
    response = await resource.ask("PUT", "one", b'{"a"', {**NONE_YET, **JSON})
    assert response.status_code == 204
    assert await resource.content() == b'{"a"'
    assert code(await resource.ask("POST", "one", {"b": 2})) == (400, "malformed-json")
    assert await resource.content() == b'{"a"'


async def test_change_updates_last_modified(services: Services, resource: Resource) -> None:
    await resource.store({"a": 1})
    await services.database.writers.execute(
        "update document set updated = updated - interval '1 hour' where partner_id = $1",
        resource.partner.partner_id,
    )
    before = parsedate_to_datetime((await resource.ask("GET")).headers["Last-Modified"])
    await resource.ask("POST", "one", {"b": 2})
    after = parsedate_to_datetime((await resource.ask("GET")).headers["Last-Modified"])
    assert after - before > timedelta(minutes=50)


async def test_long_ids_in_any_script_are_stored(resource: Resource) -> None:
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


async def test_long_activity_id_is_stored(state: Resource) -> None:
    activity = "http://example.com/" + "x" * 20_000
    await state.store(b"long", activityId=activity)
    await state.store(b"longer", activityId=activity + "y")
    assert await state.content(activityId=activity) == b"long"


async def test_response_headers_prevent_caching_and_execution(resource: Resource) -> None:
    await resource.store(b"<script>")
    headers = (await resource.ask("GET")).headers
    assert headers["Cache-Control"] == "no-cache"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("sandbox")


@hypothesis_settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(content=st.binary(max_size=5000))
async def test_any_bytes_round_trip(profile: Resource, content: bytes) -> None:
    name = new_id()
    etag = await profile.store(content, name)
    assert etag.strip('"') == hashlib.sha1(content).hexdigest()
    assert await profile.content(name) == content


# Lists


async def test_list_has_ids_and_the_latest_last_modified(resource: Resource) -> None:
    empty = await resource.ask("GET", None)
    assert (empty.json(), "Last-Modified" in empty.headers) == ([], False)
    for name in ("b", "a"):
        await resource.store(BINARY, name)
    response = await resource.ask("GET", None)
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == ["a", "b"]
    last = (await resource.ask("GET", "a")).headers["Last-Modified"]
    assert response.headers["Last-Modified"] == last


async def test_since_is_exclusive(services: Services, resource: Resource) -> None:
    for name in ("a", "b"):
        await resource.store(BINARY, name)
    result = await services.database.readers.fetchval(
        "select updated from document where partner_id = $1 and document_id = 'a'",
        resource.partner.partner_id,
    )
    assert await resource.ids(since=result.isoformat()) == ["b"]
    before = result - timedelta(microseconds=1)
    assert await resource.ids(since=before.isoformat()) == ["a", "b"]
    await resource.ask("POST", "a", BINARY, {"If-Match": '"none"'})
    assert await resource.ids(since=result.isoformat()) == ["b"]


async def test_registration_has_its_own_documents(state: Resource) -> None:
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


async def test_list_and_delete_without_registration_cover_all_registrations(
    state: Resource,
) -> None:
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


async def test_delete_of_all_documents_with_a_precondition_is_refused(state: Resource) -> None:
    etag = await state.store(b"")
    for headers in ({"If-Match": etag}, {"If-Match": "*"}, NONE_YET):
        response = await state.ask("DELETE", None, headers=headers)
        assert code(response) == (412, "precondition-failed")
    assert await state.ids() == ["one"]


async def test_agent_is_identified_by_its_identifier(profile: Resource) -> None:
    await profile.store(b"learner")
    renamed = json.dumps({**AGENT, "name": "L. Earner", "objectType": "Agent"})
    assert await profile.content(agent=renamed) == b"learner"
    other = json.dumps({"account": {"homePage": "http://a.example.com", "name": "learner"}})
    assert (await profile.ask("GET", agent=other)).status_code == 404


async def test_resources_are_isolated(make: Callable[..., Resource]) -> None:
    kinds = [make(kind) for kind in RESOURCES]
    for item in kinds:
        await item.store(item.path.encode())
    for item in kinds:
        assert await item.ids() == ["one"]
        assert await item.content() == item.path.encode()


async def test_documents_are_isolated_by_partner(
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
