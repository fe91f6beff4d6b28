"""tincan, by Rustici Software, in Python."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
import tincan
from tincan.documents import ActivityProfileDocument, AgentProfileDocument, StateDocument

from tests.support.partners import Partner
from tests.support.statements import XAPI

ACTIVITY = "http://example.com/course/1?a=b&c=d"
VERB = "http://adlnet.gov/expapi/verbs/experienced"
FIRST, SECOND = '{"page":1}', "page 2\r\n"  # the client encodes other text in Latin-1


@pytest.fixture(params=["1.0.3", "1.0.0"])
def lrs(partner: Partner, server: str, request: pytest.FixtureRequest) -> Any:
    return tincan.RemoteLRS(
        version=request.param,
        endpoint=f"{server}/xapi",
        username=partner.key,
        password=partner.secret,
    )


def agent() -> Any:
    return tincan.Agent(name="J\u00fcrgen", mbox="mailto:learner+1@example.com")


def activity() -> Any:
    named = tincan.LanguageMap({"en-US": "A course", "de-DE": "Ein Kurs"})
    return tincan.Activity(id=ACTIVITY, definition=tincan.ActivityDefinition(name=named))


def statement(**members: Any) -> Any:
    members.setdefault("id", str(uuid.uuid4()))
    verb = tincan.Verb(id=VERB, display=tincan.LanguageMap({"en-US": "experienced"}))
    return tincan.Statement(actor=agent(), verb=verb, object=activity(), **members)


def full_statement() -> Any:
    """A statement with every member that the client supports."""
    parent = tincan.Activity(id="http://example.com/parent")
    return statement(
        timestamp="2024-05-01T12:00:00.123456+02:00",
        result=tincan.Result(
            score=tincan.Score(scaled=0.5, raw=5, min=0, max=10),
            success=True,
            completion=True,
            duration="PT1H2M3.5S",
            response="x",
            extensions=tincan.Extensions({"http://example.com/x": {"a": [1, None]}}),
        ),
        context=tincan.Context(
            registration=str(uuid.uuid4()),
            instructor=agent(),
            team=tincan.Group(member=[agent()]),
            context_activities=tincan.ContextActivities(parent=[parent]),
            language="de-DE",
            statement=tincan.StatementRef(id=str(uuid.uuid4())),
        ),
        attachments=[
            tincan.Attachment(
                usage_type="http://example.com/usage/x",
                display=tincan.LanguageMap({"en": "x"}),
                content_type="text/plain",
                length=1,
                sha2="2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
                fileurl="https://files.example.com/1",
            )
        ],
    )


def succeeded(response: Any, status: int = 200) -> Any:
    assert response.success, response.data
    assert response.response.status == status
    return response.content


def ids(result: Any) -> list[str]:
    return [str(item.id) for item in result.statements]


def test_tincan_statement_round_trips(lrs: Any) -> None:
    sent = full_statement()
    for _ in range(2):
        succeeded(lrs.save_statement(sent), 204)
    result = succeeded(lrs.retrieve_statement(str(sent.id)))
    for part in ("actor", "verb", "object", "result", "context", "timestamp", "attachments"):
        one, other = getattr(result, part), getattr(sent, part)
        assert getattr(one, "to_json", str)() == getattr(other, "to_json", str)(), part
    assert result.authority.account.name
    assert result.stored
    missing = lrs.retrieve_statement(str(uuid.uuid4()))
    assert (missing.success, missing.response.status) == (False, 404)


def test_tincan_receives_a_generated_id(lrs: Any) -> None:
    without_id = statement()
    without_id._id = None
    sent = succeeded(lrs.save_statement(without_id))
    assert succeeded(lrs.retrieve_statement(str(sent.id))).id == sent.id


def test_tincan_batch_and_pagination(lrs: Any) -> None:
    batch = [statement() for _ in range(5)]
    sent = succeeded(lrs.save_statements(batch))
    result = succeeded(
        lrs.query_statements({"agent": agent(), "verb": tincan.Verb(id=VERB), "limit": 2})
    )
    actual = ids(result)
    while result.more:
        result = succeeded(lrs.more_statements(result))
        actual += ids(result)
    assert sorted(actual) == sorted(str(item.id) for item in sent)
    query = {"activity": activity(), "since": "2020-01-01T00:00:00Z", "format": "ids"}
    assert len(ids(succeeded(lrs.query_statements(query)))) == 5
    nobody = tincan.Agent(mbox="mailto:nobody@example.com")
    result = succeeded(lrs.query_statements({"agent": nobody}))
    assert (ids(result), result.more) == ([], "")


def test_tincan_voided_statement_returns_404(lrs: Any) -> None:
    sent = succeeded(lrs.save_statement(statement()), 204)
    voiding = tincan.Statement(
        id=str(uuid.uuid4()),
        actor=agent(),
        verb=tincan.Verb(id="http://adlnet.gov/expapi/verbs/voided"),
        object=tincan.StatementRef(id=str(sent.id)),
    )
    succeeded(lrs.save_statement(voiding), 204)
    assert lrs.retrieve_statement(str(sent.id)).response.status == 404
    result = succeeded(lrs.retrieve_voided_statement(str(sent.id)))
    assert result.id == sent.id


def test_tincan_receives_the_problem_of_an_invalid_statement(
    lrs: Any, partner: Partner, server: str
) -> None:
    broken = statement(result=tincan.Result(score=tincan.Score(raw=5, min=6)))
    answer = lrs.save_statement(broken)
    assert (answer.success, answer.response.status) == (False, 400)
    assert json.loads(answer.data)["errors"][0]["pointer"] == "/result/score/raw"
    stranger = tincan.RemoteLRS(
        endpoint=f"{server}/xapi", username=partner.key, password="not the secret"
    )
    assert stranger.save_statement(statement()).response.status == 401


def test_tincan_state_round_trips(lrs: Any) -> None:
    registration = str(uuid.uuid4())
    one = StateDocument(id="one", activity=activity(), agent=agent(), content=FIRST)
    one.content_type = "application/json"
    two = StateDocument(id="two", activity=activity(), agent=agent(), content=SECOND)
    for item in (one, two):  # the client sends each document twice
        assert lrs.save_state(item).response.status == 204
    result = succeeded(lrs.retrieve_state(activity(), agent(), "two"))
    assert result.content.decode() == SECOND
    assert sorted(succeeded(lrs.retrieve_state_ids(activity(), agent()))) == ["one", "two"]
    assert succeeded(lrs.retrieve_state_ids(activity(), agent(), registration)) == []
    since = "2120-01-01T00:00:00Z"
    assert succeeded(lrs.retrieve_state_ids(activity(), agent(), since=since)) == []
    one.etag = '"another"'
    assert lrs.delete_state(one).response.status == 412
    one._etag = None
    assert lrs.delete_state(one).response.status == 204
    assert lrs.retrieve_state(activity(), agent(), "one").response.status == 404
    assert lrs.clear_state(activity(), agent()).response.status == 204
    assert succeeded(lrs.retrieve_state_ids(activity(), agent())) == []


@pytest.mark.parametrize("kind", ["agent", "activity"])
def test_tincan_profile_round_trips(lrs: Any, kind: str) -> None:
    """A new profile requires If-None-Match (xAPI 1.0.3 Communication 3.1), which it cannot send: it
    sends If-Match, or nothing.
    """
    if kind == "agent":
        profile = AgentProfileDocument(id="one", agent=agent(), content=SECOND)
        whose: Sequence[Any] = (agent(),)
        path, params = "agents/profile", {"agent": agent().to_json()}
    else:
        profile = ActivityProfileDocument(id="one", activity=activity(), content=SECOND)
        whose = (activity(),)
        path, params = "activities/profile", {"activityId": ACTIVITY}
    save, retrieve, retrieve_ids, delete = (
        getattr(lrs, name.format(kind))
        for name in (
            "save_{}_profile",
            "retrieve_{}_profile",
            "retrieve_{}_profile_ids",
            "delete_{}_profile",
        )
    )
    answer = save(profile)
    assert answer.response.status == 400
    assert "If-None-Match" in json.loads(answer.data)["detail"]
    posted = httpx.post(
        f"{lrs.endpoint}{path}",
        params={**params, "profileId": "one"},
        content=FIRST,
        headers={**XAPI, "Content-Type": "application/json", "Authorization": lrs.auth},
    )
    assert posted.status_code == 204
    answer = save(profile)
    assert answer.response.status == 409
    profile.etag = posted.headers["etag"]
    assert save(profile).response.status == 204
    assert save(profile).response.status == 412
    result = succeeded(retrieve(*whose, "one"))
    assert result.content.decode() == SECOND
    assert succeeded(retrieve_ids(*whose)) == ["one"]
    profile.etag = httpx.head(
        f"{lrs.endpoint}{path}",
        params={**params, "profileId": "one"},
        headers={**XAPI, "Authorization": lrs.auth},
    ).headers["etag"]
    assert delete(profile).response.status == 204
    assert retrieve(*whose, "one").response.status == 404


def test_tincan_reads_about(lrs: Any) -> None:
    """The client itself refuses versions later than its own."""
    with pytest.raises(ValueError, match=r"2\.0\.0"):
        lrs.about()
