"""Filters of the templates: times, ages, numbers, sizes, JSON, plots."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from markupsafe import Markup, escape

_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"))
_NONE = "\N{EN DASH}"
_UNITS = ("kB", "MB", "GB", "TB", "PB")


def time(text: str | None) -> Markup | str:
    """A time of JSON as seconds in UTC; an empty one is a dash."""
    if not text:
        return _NONE
    label = datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return Markup('<time datetime="{}">{}</time>').format(text, label)


def age(text: str | None) -> Markup | str:
    """How long ago a time is, such as `3 h ago`, with the time as a tooltip."""
    if not text:
        return "never"
    moment = datetime.fromisoformat(text).astimezone(UTC)
    seconds = (datetime.now(UTC) - moment).total_seconds()
    if seconds < -5:
        label = f"in {duration(-seconds)}"
    else:
        label = "just now" if seconds < 5 else f"{duration(seconds)} ago"
    exact = moment.strftime("%Y-%m-%d %H:%M:%S UTC")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(text, exact, label)


def until(text: str | None) -> str:
    """How long it is until a time, such as `in 3 min`; one that has passed is now."""
    if not text:
        return _NONE
    seconds = (datetime.fromisoformat(text) - datetime.now(UTC)).total_seconds()
    return "now" if seconds < 1 else f"in {duration(seconds)}"


def span(times: tuple[str, str | None]) -> float:
    """The seconds between two times; 0 if the second one is missing."""
    begin, end = times
    if not end:
        return 0.0
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


def duration(seconds: float) -> str:
    """Such as `3 h`, in the largest unit of which there is one."""
    for size, unit in _STEPS:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def number(value: float | None) -> str:
    """With a narrow space for thousands."""
    return _NONE if value is None else f"{value:,}".replace(",", "\u202f")


def size(value: int | None) -> str:
    """Bytes in a decimal unit."""
    if value is None:
        return _NONE
    if value < 1000:
        return f"{value} B"
    power = min(len(str(value)) - 1, 3 * len(_UNITS)) // 3
    return f"{value / 1000**power:.3g} {_UNITS[power - 1]}"


def pretty(value: Any) -> str:
    """Indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def pretty_text(text: str) -> str:
    """Indented JSON of a JSON text; another text as it is."""
    try:
        return pretty(json.loads(text))
    except ValueError:
        return text


def segment(text: object) -> str:
    """One segment of a path."""
    return quote(str(text), safe="")


def parameters(**values: object) -> str:
    """A query string with `?`, without empty values."""
    kept = {name: value for name, value in values.items() if value not in (None, "")}
    return f"?{urlencode(kept)}" if kept else ""


def without(query: dict[str, str], *names: str) -> str:
    """The query string without some parameters."""
    dropped = (*names, "cursor")
    return parameters(**{name: value for name, value in query.items() if name not in dropped})


def bars(values: Sequence[float], other: Sequence[float] = ()) -> Markup:
    """An SVG of bars; `other` are stacked on top. Attributes and classes only: no inline style."""
    width, height = 6, 32
    totals = [a + b for a, b in zip(values, other or [0] * len(values), strict=True)]
    top = max(totals, default=0) or 1
    parts = []
    for index, value in enumerate(values):
        parts.append(_bar("stored", index * width, height, value / top * height))
        if other and other[index]:
            base = height - value / top * height
            # A refused item is visible beside a million stored ones.
            parts.append(_bar("refused", index * width, base, max(2, other[index] / top * height)))
    return Markup(
        '<svg class="bars" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">'
        "{}</svg>"
    ).format(max(1, len(values)) * width, height, Markup("").join(parts))


def _bar(kind: str, x: float, bottom: float, height: float) -> Markup:
    top = max(0.0, bottom - height)
    return Markup('<rect class="{}" x="{}" y="{}" width="5" height="{}"/>').format(
        kind, x, round(top, 2), round(bottom - top, 2)
    )


def shell(text: str) -> str:
    """An argument of a command line."""
    return shlex.quote(text)


def agent(value: Any) -> str:
    """The name or identifier of an agent or group in a statement."""
    if not isinstance(value, dict):
        return _NONE
    account = value.get("account")
    named = account.get("name") if isinstance(account, dict) else None
    text = value.get("name") or str(value.get("mbox", "")).removeprefix("mailto:") or named
    return str(text or value.get("openid") or value.get("mbox_sha1sum") or "a group")


def agent_query(value: Any) -> str:
    """The `agent` parameter that finds the statements of an agent; empty for a group of members."""
    if not isinstance(value, dict):
        return ""
    kept = {
        name: value[name]
        for name in ("objectType", "mbox", "mbox_sha1sum", "openid", "account")
        if name in value
    }
    return json.dumps(kept, separators=(",", ":")) if set(kept) - {"objectType"} else ""


def title(value: Any) -> str:
    """A verb or activity by its name in some language, else the end of its IRI."""
    if not isinstance(value, dict):
        return _NONE
    definition = value.get("definition")
    names = value.get("display") or (definition or {}).get("name") or {}
    preferred = [names[language] for language in ("en", "en-US", "en-GB") if language in names]
    name = (preferred or [*names.values(), ""])[0]
    iri = str(value.get("id", ""))
    return str(name or iri.rstrip("/").rpartition("/")[2] or iri)


def short(text: str, length: int = 60) -> Markup | str:
    """A long IRI or id with its middle left out; the whole is a tooltip."""
    if len(text) <= length:
        return text
    shown = f"{text[: length // 2]}…{text[-(length // 2 - 1) :]}"
    return Markup('<span title="{}">{}</span>').format(text, shown)


def identity_fields(identity: str) -> dict[str, str]:
    """The identifier, and the home page of an account, of an identity such as `mbox mailto:…`."""
    kind, _, value = identity.partition(" ")
    if kind == "account":
        home_page, _, name = value.partition(" ")
        return {"identifier": name, "home_page": home_page}
    return {"identifier": value.removeprefix("mailto:")}


def identity_agent(identity: str) -> str:
    """The `agent` parameter that finds the statements of an identity such as `mbox mailto:…`."""
    kind, _, value = identity.partition(" ")
    member: Any = value
    if kind == "account":
        home_page, _, name = value.partition(" ")
        member = {"homePage": home_page, "name": name}
    return json.dumps({kind: member}, separators=(",", ":"))


def identity(text: str) -> str:
    """An identity without its kind where the text tells it."""
    kind, _, value = text.partition(" ")
    if kind == "account":
        home_page, _, name = value.partition(" ")
        return f"{name} at {home_page}"
    return value.removeprefix("mailto:") or text


FILTERS = {
    "time": time,
    "age": age,
    "duration": duration,
    "until": until,
    "span": span,
    "number": number,
    "size": size,
    "pretty": pretty,
    "pretty_text": pretty_text,
    "segment": segment,
    "shell": shell,
    "agent": agent,
    "agent_query": agent_query,
    "title_of": title,
    "identity": identity,
    "short": short,
    "identity_agent": identity_agent,
    "identity_fields": identity_fields,
}
GLOBALS = {"parameters": parameters, "without": without, "bars": bars, "escape": escape}
