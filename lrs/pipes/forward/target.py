"""The target of a forwarding pipe: its URL, the versions it speaks, and statements it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from lrs.pipes.client.endpoint import Endpoint
from lrs.pipes.client.responses import Response
from lrs.pipes.forward.answers import Answer
from lrs.pipes.forward.payloads import VERSION_1, VERSION_2, ForwardRequest
from lrs.pipes.identity import HEADER, origin_of
from lrs.xapi import equality

_MAX_ANSWER_BYTES = 8_388_608
_MAX_STATEMENT_BYTES = 33_554_432


def statements_url(url: str) -> str:
    """The URL of the statements resource, from that of the endpoint or of the resource itself."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    if not path.endswith("/statements"):
        path = f"{path}/statements"
    return parts._replace(path=path).geturl()


async def send(endpoint: Endpoint, url: str, request: ForwardRequest) -> Answer:
    """The answer of the target, or that there is none.

    Raises httpx.HTTPError if no request is sent: for a refused address or a missing access token.
    """
    try:
        response = await endpoint.request(
            "POST",
            url,
            headers=request.headers,
            content=request.content,
            max_bytes=_MAX_ANSWER_BYTES,
        )
    except httpx.ConnectTimeout as error:
        return Answer(None, _reason(error))
    except httpx.TimeoutException as error:
        return Answer(None, _reason(error), timed_out=True)
    except httpx.NetworkError as error:
        if type(error) in (httpx.ConnectError, httpx.ReadError, httpx.WriteError, httpx.CloseError):
            return Answer(None, _reason(error))
        raise
    except httpx.RemoteProtocolError as error:
        return Answer(None, _reason(error))
    return Answer(response.status, response.content, response.headers)


@dataclass(frozen=True, slots=True)
class Target:
    """What the about resource of a target says: its versions, and the origin that it is."""

    versions: tuple[str, ...] = ()
    origin: str | None = None


UNKNOWN = Target()


async def examine(endpoint: Endpoint, identity: str) -> Target:
    """Reads the about resource; `identity` is that of the partner. Raises httpx.HTTPError."""
    about = statements_url(endpoint.url).removesuffix("/statements") + "/about"
    response = await endpoint.request(
        "GET", about, headers={HEADER: identity}, max_bytes=_MAX_ANSWER_BYTES
    )
    if response.status != 200:
        return UNKNOWN
    return Target(_versions(response), origin_of(response.headers.get(HEADER.lower())))


def _versions(response: Response) -> tuple[str, ...]:
    try:
        versions = response.json()["version"]
    except (ValueError, TypeError, KeyError):
        return ()
    if not isinstance(versions, list):
        return ()
    return tuple(version for version in versions if isinstance(version, str))


async def has_equal_statement(endpoint: Endpoint, url: str, statement_id: str, sent: bytes) -> bool:
    """Whether the target has an equal statement under this id, voided or not.

    Raises httpx.HTTPError if it does not answer.
    """
    statement = orjson.loads(sent)
    version = VERSION_2 if str(statement.get("version")).startswith("2.") else VERSION_1
    for parameter in ("statementId", "voidedStatementId"):
        response = await endpoint.request(
            "GET",
            url,
            params={parameter: statement_id},
            headers={"X-Experience-API-Version": version},
            max_bytes=_MAX_STATEMENT_BYTES,
        )
        if response.status == 200:
            return _is_equal(statement, response.content)
        if response.status == 429 or response.status >= 500:
            raise httpx.RemoteProtocolError(
                f"{url} answers {response.status} when statement {statement_id} is read."
            )
    return False


def _is_equal(sent: dict[str, Any], stored: bytes) -> bool:
    try:
        value = orjson.loads(stored)
        return equality.digest(value) == equality.digest(sent)
    except (ValueError, TypeError, KeyError, AttributeError):
        return False


def _reason(error: Exception) -> bytes:
    return f"{type(error).__name__}: {error}".rstrip(": ").encode()
