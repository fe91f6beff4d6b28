"""What operators configure of a pipe, as structs that validate it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args, get_type_hints
from urllib.parse import urlsplit

import httpx
import msgspec
from msgspec import Meta

from lrs.errors import InvalidParameter, Violation
from lrs.xapi.timestamps import parse_timestamp

Struct = TypeVar("Struct", bound=msgspec.Struct)

SECTION = "docs/pipes.md"
"""The rule that a violation names."""

_UNKNOWN_MEMBER = "Object contains unknown field "

Seconds = Annotated[float, Meta(ge=0, le=31_536_000)]


class NoCredentials(msgspec.Struct, frozen=True, tag_field="kind", tag="none"):
    """For a source that anybody may read."""


class Basic(msgspec.Struct, frozen=True, tag_field="kind", tag="basic"):
    """HTTP Basic authentication (RFC 7617)."""

    key: str
    secret: str


class Bearer(msgspec.Struct, frozen=True, tag_field="kind", tag="bearer"):
    """A static token (RFC 6750)."""

    token: str


class OAuth2(msgspec.Struct, frozen=True, tag_field="kind", tag="oauth2"):
    """Client credentials grant (RFC 6749, section 4.4)."""

    token_url: str
    key: str
    secret: str
    scope: str = ""


class Signed(msgspec.Struct, frozen=True, tag_field="kind", tag="signed"):
    """The secret of a webhook, `whsec_` and base64 (Standard Webhooks)."""

    secret: str


Credentials = NoCredentials | Basic | Bearer | OAuth2 | Signed


class PullFilter(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Parameters of the statements resource, sent to the source as they are."""

    verb: str | None = None
    activity: str | None = None
    agent: str | None = None
    registration: str | None = None
    related_activities: bool | None = None
    related_agents: bool | None = None


class PullOptions(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How statements are pulled.

    `every` is the pause after a walk, `overlap` what the next walk reads again, in seconds; `rate`
    the maximum of statements per second; `authority` whose authority statements get: that of the
    `pipe`, or of the `source`.
    """

    since: str | None = None
    until: str | None = None
    every: Annotated[float, Meta(ge=1, le=31_536_000)] = 60.0
    overlap: Seconds = 300.0
    page: Annotated[int, Meta(ge=1, le=10_000)] = 500
    rate: Annotated[float, Meta(gt=0, le=1_000_000)] | None = None
    authority: Literal["pipe", "source"] = "pipe"


class ForwardFilter(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which statements are forwarded: those that match every member, in one of its values.

    `not_from` are keys of credentials, or `pipe NAME`: what they stored is not forwarded.
    """

    verb: tuple[str, ...] = ()
    activity: tuple[str, ...] = ()
    related_activities: bool = False
    type: tuple[str, ...] = ()
    organization: tuple[str, ...] = ()
    registration: tuple[str, ...] = ()
    actor_home_page: tuple[str, ...] = ()
    not_from: tuple[str, ...] = ()


class ForwardOptions(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How statements are forwarded.

    `start` is `now`, `beginning` or a timestamp; `every` the pause when all are sent, in seconds;
    `target` the form: statements, track events, or a webhook.
    """

    start: str = "now"
    every: Annotated[float, Meta(ge=1, le=31_536_000)] = 60.0
    batch: Annotated[int, Meta(ge=1, le=1000)] = 50
    rate: Annotated[float, Meta(gt=0, le=1_000_000)] | None = None
    strip: bool = False
    target: Literal["statements", "track", "webhook"] = "statements"


FILTERS: Mapping[str, type[PullFilter] | type[ForwardFilter]] = {
    "pull": PullFilter,
    "forward": ForwardFilter,
}
OPTIONS: Mapping[str, type[PullOptions] | type[ForwardOptions]] = {
    "pull": PullOptions,
    "forward": ForwardOptions,
}


def decode(kind: type[Struct], values: Mapping[str, Any], name: str = "options") -> Struct:
    """Raises InvalidParameter with the member, what is expected and what was found."""
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(kind, str(error), values, name) from None


def _invalid(
    kind: type[msgspec.Struct], message: str, values: Mapping[str, Any], name: str
) -> InvalidParameter:
    """The error for a member, from msgspec's "Expected `int` >= 1 - at `$.batch`"."""
    detail, _, path = message.replace("`", "").partition(" - at $")
    if detail.startswith(_UNKNOWN_MEMBER):
        path = f".{detail.removeprefix(_UNKNOWN_MEMBER)}"
        detail = f"expected one of {', '.join(kind.__struct_encode_fields__)}"
    member = path.lstrip(".").partition("[")[0]
    detail = detail[:1].lower() + detail[1:]
    if detail.startswith("invalid enum value"):
        detail = f"expected one of {', '.join(get_args(get_type_hints(kind)[member]))}"
    if member in values:
        detail = f"{detail}, found {str(values[member])[:80]!r}"
    pointer = "/".join(filter(None, ("", name, *re.split(r"[.\[\]]+", path))))
    where = f"{name}: {member}" if member else name
    return _at(f"/{pointer}", where, detail)


def encode(value: msgspec.Struct) -> dict[str, Any]:
    encoded: dict[str, Any] = msgspec.to_builtins(value)
    return encoded


def decode_credentials(content: bytes) -> Credentials:
    credentials: Credentials = msgspec.json.decode(content, type=Credentials)
    return credentials


def encode_credentials(credentials: Credentials) -> bytes:
    return msgspec.json.encode(credentials)


def valid_url(url: str, name: str = "URL", pointer: str = "/url") -> str:
    """An absolute http or https URL without user, password and fragment.

    Raises InvalidParameter.
    """
    if detail := _url_error(url):
        raise _at(pointer, name, detail)
    return url.partition("#")[0]


def _url_error(url: str) -> str | None:
    try:
        httpx.URL(url)
        parts = urlsplit(url)
        port = parts.port
    except (ValueError, httpx.InvalidURL) as error:
        return f"{error}, found {url[:80]!r}"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return f"expected an http or https URL, found {url[:80]!r}"
    if parts.username is not None or parts.password is not None:
        return "expected no user and password in the URL"
    if any(character <= " " for character in url):
        return "expected no white space in the URL"
    return None


def check_times(value: PullOptions | ForwardOptions) -> None:
    """Raises InvalidParameter unless the times are timestamps with an offset."""
    if isinstance(value, PullOptions):
        times = {"since": value.since, "until": value.until}
    else:
        times = {"start": None if value.start in ("now", "beginning") else value.start}
    for name, text in times.items():
        try:
            if text is not None:
                parse_timestamp(text)
        except ValueError as error:
            label = "from" if name == "start" else name  # as in the command and the form
            raise _at(f"/options/{name}", label, f"{error}, found {text!r}") from None


def _at(pointer: str, name: str, detail: str) -> InvalidParameter:
    return InvalidParameter(f"{name}: {detail}.", violations=[Violation(pointer, detail, SECTION)])
