"""The form of a pipe: its fields, what is in them, and what an operator has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lrs.admin.pipes import VERSIONS
from lrs.console.learning import agent_of
from lrs.console.pages import Form
from lrs.errors import InvalidParameter, Violation
from lrs.pipes.options import SECTION, Basic, Bearer, Credentials, NoCredentials, OAuth2, Signed

_SECRETS = frozenset({"secret"})


@dataclass(frozen=True, slots=True)
class Field:
    """A field: `kind` is text, number, lines, check or select; `hint` says what an empty one is."""

    name: str
    label: str
    kind: str = "text"
    hint: str = ""
    choices: tuple[str, ...] = ()


OPTIONS: dict[str, tuple[Field, ...]] = {
    "pull": (
        Field("since", "Read what was stored after", hint="all, or 2026-01-31T00:00:00Z"),
        Field("until", "Read what was stored up to, then end", hint="without end"),
        Field("every", "Seconds between polls", "number", "60"),
        Field("overlap", "Seconds that each poll reads again", "number", "300"),
        Field("page", "Statements of one request", "number", "500"),
        Field("rate", "Statements per second, at most", "number", "no maximum"),
        Field("authority", "Authority of the statements", "select", "", ("pipe", "source")),
    ),
    "forward": (
        Field("start", "Send from", hint="now, beginning, or 2026-01-31T00:00:00Z"),
        Field("every", "Seconds between polls", "number", "60"),
        Field("batch", "Statements of one request", "number", "50"),
        Field("rate", "Statements per second, at most", "number", "no maximum"),
        Field("target", "Form", "select", "", ("statements", "track", "webhook")),
        Field("strip", "Remove what needs xAPI 2.0, for a target that speaks 1.0.3", "check"),
    ),
}

FILTERS: dict[str, tuple[Field, ...]] = {
    "pull": (
        Field("verb", "Id of the verb", hint="any"),
        Field("activity", "Id of the activity", hint="any"),
        Field("agent", "Agent: mail address, OpenID or JSON", hint="any"),
        Field("registration", "Registration", hint="any"),
        Field("related_activities", "Related activities too", "check"),
        Field("related_agents", "Related agents too", "check"),
    ),
    "forward": (
        Field("verb", "Ids of verbs, one a line", "lines"),
        Field("activity", "Ids of activities, one a line", "lines"),
        Field("type", "Types of activities, one a line", "lines"),
        Field("organization", "Organizations, one a line", "lines"),
        Field("registration", "Registrations, one a line", "lines"),
        Field("actor_home_page", "Home pages of actors, one a line", "lines"),
        Field("related_activities", "Related activities too", "check"),
    ),
}

CREDENTIALS = {
    "pull": ("basic", "bearer", "oauth2", "none"),
    "forward": ("basic", "bearer", "oauth2", "signed", "none"),
}


def direction_of(text: str) -> str:
    """Raises InvalidParameter."""
    if text not in OPTIONS:
        detail = f"expected pull or forward, found {text[:80]!r}"
        raise InvalidParameter(
            f"direction: {detail}.", violations=[Violation("direction", detail, SECTION)]
        )
    return text


def values_of(pipe: Mapping[str, Any]) -> dict[str, str]:
    """What is in the fields of a pipe, from its JSON. Secrets are not."""
    credentials = pipe["credentials"]
    values = {"url": pipe["url"], "version": pipe["version"]}
    values |= {
        name: credentials[name] for name in ("key", "token_url", "scope") if name in credentials
    }
    for fields, group, stored in _groups(pipe["direction"], pipe):
        values |= {f"{group}.{field.name}": _text(stored.get(field.name)) for field in fields}
    return values


def kept_values(form: Form) -> dict[str, str]:
    """The fields as an operator has sent them, without secrets."""
    return {name: value for name, value in form.items() if name not in _SECRETS}


def changes_of(form: Form, direction: str, before: Mapping[str, str]) -> dict[str, Any]:
    """`options` and `filter` with the members that differ from before; None for an empty field."""
    changes: dict[str, Any] = {"options": {}, "filter": {}}
    for fields, group, _ in _groups(direction, {}):
        for field in fields:
            name = f"{group}.{field.name}"
            text = form.get(name, "").replace("\r\n", "\n").strip()
            if text != before.get(name, ""):
                changes[group][field.name] = _value(field, text)
    if agent := changes["filter"].get("agent"):
        changes["filter"]["agent"] = agent_of(agent)
    return changes


def credentials_of(form: Form) -> Credentials | None:
    """None if the present ones stay. Raises InvalidParameter."""
    kind = form.get("kind", "")
    if not kind:
        return None
    key, secret = form.get("key", "").strip(), form.get("secret", "")
    if kind == "none":
        return NoCredentials()
    if not secret:
        raise _missing("secret", f"the credentials {kind} need a secret")
    if kind == "basic":
        return Basic(key, secret)
    if kind == "bearer":
        return Bearer(secret)
    if kind == "oauth2":
        return OAuth2(form.get("token_url", "").strip(), key, secret, form.get("scope", "").strip())
    if kind == "signed":
        return Signed(secret)
    raise _missing("kind", f"expected {', '.join(CREDENTIALS['forward'])}, found {kind[:80]!r}")


def version_of(form: Form) -> str:
    return form.get("version") or VERSIONS[0]


def _groups(
    direction: str, pipe: Mapping[str, Any]
) -> list[tuple[tuple[Field, ...], str, Mapping[str, Any]]]:
    return [
        (OPTIONS[direction], "options", pipe.get("options", {})),
        (FILTERS[direction], "filter", pipe.get("filter", {})),
    ]


def _text(value: Any) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return "true"
    if isinstance(value, list):
        return "\n".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _value(field: Field, text: str) -> Any:
    if field.kind == "lines":
        return [line.strip() for line in text.splitlines() if line.strip()] or None
    return text or None


def _missing(name: str, detail: str) -> InvalidParameter:
    return InvalidParameter(f"{name}: {detail}.", violations=[Violation(name, detail, SECTION)])
