"""What every face does first: find out who asks, and read a body that is not too large."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.types import Scope

from lrs.api.services import Services
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.errors import (
    BadRequest,
    Forbidden,
    InvalidParameter,
    TooLarge,
    UnsupportedMediaType,
    UnsupportedVersion,
    Violation,
)
from lrs.ingest.model import IngestContext
from lrs.observability.server_timing import stage
from lrs.xapi import strict_json
from lrs.xapi.validation import Version

BEARER = frozenset({"bearer"})
BASIC_OR_BEARER = frozenset({"basic", "bearer"})

VERSION_HEADER = "X-Experience-API-Version"

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

# Some clients take it for the place of the charset.
_NO_CODING = frozenset({"identity", "utf-8", "utf8"})

_VERSIONS = re.compile(r"([12])\.0(\.[0-9]+)?")
_DIGITS = re.compile("[0-9]{1,18}")


def services(request: Request) -> Services:
    found: Services = request.scope["services"]
    return found


def header(scope: Scope, name: bytes) -> str | None:
    """The first value of a header, whose name is given in small letters."""
    for each, value in scope["headers"]:
        if each == name:
            return str(value, "latin-1")
    return None


def raw_path(scope: Scope) -> str:
    """The path as sent, percent-encoded."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw.decode("latin-1")


async def caller(request: Request, schemes: frozenset[str]) -> Caller:
    """Who asks, within its rate. Raises Unauthorized, TokenExpired, TooManyRequests."""
    here = services(request)
    with stage("auth"):
        found = await here.authenticator.authenticate(
            header(request.scope, b"authorization"), schemes
        )
    here.rate_limit.check(found.key)
    return found


async def partner(request: Request) -> Caller:
    """The partner that the path names, if it is the one that asks. Raises Forbidden otherwise."""
    found = await caller(request, BEARER)
    named = request.path_params["partner"]
    if named != found.partner:
        raise Forbidden(f"These credentials are not those of a partner {named!r}.")
    return found


def organization(request: Request) -> str | None:
    """The organization that the path names, if any."""
    named: str | None = request.path_params.get("organization")
    if named is not None and not (named.isprintable() and len(named) <= 255):
        raise InvalidParameter(
            "The organization in the path is not a name of at most 255 printable characters.",
            violations=[
                Violation("organization", "must be 1 to 255 printable characters", "Partner API")
            ],
        )
    return named


def ingest_context(who: Caller, organization: str | None, version: Version | None) -> IngestContext:
    return IngestContext(
        who.partner_id,
        who.partner,
        who.home_page,
        organization,
        who.authority,
        who.authority_key,
        scopes.DEFINE in who.scopes,
        version,
    )


async def body(request: Request, limit: int) -> bytes:
    """The body, read no further than `limit` bytes. Raises TooLarge and UnsupportedMediaType."""
    coding = header(request.scope, b"content-encoding")
    if coding and coding.lower() not in _NO_CODING:
        raise UnsupportedMediaType(
            f"The body is sent in the Content-Encoding {coding[:80]!r}, and only read without one.",
            headers={"Accept-Encoding": "identity"},
        )
    declared = header(request.scope, b"content-length") or ""
    if _DIGITS.fullmatch(declared) and int(declared) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("The body ended before it was complete.")
        chunk, more = message.get("body", b""), message.get("more_body", False)
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(limit: int) -> TooLarge:
    # The connection stays open: closing it on a client that is still sending would cost it the
    # answer. What is left of the body is thrown away as it comes.
    return TooLarge(f"The body is larger than {limit} bytes, and no more are taken.")


async def items(request: Request) -> tuple[list[bytes], bool]:
    """The items of a JSON body, and whether it was a batch. Raises BadRequest and TooLarge."""
    return split(request, await body(request, services(request).settings.max_body_bytes))


def split(request: Request, text: bytes) -> tuple[list[bytes], bool]:
    """The items of a JSON text, and whether it was a batch. Raises BadRequest and TooLarge."""
    with stage("parse"):
        found, is_batch = strict_json.split_batch(text)
    most = services(request).settings.max_batch_items
    if len(found) > most:
        raise TooLarge(f"The batch has {len(found)} items, and at most {most} are taken.")
    return found, is_batch


def parameters(request: Request) -> list[tuple[str, str]]:
    """The parameters in the query, in order. Raises InvalidParameter if they are not UTF-8."""
    return parsed(request.scope["query_string"])


def parsed(query_string: bytes) -> list[tuple[str, str]]:
    """The same, of the query alone."""
    try:
        return parse_qsl(query_string.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise InvalidParameter("The parameters are not UTF-8.") from None


def media_type(request: Request) -> str:
    """What the body is said to be, in small letters, without parameters."""
    given = header(request.scope, b"content-type") or ""
    return JSON if given == JSON else given.partition(";")[0].strip().lower()


def require_json(request: Request) -> None:
    """Raises UnsupportedMediaType unless the body is said to be JSON."""
    if media_type(request) != JSON:
        given = header(request.scope, b"content-type") or ""
        raise UnsupportedMediaType(f"The Content-Type must be {JSON}, not {given!r}.")


def version(request: Request, *, required: bool) -> Version | None:
    """The xAPI version that the request names (xAPI 1.0.3 Communication 3.3).

    Raises UnsupportedVersion; a missing header is an error only if it is required.
    """
    scope = request.scope
    sent = header(scope, b"x-experience-api-version")
    sent = sent or (None if required else header(scope, b"x-experience-api"))
    if sent is None:
        if required:
            raise UnsupportedVersion(f"The header {VERSION_HEADER} is missing.")
        return None
    if version := supported_version(sent):
        return version
    raise UnsupportedVersion(f"xAPI {sent[:20]} is not supported; 1.0.3 and 2.0.0 are.")


def supported_version(text: str) -> Version | None:
    """The latest patch of a version 1.0.x or 2.0.x, `1.0` and `2.0` included; None for others."""
    match = _VERSIONS.fullmatch(text)
    if match is None:
        return None
    return "1.0.3" if match[1] == "1" else "2.0.0"


def dry_run(request: Request) -> bool:
    """Whether `validate=true` was asked for; no other parameter is taken."""
    if not request.scope["query_string"]:
        return False
    given = request.query_params.multi_items()
    for index, (name, value) in enumerate(given):
        if name != "validate":
            wrong = "is not a parameter of this resource"
        elif value not in ("true", "false"):
            wrong = "must be true or false"
        elif index:
            wrong = "must be given only once"
        else:
            continue
        raise InvalidParameter(
            f"The only parameter here is validate, true or false: {name[:80]!r} {wrong}.",
            violations=[Violation(name, wrong, "Partner API")],
        )
    return given == [("validate", "true")]
