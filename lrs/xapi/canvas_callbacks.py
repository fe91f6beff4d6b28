"""What a tool reports through a callback, and the xAPI statement that it stands for.

Of an xAPI callback `object.id` and `result.duration` count; of a Caliper one the ViewEvent's
`object.@id` and `duration`. All else that is valid xAPI is kept where it stands, and the whole body
beside it, whatever it holds. Statements follow xAPI 1.0.3, whose rules hold in 2.0 as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

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


class MissingObjectId(ValueError):
    """The body does not say what was viewed."""


@dataclass(frozen=True, slots=True)
class PageView:
    """What a callback counts for. `seconds` is None where it tells no duration.

    `interaction_seconds` is what the page view shows; without `viewed`, there is none.
    """

    tool: str
    user: str
    course: str
    url: str
    seconds: int | None
    interaction_seconds: int
    viewed: bool


@dataclass(frozen=True, slots=True)
class CallbackReport:
    """What a body tells: the page, the time spent on it (seconds, or None), and the body itself.

    `told` is the body as a statement, as far as it goes; `text` as it was sent.
    """

    url: str
    seconds: int | None
    told: Json
    body: Json
    text: bytes


def parse_xapi(value: Any, text: bytes) -> CallbackReport:
    """Reads the body of an xAPI callback. Raises MissingObjectId and InvalidDuration."""
    body = _object(value)
    url = _url(_object(body.get("object")).get("id"), "object.id")
    given = _object(body.get("result")).get("duration")
    return CallbackReport(url, _seconds(given, "result.duration"), body, body, text)


def parse_caliper(value: Any, text: bytes) -> CallbackReport | None:
    """Reads the body of a Caliper callback; None for any event but a ViewEvent.

    Raises MissingObjectId and InvalidDuration.
    """
    body = _object(value)
    if body.get("@type") != VIEW_EVENT:
        return None
    url = _url(_object(body.get("object")).get("@id"), "object.@id")
    given = body.get("duration")
    told = {
        "id": str(body.get("id")).removeprefix("urn:uuid:"),
        "timestamp": body.get("eventTime"),
        "result": {} if given is None else {"duration": given},
    }
    return CallbackReport(url, _seconds(given, "duration"), told, body, text)


def page_view(report: CallbackReport, launch: Launch, *, cap: int, viewed: bool) -> PageView:
    """What the report counts for; no page view shows more than `cap` seconds."""
    shown = DEFAULT_SECONDS if report.seconds is None else report.seconds
    return PageView(
        launch.tool, launch.user, launch.course, report.url, report.seconds, min(shown, cap), viewed
    )


def statement(
    report: CallbackReport, launch: Launch, home_page: str, statement_id: str | None
) -> Json:
    """The statement that the report stands for, which is valid whatever the body is.

    Its actor is the launch's user. It has an id only if one is given: see `own_id`.
    """
    made = _bare(report, launch, home_page)
    if statement_id:
        made["id"] = statement_id
    additions = [each for each in _additions(report, made) if each[1] is not None]
    fullest = made
    for path, value in additions:
        fullest = _put(fullest, path, value)
    if not statement_violations(fullest, "1.0.3"):
        return fullest
    for path, value in additions:
        fuller = _put(made, path, value)
        made = made if statement_violations(fuller, "1.0.3") else fuller
    return made


def reported_id(report: CallbackReport) -> str | None:
    """The id that the body gives itself, if it is one."""
    given = report.told.get("id")
    return str(given) if is_uuid(given) else None


def launch_id(statement_id: str, launch: Launch) -> str:
    """The id under which a launch's report is kept where its own is another one's already."""
    return derived_uuid("callback", launch.tool, launch.user, launch.course, statement_id.lower())


def is_from_launch(stored: Json, launch: Launch) -> bool:
    """Whether a stored statement was reported for the same user, course and tool."""
    extensions = _object(_object(stored.get("context")).get("extensions"))
    return bool(extensions.get(LAUNCH) == _told(launch))


def _told(launch: Launch) -> Json:
    return {"tool": launch.tool, "user": launch.user, "course": launch.course}


def _bare(report: CallbackReport, launch: Launch, home_page: str) -> Json:
    """The statement with nothing in it of what the body says, but for the page and the time."""
    url = report.url
    if not is_iri(url):
        url = f"{home_page}/contents/{quote(url, safe='')}"
    course = {"id": course_iri(home_page, launch.course), "definition": {"type": COURSE}}
    made: Json = {
        "actor": {"objectType": "Agent", "account": {"homePage": home_page, "name": launch.user}},
        "verb": INTERACTED,
        "object": {"objectType": "Activity", "id": url},
        "context": {
            "contextActivities": {
                "parent": [course],
                "grouping": [{"id": tool_iri(home_page, launch.tool)}],
            },
            "extensions": {LAUNCH: _told(launch)},
        },
    }
    if report.seconds is not None:
        made["result"] = {"duration": f"PT{report.seconds}S"}
    return made


def _additions(report: CallbackReport, bare: Json) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What the body adds, by place, each part so small that a bad one takes no good one along."""
    told = report.told
    verb, result, context = (_object(told.get(name)) for name in ("verb", "result", "context"))
    if "id" in verb:
        yield ("verb",), {"id": verb["id"]}
        if "display" in verb:
            yield ("verb",), {"id": verb["id"], "display": verb["display"]}
    yield ("object", "definition"), _object(told.get("object")).get("definition")
    for name in _RESULT:
        yield ("result", name), result.get(name)
    for name in _CONTEXT:
        yield ("context", name), context.get(name)
    ours = bare["context"]
    activities = _object(context.get("contextActivities"))
    for role in CONTEXT_ROLES.keys() & activities.keys():
        together = [*ours["contextActivities"].get(role, ()), *as_list(activities[role])]
        yield ("context", "contextActivities", role), together
    given = _object(context.get("extensions"))
    yield ("context", "extensions"), {**given, **ours["extensions"]}
    yield ("timestamp",), told.get("timestamp")
    yield ("context", "extensions", ORIGINAL), report.text.decode()
    yield ("context", "extensions", ORIGINAL), report.body


def _put(node: Json, path: tuple[str, ...], value: Any) -> Json:
    """A copy of the node with the value at that place."""
    name, *rest = path
    return {**node, name: _put(node.get(name, {}), tuple(rest), value) if rest else value}


def _url(given: object, name: str) -> str:
    if not isinstance(given, str) or not given or "\0" in given:
        raise MissingObjectId(f"{name} is required: the URL of the page that was viewed.")
    return given


def _seconds(given: object, name: str) -> int | None:
    try:
        return None if given is None else durations.seconds(given)
    except InvalidDuration as error:
        raise InvalidDuration(f"{name} {error}.") from None


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
