"""Requests to a source: its statements resource, its version, pages, single statements."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import msgspec

from lrs.errors import LRSError
from lrs.pipes.client.endpoint import Endpoint
from lrs.pipes.client.http_dates import http_date
from lrs.pipes.client.responses import Response, ResponseTooLarge
from lrs.pipes.model import PipeError
from lrs.pipes.pull.walk import consistent_through
from lrs.xapi import multipart
from lrs.xapi.multipart import Attachment
from lrs.xapi.timestamps import parse_timestamp

FIXED_RETRY_SECONDS = 900.0
"""After 401, 403, 404 and other answers that somebody has to mend."""

MAX_PAGE_BYTES = 33_554_432
"""Of a page with its attachments; a larger one is requested with fewer statements."""

_REFUSED_PARAMETERS = frozenset({400, 406, 415, 500, 501})
_VERSIONS = ("2.0.0", "1.0.3")


class _Result(msgspec.Struct):
    statements: list[msgspec.Raw]
    more: str | None = None


class _About(msgspec.Struct):
    version: list[str] = []


_result = msgspec.json.Decoder(_Result)
_items = msgspec.json.Decoder(list[msgspec.Raw])
_about = msgspec.json.Decoder(_About)


@dataclass(frozen=True, slots=True)
class SourcePage:
    """Items as sent; `more` as sent, empty at the end; Consistent-Through, if there is one."""

    items: list[bytes]
    more: str
    through: datetime | None
    attachments: Mapping[str, Attachment]


class StaleMore(Exception):
    """The source does not know a `more` any longer."""


class NoAttachments(Exception):
    """The source does not send a page with attachments, or sends an invalid one."""

    def __init__(self, error: PipeError) -> None:
        super().__init__(error.reason)
        self.error = error


def headers(version: str) -> dict[str, str]:
    return {"X-Experience-API-Version": version, "Accept": "application/json, multipart/mixed"}


async def find_statements_url(endpoint: Endpoint, version: str) -> str:
    """The statements resource, configured as it is, or as its base. Raises PipeError."""
    first: Response | None = None
    for url in spellings(endpoint.url):
        response = await endpoint.request(
            "GET", url, params={"limit": "1"}, headers=headers(version)
        )
        if response.status == 200 and is_result(response):
            return url
        first = first if first and first.status != 404 else response
    assert first is not None  # noqa: S101 - there is at least one spelling
    raise failure(first, "has no statements resource")


def spellings(url: str) -> list[str]:
    """The URLs that a configured one may mean, the likeliest first."""
    base, mark, query = url.partition("?")
    base = base.rstrip("/")
    if base.endswith("/statements"):
        paths = [base, f"{base}/"]
    else:
        paths = [f"{base}/statements", f"{base}/statements/", base]
    return [item + mark + query for item in paths]


async def find_version(endpoint: Endpoint, configured: str) -> str:
    """The configured version, or the highest that `/about` names, else 1.0.3."""
    if configured != "auto":
        return configured
    base, _, _ = spellings(endpoint.url)[0].partition("?")
    about = base.removesuffix("/statements") + "/about"
    response = await endpoint.request("GET", about, headers={"Accept": "application/json"})
    try:
        offered = _about.decode(response.content).version if response.status == 200 else []
    except msgspec.DecodeError:
        offered = []
    return next((version for version in _VERSIONS if _offers(offered, version)), "1.0.3")


def _offers(offered: list[str], version: str) -> bool:
    return any(item == version or item == version[:3] for item in offered)


async def fetch_page(
    endpoint: Endpoint,
    url: str,
    version: str,
    params: Mapping[str, str] | None = None,
    *,
    is_more: bool = False,
) -> SourcePage:
    """A page of statements, requested with its attachments if `params` say so.

    Raises PipeError; StaleMore if `is_more`; NoAttachments if a page without them may be sent;
    ResponseTooLarge.
    """
    response = await endpoint.request(
        "GET", url, params=params, headers=headers(version), max_bytes=MAX_PAGE_BYTES
    )
    if is_more and response.status in (400, 404, 410):
        raise StaleMore(response.status)
    if response.status != 200:
        error = failure(response, "returns no statements")
        if params and "attachments" in params and response.status in _REFUSED_PARAMETERS:
            raise NoAttachments(error)
        raise error
    try:
        text, attachments = _parts(response)
    except PipeError as error:
        if is_more or (params and "attachments" in params):
            raise NoAttachments(error) from None
        raise
    try:
        result = _decode(text)
    except msgspec.DecodeError as error:
        raise PipeError(
            f"{endpoint.origin} returns no StatementResult: {error}.",
            retry_seconds=FIXED_RETRY_SECONDS,
        ) from None
    return SourcePage(
        [bytes(item) for item in result.statements],
        result.more or "",
        consistent_through(
            _time(response.headers.get("x-experience-api-consistent-through")),
            http_date(response.headers.get("date", "")),
        ),
        attachments,
    )


async def fetch_statement(
    endpoint: Endpoint, url: str, version: str, statement_id: str, *, voided: bool = False
) -> tuple[bytes, Mapping[str, Attachment]] | None:
    """A statement with its attachments, or without them if they cannot be read.

    None if the source does not return it.

    Raises PipeError if the source is not available.
    """
    params = {"voidedStatementId" if voided else "statementId": statement_id}
    for chosen in ({**params, "attachments": "true"}, params):
        try:
            response = await endpoint.request("GET", url, params=chosen, headers=headers(version))
        except ResponseTooLarge:
            continue
        if response.status in (404, 405):
            return None
        if response.status == 200:
            with suppress(PipeError):
                return _parts(response)
        elif response.status not in _REFUSED_PARAMETERS or response.status >= 500:
            raise failure(response, "does not return a statement")
    return None


def failure(response: Response, sentence: str) -> PipeError:
    """The error of a response: when it is tried again."""
    reason = f"{response.url.partition('?')[0]} {sentence}: {response.status}"
    text = response.excerpt()
    error = PipeError(f"{reason}, {text}" if text else f"{reason}.")
    if response.status in (429, 503):
        error.retry_seconds = response.retry_after
    elif response.status < 500 and response.status != 408:
        error.retry_seconds = FIXED_RETRY_SECONDS
    return error


def with_prefix(endpoint_url: str, url: str) -> str | None:
    """The URL with the beginning of the configured path, which a proxy has removed; or None.

    Such as `/lrs` for the endpoint `/lrs/xapi/statements` and a `more` of `/xapi/statements?…`.
    """
    parts, base = urlsplit(url), urlsplit(endpoint_url)
    segments = base.path.strip("/").split("/")
    path = parts.path.strip("/").split("/")
    if path[: len(segments)] == segments:
        return None
    for start in range(1, len(segments)):
        common = segments[start:]
        if path[: len(common)] == common:
            prefix = "/" + "/".join(segments[:start])
            return parts._replace(path=prefix + parts.path).geturl()
    return None


def _decode(text: bytes) -> _Result:
    if text.lstrip()[:1] == b"[":
        return _Result(_items.decode(text))
    return _result.decode(text)


def is_result(response: Response) -> bool:
    """Whether the body is a StatementResult."""
    try:
        _decode(_parts(response)[0])
    except (msgspec.DecodeError, PipeError):
        return False
    return True


def _parts(response: Response) -> tuple[bytes, Mapping[str, Attachment]]:
    if response.content_type != "multipart/mixed":
        return response.content, {}
    try:
        return multipart.parse(response.content, response.headers["content-type"])
    except LRSError as error:
        raise PipeError(
            f"{response.url.partition('?')[0]} returns an invalid multipart body: {error.detail}",
            retry_seconds=FIXED_RETRY_SECONDS,
        ) from None


def _time(text: str | None) -> datetime | None:
    try:
        return parse_timestamp(text.strip()) if text else None
    except ValueError:
        return None
