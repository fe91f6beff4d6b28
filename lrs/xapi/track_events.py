"""Percipio's track events as xAPI statements: see docs/partners.md, Track events.

The statements are valid in xAPI 1.0.3 and 2.0.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from lrs.errors import InvalidStatement, Violation
from lrs.xapi.identifiers import normal_mailbox
from lrs.xapi.statement import TRACK_EVENT, derived_uuid, instant
from lrs.xapi.validation import is_uuid

Event = dict[str, Any]

COURSE = "http://adlnet.gov/expapi/activities/course"
PROGRESS = "https://w3id.org/xapi/cmi5/result/extensions/progress"
VERBS = {
    "started": ("https://activitystrea.ms/schema/1.0/start", "started"),
    "in_progress": ("http://adlnet.gov/expapi/verbs/progressed", "progressed"),
    "completed": ("http://adlnet.gov/expapi/verbs/completed", "completed"),
}

_MIDNIGHT = re.compile(r"T00:00(:00([.,]0+)?)?(Z|[+-])")
# A longer time is an error of the sender and is omitted.
_MAX_SECONDS = 10**15
# A subset of RFC 5322: no quoting in a mailto IRI, and a host with a dot.
_EMAIL = re.compile(r"[\w.!$'*+~-]+@(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W\d_](?:[\w-]*[^\W_])?")
# A subset of RFC 3987 with schemes whose names are globally unique: `edx:101` is not.
_CHARACTER = r"(?:[\w.~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})"
_IRI = re.compile(
    rf"(?:https?://[^\W_](?:[\w.-]*[^\W_])?(?::[0-9]{{1,5}})?(?:/{_CHARACTER}*)?"
    rf"|urn:[A-Za-z0-9][A-Za-z0-9-]{{0,30}}[A-Za-z0-9]:{_CHARACTER}+"
    rf"|tag:[\w.@-]+,[0-9]{{4}}(?:-[0-9]{{2}}){{0,2}}:{_CHARACTER}*)"
    rf"(?:\?(?:{_CHARACTER}|\?)*)?(?:\#(?:{_CHARACTER}|\?)*)?"
)


def statement(event: Event, *, organization: str | None, home_page: str) -> dict[str, Any]:
    """The statement of an event; its context has the whole event.

    `organization` comes from `organization_of`. `home_page` is the base URL, without a trailing
    slash, for user and content ids.
    """
    status = _status(event)
    verb, display = VERBS[status]
    converted: dict[str, Any] = {
        "id": event_id(event, organization),
        "actor": {"objectType": "Agent", **identifier(event["user"], home_page)},
        "verb": {"id": verb, "display": {"en-US": display}},
        "object": {
            "objectType": "Activity",
            "id": activity_id(event["content_id"].strip(), home_page),
            "definition": {"type": COURSE},
        },
        "context": {"extensions": {TRACK_EVENT: event}},
        "timestamp": event["event_date"],
    }
    if result := _result(event, status):
        converted["result"] = result
    return converted


def event_id(event: Event, organization: str | None) -> str:
    """The statement id of an event; equal for a retry."""
    return derived_uuid(
        "track",
        organization,
        event["content_id"].strip(),
        normal_user(event["user"]),
        _status(event),
        instant(event["event_date"]),
    )


def has_day_precision(timestamp: str) -> bool:
    """Whether the time is midnight, which is taken for a date without a time."""
    return _MIDNIGHT.match(timestamp, 10) is not None


def organization_of(event: Event, path_organization: str | None) -> str | None:
    """The organization in the path or in `orgid`. Raises InvalidStatement if they differ."""
    orgid: str | None = event.get("orgid") or None
    if orgid and path_organization and orgid != path_organization:
        detail = f"expected the organization of the path, {path_organization}, or none"
        violation = Violation("/orgid", detail, "Track event: orgid")
        raise InvalidStatement(detail, violations=[violation])
    return path_organization or orgid


def _status(event: Event) -> str:
    return str(event["status"]).replace("-", "_")


def identifier(user: str, home_page: str) -> dict[str, Any]:
    """The inverse functional identifier of an event's `user`, normalized."""
    user = normal_user(user)
    if _EMAIL.fullmatch(user):
        return {"mbox": f"mailto:{user}"}
    return {"account": {"homePage": home_page, "name": user}}


def normal_user(user: str) -> str:
    """The same text for all spellings of a user: an email address, a UUID or an external id.

    Without surrounding blanks and the scheme `mailto:`; the domain of an address and a UUID are in
    lower case.
    """
    user = user.strip()
    if user[:7].lower() == "mailto:":
        user = user[7:].strip()
    if _EMAIL.fullmatch(user):
        return normal_mailbox(f"mailto:{user}").removeprefix("mailto:")
    return user.lower() if is_uuid(user) else user


def differing_fields(sent: dict[str, Any], stored: dict[str, Any]) -> list[str]:
    """The fields that differ between statements of two events with the same id."""
    fields = ("duration_spent", "completion_percentage")
    pairs = zip(fields, _measures(sent), _measures(stored), strict=True)
    return [field for field, a, b in pairs if a != b]


def _measures(statement: dict[str, Any]) -> tuple[Any, Any]:
    result = statement.get("result", {})
    return result.get("duration"), result.get("extensions", {}).get(PROGRESS)


def activity_id(content_id: str, home_page: str) -> str:
    """The activity id of an event's `content_id`."""
    if _IRI.fullmatch(content_id):
        return content_id
    return f"{home_page}/contents/{quote(content_id, safe='')}"


def _result(event: Event, status: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if status == "completed":
        result["completion"] = True
    seconds = event.get("duration_spent")
    if seconds is not None and seconds < _MAX_SECONDS:
        result["duration"] = _duration(seconds)
    if (progress := event.get("completion_percentage")) is not None:
        result["extensions"] = {PROGRESS: progress}
    return result


def _duration(seconds: float) -> str:
    whole, _, fraction = f"{Decimal(str(abs(seconds))):f}".partition(".")
    hundredths = fraction[:2].rstrip("0")
    return f"PT{whole}.{hundredths}S" if hundredths else f"PT{whole}S"
