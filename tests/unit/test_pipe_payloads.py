"""What a forwarding pipe sends: track events, signed webhooks, statements of one version."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import orjson
import pytest

from lrs.errors import InvalidParameter
from lrs.pipes.forward import versions
from lrs.pipes.forward.payloads import ForwardItem, statements_request, webhook_request
from lrs.pipes.forward.target import statements_url
from lrs.pipes.forward.track_payload import track_event
from lrs.pipes.webhook import signature_headers
from lrs.projection.vocabulary import load_vocabulary
from lrs.xapi import track_events
from lrs.xapi.index_keys import VOIDED
from tests.support.statements import new_id, statement

VOCABULARY = load_vocabulary()
ADL = "http://adlnet.gov/expapi/verbs/"
PROGRESS = track_events.PROGRESS


def stored(**members: Any) -> dict[str, Any]:
    return statement(id=new_id(), timestamp="2026-05-08T14:00:00.123+02:00") | members


def event(**members: Any) -> dict[str, Any] | None:
    return track_event(stored(**members), VOCABULARY)


def test_completion_has_the_six_fields_of_the_vendor() -> None:
    assert event(result={"completion": True, "duration": "PT20M"}) == {
        "content_id": "http://example.com/course/1",
        "user": "learner@example.com",
        "status": "completed",
        "event_date": "2026-05-08T12:00:00Z",
        "completion_percentage": 100,
        "duration_spent": 1200,
    }


@pytest.mark.parametrize(
    ("verb", "result", "status", "percentage"),
    [
        ("initialized", None, "started", None),
        ("progressed", {"extensions": {PROGRESS: 40}}, "in_progress", 40),
        ("experienced", {"extensions": {PROGRESS: 12.5}}, "in_progress", 12.5),
        ("passed", None, "completed", 100),
        ("completed", None, "completed", 100),
    ],
)
def test_kind_of_work_is_the_status(
    verb: str, result: dict[str, Any] | None, status: str, percentage: float | None
) -> None:
    members = {"verb": {"id": ADL + verb}} | ({"result": result} if result else {})
    sent = event(**members)
    assert sent
    assert (sent["status"], sent.get("completion_percentage")) == (status, percentage)


@pytest.mark.parametrize(
    "members",
    [
        {"verb": {"id": "http://example.com/liked"}},
        {"verb": {"id": VOIDED}, "object": {"objectType": "StatementRef", "id": new_id()}},
        {"actor": {"openid": "http://example.com/me"}},
        {"actor": {"objectType": "Group", "mbox": "mailto:team@example.com"}},
        {"object": {"objectType": "Agent", "mbox": "mailto:other@example.com"}},
    ],
)
def test_other_statements_are_no_track_event(members: dict[str, Any]) -> None:
    assert event(**members) is None


def test_received_track_event_is_sent_as_received() -> None:
    received = {
        "content_id": "ext-101",
        "user": "jane",
        "status": "completed",
        "event_date": "2024-05-13T14:25:00Z",
        "completion_percentage": None,
        "orgid": "acme",
    }
    converted = track_events.statement(received, organization=None, home_page="https://lrs.test")
    sent = track_event(converted, VOCABULARY)
    assert sent == {name: received[name] for name in ("content_id", "user", "status", "event_date")}


def test_webhook_signature_is_that_of_standard_webhooks() -> None:
    """The vector of the reference implementation."""
    headers = signature_headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_retried_webhook_has_the_same_id() -> None:
    items = [ForwardItem(1, new_id(), b"{}"), ForwardItem(2, new_id(), b"{}")]
    secret = "whsec_" + base64.b64encode(b"key").decode()
    first, second = (webhook_request(items, secret, "acme/hook", at) for at in (1, 2))
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    other = webhook_request(items[:1], secret, "acme/hook", 1)
    assert other.headers["webhook-id"] != first.headers["webhook-id"]
    signed = f"{second.headers['webhook-id']}.2.".encode() + b"[{},{}]"
    expected = base64.b64encode(hmac.new(b"key", signed, hashlib.sha256).digest()).decode()
    assert second.headers["webhook-signature"] == f"v1,{expected}"


def test_invalid_webhook_secret_names_its_form() -> None:
    with pytest.raises(InvalidParameter, match="whsec_"):
        signature_headers("secret!", "msg_1", 1, b"")


def test_version_1_text_differs_only_where_it_must() -> None:
    text = (
        b'{"id":"a", "version":"2.0.0","actor":{"mbox":"mailto:a@example.com"},'
        b'"object":{"id":"x:1"},"context":{"contextAgents":[],"language":"en",'
        b'"extensions":{"x:n":1.50E+2}}}'
    )
    sent = versions.as_version_1(text)
    assert b'"version":"1.0.3"' in sent
    assert b"contextAgents" not in sent
    assert b'{"x:n":1.50E+2}' in sent
    assert b'"actor":{"mbox":"mailto:a@example.com"}' in sent


def test_context_of_a_sub_statement_can_need_version_2() -> None:
    inner = statement(context={"contextGroups": []}, objectType="SubStatement")
    outer = stored(object=inner, version="2.0.0")
    assert versions.needs_version_2(outer)
    sent = orjson.loads(versions.as_version_1(orjson.dumps(outer)))
    assert sent["object"]["context"] == {}
    assert not versions.needs_version_2(sent)


@pytest.mark.parametrize(
    ("supported", "version_of_statement", "header"),
    [
        ((), "1.0.3", "1.0.3"),
        ((), "2.0.0", "2.0.0"),
        (("1.0.3",), "1.0.3", "1.0.3"),
        (("1.0.0", "1.0.3", "2.0.0"), "1.0.3", "1.0.3"),
        (("1.0.3", "2.0.0"), "2.0.0", "2.0.0"),
        (("2.0.0",), "1.0.3", "2.0.0"),
    ],
)
def test_version_of_a_request_is_one_that_the_target_speaks(
    supported: tuple[str, ...], version_of_statement: str, header: str
) -> None:
    text = orjson.dumps(stored(version=version_of_statement))
    request = statements_request([ForwardItem(1, new_id(), text)], supported, {})
    assert request.headers["X-Experience-API-Version"] == header


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a/xapi", "https://a/xapi/statements"),
        ("https://a/xapi/", "https://a/xapi/statements"),
        ("https://a/xapi/statements", "https://a/xapi/statements"),
        ("https://a/xapi/statements/", "https://a/xapi/statements"),
        ("https://a", "https://a/statements"),
        ("https://a/xapi?tenant=1", "https://a/xapi/statements?tenant=1"),
    ],
)
def test_statements_url_from_any_spelling_of_the_endpoint(url: str, expected: str) -> None:
    assert statements_url(url) == expected
