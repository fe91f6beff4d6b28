"""The alternate request syntax of 1.0.3 (Communication 1.3): a whole request inside a form.

For browsers that could send nothing but a POST to another origin. `method` in the query names the
method meant; the form holds what would be headers, parameters and content. 2.0 has dropped it.
"""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qsl, quote_plus, unquote_plus, urlencode

from starlette.datastructures import MutableHeaders, QueryParams
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from lrs.api import request_parsing
from lrs.errors import BadRequest, InvalidParameter, MalformedJSON

_HEADERS = {
    name.lower(): name
    for name in (
        "Authorization",
        "X-Experience-API-Version",
        "Content-Type",
        "Content-Length",
        "If-Match",
        "If-None-Match",
        "Accept-Language",
    )
}
# More than there are headers and parameters. Nobody is authenticated yet when a form is read.
_MOST_FIELDS = 100
_MOST_BYTES = 65_536
_CONTENT = b"content="
_OF_THE_FORM = (b"content-type", b"content-length")
_METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "HEAD"})


def is_used(scope: Scope) -> bool:
    """Whether the query of a request names a method."""
    query = scope["query_string"]
    return b"method" in query and "method" in QueryParams(query)


async def unwrap(request: Request) -> Receive:
    """Turn the scope into that of the contained request; returns the source of its body.

    Raises LRSError if the form is invalid. The body is decoded when it is read, after
    authentication: that takes up to 100 ms for a large body.
    """
    pending = [await _unwrap(request)]

    async def receive() -> Message:
        if pending:
            content = await asyncio.to_thread(_decode, pending.pop())
            return {"type": "http.request", "body": content, "more_body": False}
        return await request.receive()  # waits for the disconnect

    return receive


def without_body(send: Send) -> Send:
    """Drop the body of a response to HEAD: the client sent a POST and would wait for a body."""

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(raw=message["headers"])["Content-Length"] = "0"
        else:
            message = {**message, "body": b""}
        await send(message)

    return send_head


async def _unwrap(request: Request) -> bytes:
    """Rewrites the scope, and returns the content that was meant, as it stands in the form."""
    if request.method != "POST":
        raise BadRequest("The alternate request syntax is a POST.")
    parameters = request.query_params.multi_items()
    method = request.query_params["method"]
    if method not in _METHODS:
        raise InvalidParameter("method must be GET, HEAD, PUT, POST or DELETE.")
    if len(parameters) > 1:
        raise InvalidParameter("The alternate request syntax has no parameter beside method.")
    most = request_parsing.services(request).settings.max_body_bytes
    form, content = _form(request, await request_parsing.body(request, most))
    _rewrite(request.scope, method, form, has_content=content is not None)
    if request_parsing.version(request, required=True) != "1.0.3":
        raise BadRequest("xAPI 2.0 has no alternate request syntax.")
    if content is None and method == "PUT":
        raise BadRequest("The form has no content, which a PUT needs.")
    return content or b""


def _form(request: Request, body: bytes) -> tuple[dict[str, str], bytes | None]:
    """The fields, and the content as it stands there, if there is any."""
    if request_parsing.media_type(request) != request_parsing.FORM:
        raise BadRequest(f"The alternate request syntax needs {request_parsing.FORM}.")
    others, contents = _taken_apart(body)
    try:
        pairs = parse_qsl(
            others.decode(), keep_blank_values=True, strict_parsing=bool(others), errors="strict"
        )
    except ValueError:
        raise _malformed() from None
    form = dict(pairs)
    twice = len(form) < len(pairs)
    if "content" in form:  # its name is escaped
        contents.append(_CONTENT + quote_plus(form.pop("content")).encode())
    if twice or len(contents) > 1:
        raise BadRequest("A field stands twice in the form.")
    return form, contents[0].removeprefix(_CONTENT) if contents else None


def _taken_apart(body: bytes) -> tuple[bytes, list[bytes]]:
    """The fields beside the content, and those that are the content, of which there may be one."""
    fields = body.split(b"&", _MOST_FIELDS)
    contents = [each for each in fields if each.startswith(_CONTENT)]
    others = b"&".join(each for each in fields if not each.startswith(_CONTENT))
    if len(fields) > _MOST_FIELDS or len(others) > _MOST_BYTES:
        raise BadRequest(
            f"The form has more than {_MOST_FIELDS} fields, or more than {_MOST_BYTES} bytes "
            "beside its content."
        )
    return others, contents


def _decode(content: bytes) -> bytes:
    try:
        return unquote_plus(content.decode(), errors="strict").encode()
    except UnicodeDecodeError:
        raise _malformed() from None


def _malformed() -> MalformedJSON:
    return MalformedJSON("The body is not a form in UTF-8.")


def _rewrite(scope: Scope, method: str, form: dict[str, str], *, has_content: bool) -> None:
    """Fields that name headers win over the real ones; the rest are parameters."""
    told = {
        _HEADERS[name.lower()].lower(): value
        for name, value in form.items()
        if name.lower() in _HEADERS
    }
    if has_content:
        told.setdefault("content-type", "application/json")
    told.pop("content-length", None)
    kept = [
        (name, value)
        for name, value in scope["headers"]
        if name.decode("latin-1") not in told and name not in _OF_THE_FORM
    ]
    scope["method"] = method
    scope["headers"] = kept + [
        (name.encode("latin-1"), value.encode("utf-8")) for name, value in told.items()
    ]
    query = {name: value for name, value in form.items() if name.lower() not in _HEADERS}
    scope["query_string"] = urlencode(query).encode()
