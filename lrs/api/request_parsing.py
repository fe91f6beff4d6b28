"""Parsing of requests: headers, path, query and body, with their limits."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection
from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.types import Message, Scope

from lrs.api import time_limit
from lrs.api.request_record import record_of
from lrs.api.services import Services
from lrs.errors import (
    BadRequest,
    InvalidParameter,
    TooLarge,
    UnsupportedContentEncoding,
    UnsupportedMediaType,
    UnsupportedVersion,
    Violation,
)
from lrs.observability.server_timing import stage
from lrs.xapi import query_params, strict_json
from lrs.xapi.validation import Version

VERSION_HEADER = "X-Experience-API-Version"

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

# Some clients send the charset as Content-Encoding.
_NO_ENCODING = frozenset({"identity", "utf-8", "utf8"})

_MAX_RECORDED_BYTES = 16_384
"""The beginning of a body that the ledger gets if the request as a whole is refused."""

_VERSIONS = re.compile(r"1\.0(\.[!-~]*)?|2\.0(\.[0-9]+)?")
_DIGITS = re.compile("[0-9]{1,18}")

_DRY_RUN_PARSERS: dict[str, query_params.Parser] = {"validate": query_params.boolean}


def services(request: Request) -> Services:
    value: Services = request.scope["services"]
    return value


def header(scope: Scope, name: bytes) -> str | None:
    """The first value of a header, without surrounding blanks; its name is in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1").strip()
    return None


def raw_path(scope: Scope) -> str:
    """The path as sent, percent-encoded."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw.decode("latin-1")


def organization(request: Request) -> str | None:
    """The organization in the path, if any. Raises InvalidParameter."""
    name: str | None = request.path_params.get("organization")
    if name is not None and not (name.isprintable() and len(name) <= 255):
        detail = "must be 1 to 255 printable characters"
        raise InvalidParameter(
            f"The organization in the path {detail}.",
            violations=[Violation("organization", detail, "Partner API")],
        )
    return name


def query_parameters(request: Request) -> list[tuple[str, str]]:
    """The query parameters in their order. Raises InvalidParameter if they are not UTF-8."""
    return parse_query(request.scope["query_string"])


def parse_query(query_string: bytes) -> list[tuple[str, str]]:
    """The parameters of a query string in their order. Raises InvalidParameter."""
    if not query_string:
        return []
    try:
        return parse_qsl(query_string.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise InvalidParameter("The query parameters are not UTF-8.") from None


def is_dry_run(request: Request) -> bool:
    """The value of `validate`, the only parameter. Raises InvalidParameter."""
    parameters = query_parameters(request)
    if not parameters:
        return False
    values = query_params.parse(parameters, _DRY_RUN_PARSERS, section="Partner API")
    return bool(values.get("validate", False))


def required_version(request: Request) -> Version:
    """The xAPI version that the request names (xAPI 1.0.3 Communication 3.3).

    Raises UnsupportedVersion.
    """
    sent = header(request.scope, b"x-experience-api-version")
    if sent is None:
        raise UnsupportedVersion(f"The header {VERSION_HEADER} is missing.")
    return _parse_version(sent)


def optional_version(request: Request) -> Version | None:
    """The xAPI version that the request names, if any, also as Percipio's X-Experience-API.

    Raises UnsupportedVersion.
    """
    scope = request.scope
    sent = header(scope, b"x-experience-api-version") or header(scope, b"x-experience-api")
    return None if sent is None else _parse_version(sent)


def _parse_version(sent: str) -> Version:
    if version := supported_version(sent):
        return version
    raise UnsupportedVersion(f"xAPI {sent[:20]} is not supported. Send 1.0.3 or 2.0.0.")


def supported_version(text: str) -> Version | None:
    """The latest patch of a version 1.0.x or 2.0.x, `1.0` and `2.0` included; None for others.

    Any text after `1.0.` counts, as in the version of a statement (xAPI 1.0.3 Data 2.4.10).
    """
    if _VERSIONS.fullmatch(text) is None:
        return None
    return "1.0.3" if text.startswith("1") else "2.0.0"


def media_type(request: Request) -> str:
    """The media type of the body in lower case, without parameters."""
    sent = header(request.scope, b"content-type") or ""
    return JSON if sent == JSON else sent.partition(";")[0].strip().lower()


def require_json(request: Request) -> None:
    """Raises UnsupportedMediaType unless the media type is JSON."""
    if media_type(request) != JSON:
        sent = header(request.scope, b"content-type") or ""
        raise UnsupportedMediaType(f"The Content-Type must be {JSON}, not {sent!r}.")


async def read_body(request: Request, limit: int, codings: Collection[str] = ()) -> bytes:
    """The body as sent, of at most `limit` bytes. Its content coding must be one of `codings`.

    Raises TooLarge, UnsupportedContentEncoding, Overloaded.
    """
    _require_acceptable_body(request.scope, limit, codings)
    chunks: list[bytes] = []
    size, more = 0, True
    time_limit.suspend(request.scope)
    while more:
        chunk, more = _chunk(await request.receive())
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
    time_limit.restart(request.scope)
    record_of(request.scope).body_size = size
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def body_chunks(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body in parts as they arrive. Raises the same errors as `read_body`."""
    _require_acceptable_body(request.scope, limit)
    size, more = 0, True
    time_limit.suspend(request.scope)
    while more:
        chunk, more = _chunk(await request.receive())
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        yield chunk
    time_limit.restart(request.scope)


def content_coding(scope: Scope, codings: Collection[str] = ()) -> str:
    """The content coding of the body in lower case; empty for none (RFC 9110 8.4).

    Raises UnsupportedContentEncoding unless it is one of `codings`.
    """
    sent = header(scope, b"content-encoding")
    if not sent:
        return ""
    names = [name.strip() for name in sent.lower().split(",")]
    applied = [name.removeprefix("x-") for name in names if name and name not in _NO_ENCODING]
    if not applied:
        return ""
    if len(applied) > 1 or applied[0] not in codings:
        accepted = ", ".join((*codings, "identity"))
        raise UnsupportedContentEncoding(
            f"The Content-Encoding {sent[:80]!r} is not supported; expected one of: {accepted}.",
            headers={"Accept-Encoding": accepted},
        )
    return applied[0]


def _require_acceptable_body(scope: Scope, limit: int, codings: Collection[str] = ()) -> None:
    """Raises UnsupportedContentEncoding, and TooLarge for a body that is declared larger."""
    content_coding(scope, codings)
    declared = header(scope, b"content-length") or ""
    if _DIGITS.fullmatch(declared) and int(declared) > limit:
        raise too_large(limit)


def _chunk(message: Message) -> tuple[bytes, bool]:
    """The part of the body in a message, and whether more follows. Raises BadRequest."""
    if message["type"] == "http.disconnect":
        raise BadRequest("The connection was closed before the body was complete.")
    return message.get("body", b""), message.get("more_body", False)


def too_large(limit: int) -> TooLarge:
    # The connection stays open and the rest of the body is discarded: a client that is still
    # sending would not read a response on a closed connection.
    return TooLarge(f"The body is larger than {limit} bytes.")


def split_items(request: Request, text: bytes) -> tuple[list[bytes], bool]:
    """The items of a JSON text, and whether it is a batch. Raises BadRequest and TooLarge."""
    record = record_of(request.scope)
    record.body, record.body_size = text[:_MAX_RECORDED_BYTES], len(text)
    with stage("parse"):
        return strict_json.split_batch(text, services(request).settings.max_batch_items)
