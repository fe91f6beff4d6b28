"""Reports of Canvas callbacks, and their xAPI statements.

An xAPI report has `object.id` and `result.duration`; a Caliper event has `object.@id` and
`duration`. Both are optional, but not together. Other members that are valid xAPI are copied to the
statement; the whole body is stored in a context extension. The statements are valid in xAPI 1.0.3
and 2.0.

The xAPI URL also accepts Caliper events, and lists and Caliper envelopes. Such a body is one
report, as in Canvas, with the first page and the sum of the durations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from lrs.xapi import durations
from lrs.xapi.canvas_launches import Launch, course_iri, tool_iri
from lrs.xapi.durations import InvalidDuration
from lrs.xapi.index_keys import CONTEXT_ROLES
from lrs.xapi.statement import as_list, derived_uuid
from lrs.xapi.track_events import COURSE
from lrs.xapi.validation import is_iri, is_uuid, statement_violations

Json = dict[str, Any]

INTERACTED: Json = {
    "id": "http://adlnet.gov/expapi/verbs/interacted",
    "display": {"en-US": "interacted"},
}
VIEW_EVENT = "http://purl.imsglobal.org/caliper/v1/ViewEvent"
LAUNCH = "urn:x-lrs:launch"
ORIGINAL = "urn:x-lrs:callback"
DEFAULT_SECONDS = 5

_RESULT = ("duration", "score", "success", "completion", "response", "extensions")
_CONTEXT = (
    "registration",
    "instructor",
    "team",
    "revision",
    "platform",
    "language",
    "statement",
)


class NothingToCount(ValueError):
    """The report has neither a page nor a duration."""


@dataclass(frozen=True, slots=True)
class PageView:
    """The page view of a report. `seconds` is None without a duration.

    `url` is empty if the report has no page; `interaction_seconds` is the capped time. Without
    `counts_as_view`, only time and accesses are counted. `reuses_id` if the id of the report was
    taken, so that its statement has another one.
    """

    tool: str
    user: str
    course: str
    url: str
    seconds: int | None
    interaction_seconds: int
    counts_as_view: bool
    reuses_id: bool = False


@dataclass(frozen=True, slots=True)
class CallbackReport:
    """A parsed body: the page or "", the time in seconds or None, and the body.

    `statement` has the members in the shape of a statement; `text` is the body as sent.
    """

    url: str
    seconds: int | None
    statement: Json
    body: Any
    text: bytes


def parse_xapi(value: Any, text: bytes) -> CallbackReport:
    """Parses the body of an xAPI callback. Raises NothingToCount, InvalidDuration."""
    items = [_caliper(item) if _is_caliper(item) else _xapi(item) for item in _items(value)]
    url = next((item.url for item in items if item.url), "")
    times = [item.seconds for item in items if item.seconds is not None]
    if not url and not times:
        raise NothingToCount(
            "object.id or result.duration is required: the URL of the page, or the time spent."
        )
    if len(items) == 1:
        return CallbackReport(url, items[0].seconds, items[0].statement, value, text)
    seconds = _seconds(f"PT{sum(times)}S", "the sum of the durations") if times else None
    return CallbackReport(url, seconds, {}, value, text)


def parse_caliper(value: Any, text: bytes) -> CallbackReport | None:
    """Parses the body of a Caliper callback; None for an event other than a ViewEvent.

    Raises NothingToCount and InvalidDuration.
    """
    body = _object(value)
    if body.get("@type") != VIEW_EVENT:
        return None
    item = _caliper(body)
    if not item.url and item.seconds is None:
        raise NothingToCount(
            "object.@id or duration is required: the URL of the page, or the time spent."
        )
    return CallbackReport(item.url, item.seconds, item.statement, body, text)


@dataclass(frozen=True, slots=True)
class _Item:
    """One statement or event of a body."""

    url: str
    seconds: int | None
    statement: Json


def _items(value: Any) -> list[Json]:
    """The objects of a body: itself, or those in a list or a Caliper envelope."""
    data = value.get("data") if isinstance(value, dict) and "sensor" in value else None
    items = data if isinstance(data, list) else value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, dict)]


def _is_caliper(item: Json) -> bool:
    return "@type" in item or "@context" in item


def _xapi(item: Json) -> _Item:
    duration = _object(item.get("result")).get("duration")
    url = _url(_object(item.get("object")).get("id"))
    return _Item(url, _seconds(duration, "result.duration"), item)


def _caliper(event: Json) -> _Item:
    """An event of Caliper 1.0; later versions have `id` instead of `@id`, or the id alone."""
    target = event.get("object")
    members = _object(target)
    duration = event.get("duration")
    statement = {
        "id": _event_id(event),
        "timestamp": event.get("eventTime"),
        "result": {} if duration is None else {"duration": duration},
    }
    url = _url(members.get("@id")) or _url(members.get("id")) or _url(target)
    return _Item(url, _seconds(duration, "duration"), statement)


def _event_id(event: Json) -> Any:
    """The id of an event, without the URN scheme if it has one."""
    value = event.get("id")
    return value.removeprefix("urn:uuid:") if isinstance(value, str) else value


def page_view(
    report: CallbackReport,
    launch: Launch,
    *,
    cap: int,
    counts_as_view: bool,
    reuses_id: bool = False,
) -> PageView:
    """The page view of a report, with at most `cap` seconds."""
    seconds = DEFAULT_SECONDS if report.seconds is None else report.seconds
    return PageView(
        launch.tool,
        launch.user,
        launch.course,
        report.url,
        report.seconds,
        min(seconds, cap),
        counts_as_view,
        reuses_id,
    )


def statement(report: CallbackReport, launch: Launch, home_page: str) -> Json:
    """The statement of a report without an id, valid for any body.

    The actor is the user of the launch. A report without a page is about the tool.
    """
    minimal = _minimal(report, launch, home_page)
    additions = [item for item in _additions(report, minimal) if item[1] is not None]
    complete = minimal
    for path, value in additions:
        complete = _put(complete, path, value)
    if not statement_violations(complete, "1.0.3"):
        return complete
    valid = minimal
    for path, value in additions:
        extended = _put(valid, path, value)
        valid = valid if statement_violations(extended, "1.0.3") else extended
    return valid


def reported_id(report: CallbackReport) -> str | None:
    """The `id` in the body; None unless it is a UUID."""
    value = report.statement.get("id")
    return str(value) if is_uuid(value) else None


def has_id(report: CallbackReport) -> bool:
    """Whether the body has an `id`, a UUID or not, so that a retry can be recognized."""
    return report.statement.get("id") not in (None, "")


def retry_key(report: CallbackReport, launch: Launch) -> bytes:
    """Equal for reports of one launch with the same id and the same content."""
    try:
        content = orjson.dumps(report.body, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # too deep
        content = report.text
    return orjson.dumps([launch.user, launch.course]) + content


def launch_id(statement_id: str, launch: Launch) -> str:
    """The id of a report whose own id is no UUID, or stored already for another launch."""
    return derived_uuid("callback", launch.tool, launch.user, launch.course, statement_id.lower())


def is_from_launch(stored: Json, launch: Launch) -> bool:
    """Whether a stored statement is a report of the same user, course and tool."""
    extensions = _object(_object(stored.get("context")).get("extensions"))
    return bool(extensions.get(LAUNCH) == _launch_extension(launch))


def _launch_extension(launch: Launch) -> Json:
    return {"tool": launch.tool, "user": launch.user, "course": launch.course}


def _minimal(report: CallbackReport, launch: Launch, home_page: str) -> Json:
    """The statement with only page and time of the body."""
    url = report.url or tool_iri(home_page, launch.tool)
    if not is_iri(url):
        url = f"{home_page}/contents/{quote(url, safe='')}"
    course = {"id": course_iri(home_page, launch.course), "definition": {"type": COURSE}}
    minimal: Json = {
        "actor": {"objectType": "Agent", "account": {"homePage": home_page, "name": launch.user}},
        "verb": INTERACTED,
        "object": {"objectType": "Activity", "id": url},
        "context": {
            "contextActivities": {
                "parent": [course],
                "grouping": [{"id": tool_iri(home_page, launch.tool)}],
            },
            "extensions": {LAUNCH: _launch_extension(launch)},
        },
    }
    if report.seconds is not None:
        minimal["result"] = {"duration": f"PT{report.seconds}S"}
    return minimal


def _additions(report: CallbackReport, minimal: Json) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Pairs of path and value that the body adds; each is validated independently."""
    statement = report.statement
    verb, result, context = (_object(statement.get(name)) for name in ("verb", "result", "context"))
    if "id" in verb:
        yield ("verb",), {"id": verb["id"]}
        if "display" in verb:
            yield ("verb",), {"id": verb["id"], "display": verb["display"]}
    yield ("object", "definition"), _object(statement.get("object")).get("definition")
    for name in _RESULT:
        yield ("result", name), result.get(name)
    for name in _CONTEXT:
        yield ("context", name), context.get(name)
    own = minimal["context"]
    activities = _object(context.get("contextActivities"))
    for role in CONTEXT_ROLES.keys() & activities.keys():
        combined = [*own["contextActivities"].get(role, ()), *as_list(activities[role])]
        yield ("context", "contextActivities", role), combined
    extensions = _object(context.get("extensions"))
    yield ("context", "extensions"), {**extensions, **own["extensions"]}
    yield ("timestamp",), statement.get("timestamp")
    yield ("context", "extensions", ORIGINAL), report.text.decode()
    yield ("context", "extensions", ORIGINAL), report.body


def _put(node: Json, path: tuple[str, ...], value: Any) -> Json:
    """A copy of the node with the value at the path."""
    name, *rest = path
    return {**node, name: _put(node.get(name, {}), tuple(rest), value) if rest else value}


def _url(value: object) -> str:
    """The page; empty if there is none that can be stored."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        return ""
    return value


def _seconds(value: object, name: str) -> int | None:
    try:
        return None if value is None else durations.seconds(value)
    except InvalidDuration as error:
        raise InvalidDuration(f"{name} {error}.") from None


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
