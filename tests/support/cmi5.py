"""The launch of a cmi5 assignable unit, as a learning management system prepares it."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import httpx

from tests.support.partners import Partner
from tests.support.statements import XAPI

Json = dict[str, Any]

ACTIVITY_ID = "https://content.example.com/units/1"
SESSION_ID = "https://w3id.org/xapi/cmi5/context/extensions/sessionid"
ACTOR: Json = {
    "objectType": "Agent",
    "account": {"homePage": "https://lms.example.com", "name": "learner-1"},
}
LAUNCH_DATA: Json = {
    "contextTemplate": {
        "contextActivities": {"grouping": [{"id": "https://content.example.com/courses/1"}]},
        "extensions": {SESSION_ID: "session-1"},
    },
    "launchMode": "Normal",
    "launchMethod": "AnyWindow",
    "masteryScore": 0.7,
    "moveOn": "CompletedAndPassed",
}
PREFERENCES = {"languagePreference": "de-DE,en-US", "audioPreference": "on"}
PROFILE = {"profileId": "cmi5LearnerPreferences", "agent": json.dumps(ACTOR)}
VERBS = [
    *("initialized", "progressed", "answered", "answered", "answered", "answered"),
    *("passed", "completed", "experienced", "terminated"),
]


def fetch_response(partner: Partner) -> bytes:
    """The response of the fetch URL: the credential as the token of Basic authentication."""
    token = base64.b64encode(f"{partner.key}:{partner.secret}".encode()).decode()
    return json.dumps({"auth-token": token}).encode()


def _client(server: str, partner: Partner) -> httpx.Client:
    auth = (partner.key, partner.secret)
    return httpx.Client(base_url=f"{server}/xapi", headers=XAPI, auth=auth, timeout=30)


def launch(server: str, partner: Partner, fetch_url: str) -> dict[str, str]:
    """The launch parameters, after the launch data and preferences are stored."""
    registration = str(uuid.uuid4())
    with _client(server, partner) as client:
        state = {
            "stateId": "LMS.LaunchData",
            "activityId": ACTIVITY_ID,
            "agent": json.dumps(ACTOR),
            "registration": registration,
        }
        assert client.put("/activities/state", params=state, json=LAUNCH_DATA).is_success
        new = {"If-None-Match": "*"}
        stored = client.put("/agents/profile", params=PROFILE, json=PREFERENCES, headers=new)
        assert stored.is_success, stored.text
    return {
        "endpoint": f"{server}/xapi/",
        "fetch": fetch_url,
        "actor": json.dumps(ACTOR),
        "registration": registration,
        "activityId": ACTIVITY_ID,
    }


def stored_verbs(server: str, partner: Partner, registration: str) -> list[str]:
    """The last segments of the verbs of a registration, in order."""
    params = {"registration": registration, "ascending": "true"}
    with _client(server, partner) as client:
        statements = client.get("/statements", params=params).json()["statements"]
    return [statement["verb"]["id"].rpartition("/")[2] for statement in statements]


def stored_preferences(server: str, partner: Partner) -> Json:
    with _client(server, partner) as client:
        preferences: Json = client.get("/agents/profile", params=PROFILE).json()
    return preferences


def check_session(result: Json) -> None:
    """The statements in their order, in pages of four."""
    assert result["mode"] == "Normal"
    assert result["preferences"] == PREFERENCES
    assert [len(page) for page in result["verbs"]] == [4, 4, 2]
    assert [verb for page in result["verbs"] for verb in page] == VERBS
    assert result["bookmark"] == {"page": 1}
    assert result["activity"] == ACTIVITY_ID
