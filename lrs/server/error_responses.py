"""Responses that the HTTP protocol writes itself, as bytes."""

from __future__ import annotations

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from lrs.api import problem_details
from lrs.errors import (
    BadRequest,
    LRSError,
    Overloaded,
    RequestHeaderFieldsTooLarge,
    RequestTimeout,
)
from lrs.server.load_shedding import overloaded

MAX_HEADER_BYTES = 65_536


def _body(error: LRSError) -> bytes:
    return orjson.dumps(problem_details.problem(error))


def _header(error: LRSError, **extra: str) -> bytes:
    headers = {
        **error.headers,
        "content-type": problem_details.MEDIA_TYPE,
        "content-length": len(_body(error)),
        **extra,
    }
    lines = "".join(f"{name.lower()}: {value}\r\n" for name, value in headers.items())
    return STATUS_LINE[error.status] + lines.encode() + b"\r\n"


def _closing_response(error: LRSError) -> bytes:
    return _header(error, connection="close") + _body(error)


OVERLOADED_BODY = _body(overloaded())
OVERLOADED_HEADER = _header(overloaded())
OVERLOADED_HEADER_CLOSE = _header(overloaded(), connection="close")
MALFORMED_REQUEST = _closing_response(BadRequest("The request is not valid HTTP."))
HEADER_TOO_LARGE = _closing_response(
    RequestHeaderFieldsTooLarge(
        f"The header fields or the trailers exceed {MAX_HEADER_BYTES} bytes."
    )
)
INVALID_HOST = _closing_response(
    BadRequest("The request must have one Host header field with a valid host.")
)
UNSUPPORTED_TRANSFER_ENCODING = _closing_response(
    BadRequest("The only supported Transfer-Encoding is chunked, once, in HTTP/1.1.")
)
REQUEST_TIMEOUT = _closing_response(
    RequestTimeout("The request was not complete in time, or arrived too slowly.")
)
EVICTED = _closing_response(
    overloaded("The server is at its limit of connections or of unauthenticated requests")
)
TOO_MANY_CONNECTIONS = _closing_response(
    Overloaded("Too many connections.", headers={"Retry-After": "1"})
)
