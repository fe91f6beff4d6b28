"""Percipio's track events, told as xAPI statements: see docs/partners.md, Track events.

Statements follow xAPI 1.0.3, the only version whose rules hold in both.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from lrs.errors import InvalidStatement, Violation
from lrs.xapi.statement import derived_uuid, instant

Event = dict[str, Any]

COURSE = "http://adlnet.gov/expapi/activities/course"
ORIGINAL = "urn:x-lrs:track-event"
PROGRESS = "https://w3id.org/xapi/cmi5/result/extensions/progress"
VERBS = {
    "started": ("https://activitystrea.ms/schema/1.0/start", "started"),
    "in_progress": ("http://adlnet.gov/expapi/verbs/progressed", "progressed"),
    "completed": ("http://adlnet.gov/expapi/verbs/completed", "completed"),
}

# A longer time is a mistake, and would be too long a text for a duration.
_MOST_SECONDS = 10**15
# Narrower than RFC 5322: what needs no quoting in a mailto IRI, at a host with a dot.
_EMAIL = re.compile(r"[\w.!$'*+~-]+@(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W\d_](?:[\w-]*[^\W_])?")
# Narrower than RFC 3987, and with schemes that make a name unique: `edx:101` is no global name.
_CHARACTER = r"(?:[\w.~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})"
_IRI = re.compile(
    rf"(?:https?://[^\W_](?:[\w.-]*[^\W_])?(?::[0-9]{{1,5}})?(?:/{_CHARACTER}*)?"
    rf"|urn:[A-Za-z0-9][A-Za-z0-9-]{{0,30}}[A-Za-z0-9]:{_CHARACTER}+"
    rf"|tag:[\w.@-]+,[0-9]{{4}}(?:-[0-9]{{2}}){{0,2}}:{_CHARACTER}*)"
    rf"(?:\?(?:{_CHARACTER}|\?)*)?(?:\#(?:{_CHARACTER}|\?)*)?"
)


def statement(event: Event, *, organization: str | None, home_page: str) -> dict[str, Any]:
    """The statement an event stands for; the event is kept whole in its context.

    `organization` is what `organization_of` says, `home_page` the absolute URL, without a slash at
    its end, of the system that gives out the user and content ids.
    """
    status = _status(event)
    verb, display = VERBS[status]
    told: dict[str, Any] = {
        "id": event_id(event, organization),
        "actor": {"objectType": "Agent", **identifier(event["user"], home_page)},
        "verb": {"id": verb, "display": {"en-US": display}},
        "object": {
            "objectType": "Activity",
            "id": activity_id(event["content_id"], home_page),
            "definition": {"type": COURSE},
        },
        "context": {"extensions": {ORIGINAL: event}},
        "timestamp": event["event_date"],
    }
    if result := _result(event, status):
        told["result"] = result
    return told


def event_id(event: Event, organization: str | None) -> str:
    """The statement id of an event, the same however often and however written it is sent."""
    return derived_uuid(
        "track",
        organization,
        event["content_id"],
        event["user"],
        _status(event),
        instant(event["event_date"]),
    )


def organization_of(event: Event, path_organization: str | None) -> str | None:
    """The organization that an event belongs to, named by the path, by `orgid` or by both."""
    named: str | None = event.get("orgid") or None
    if named and path_organization and named != path_organization:
        detail = f"The event names another organization than the path, {path_organization}."
        violation = Violation("/orgid", detail, "Track event: orgid")
        raise InvalidStatement(detail, violations=[violation])
    return path_organization or named


def _status(event: Event) -> str:
    return str(event["status"]).replace("-", "_")


def identifier(user: str, home_page: str) -> dict[str, Any]:
    """The identifier of the agent that an event's `user` stands for."""
    if _EMAIL.fullmatch(user):
        return {"mbox": f"mailto:{user}"}
    return {"account": {"homePage": home_page, "name": user}}


def activity_id(content_id: str, home_page: str) -> str:
    """The activity that an event's `content_id` stands for."""
    if _IRI.fullmatch(content_id):
        return content_id
    return f"{home_page}/contents/{quote(content_id, safe='')}"


def _result(event: Event, status: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if status == "completed":
        result["completion"] = True
    seconds = event.get("duration_spent")
    if seconds is not None and seconds < _MOST_SECONDS:
        result["duration"] = _duration(seconds)
    if (progress := event.get("completion_percentage")) is not None:
        result["extensions"] = {PROGRESS: progress}
    return result


def _duration(seconds: float) -> str:
    whole, _, fraction = f"{Decimal(str(abs(seconds))):f}".partition(".")
    hundredths = fraction[:2].rstrip("0")
    return f"PT{whole}.{hundredths}S" if hundredths else f"PT{whole}S"
