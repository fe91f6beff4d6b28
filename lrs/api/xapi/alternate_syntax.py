"""The alternate request syntax (xAPI 1.0.3 Communication 1.3): a request contained in a form.

Old browsers can send only POST to another origin. The query parameter `method` is the method of the
contained request; the form has its headers, parameters and content. xAPI 2.0 has no such syntax.
"""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qsl, quote_plus, unquote_plus, unquote_to_bytes, urlencode

from starlette.datastructures import MutableHeaders, QueryParams
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from lrs.api import access, request_parsing
from lrs.api.admission import MAX_ANONYMOUS_BODY_BYTES
from lrs.errors import BadRequest, InvalidParameter, MalformedJSON, Unauthorized

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
# The form is parsed before authentication: its credentials may be in it.
_MAX_FIELDS = 100
_MAX_BYTES = 65_536
_PART_BYTES = 65_536
_CONTENT = b"content="
# navigator.sendBeacon sends a string as text/plain.
_FORM_TYPES = (request_parsing.FORM, "text/plain")
_FORM_HEADERS = (b"content-type", b"content-length")
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
            content = await asyncio.to_thread(decode, pending.pop())
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
    """Rewrite the scope; returns the content of the contained request, still form-encoded."""
    if request.method != "POST":
        raise BadRequest("The alternate request syntax needs a POST.")
    parameters = request.query_params.multi_items()
    method = request.query_params["method"]
    if method not in _METHODS:
        raise InvalidParameter("method must be GET, HEAD, PUT, POST or DELETE.")
    if len(parameters) > 1:
        raise InvalidParameter("method is the only query parameter of the alternate syntax.")
    if request_parsing.media_type(request) not in _FORM_TYPES:
        raise BadRequest(f"The alternate request syntax needs {request_parsing.FORM}.")
    form, content = _parse_form(await _read_form(request))
    _rewrite(request.scope, method, form, has_content=content is not None)
    if request_parsing.required_version(request) != "1.0.3":
        raise BadRequest("xAPI 2.0 has no alternate request syntax.")
    if content is None and method == "PUT":
        raise BadRequest("A PUT needs the form field content.")
    return content or b""


async def _read_form(request: Request) -> bytes:
    """The form, of which a large one is authenticated first. Raises TooLarge, Unauthorized."""
    limit = request_parsing.services(request).settings.max_body_bytes
    chunks: list[bytes] = []
    size, is_authenticated = 0, False
    async for chunk in request_parsing.body_chunks(request, limit):
        chunks.append(chunk)
        size += len(chunk)
        if size >= MAX_ANONYMOUS_BODY_BYTES and not is_authenticated:
            await _authenticate(request, b"".join(chunks)[:MAX_ANONYMOUS_BODY_BYTES])
            is_authenticated = True
    return b"".join(chunks)


async def _authenticate(request: Request, beginning: bytes) -> None:
    """Authenticate a form by its beginning, or by the Authorization header. Raises Unauthorized."""
    authorization = request_parsing.header(request.scope, b"authorization")
    complete_fields = beginning.split(b"&", _MAX_FIELDS)[:-1]
    for field in complete_fields:
        name, _, value = field.decode("latin-1").partition("=")
        if unquote_plus(name).lower() == "authorization":
            authorization = unquote_plus(value)
    try:
        await access.identify(request, authorization, access.BASIC_OR_BEARER)
    except Unauthorized as error:
        if authorization is None:
            error.detail = (
                "A form of this size needs the field Authorization within the first "
                f"{MAX_ANONYMOUS_BODY_BYTES} bytes."
            )
        raise


def _parse_form(body: bytes) -> tuple[dict[str, str], bytes | None]:
    """The fields, and the content, if any, still form-encoded."""
    others, contents = _split_form(body)
    try:
        pairs = parse_qsl(
            others.decode(), keep_blank_values=True, strict_parsing=bool(others), errors="strict"
        )
    except ValueError:
        raise _malformed() from None
    form = dict(pairs)
    is_repeated = len(form) < len(pairs)
    if "content" in form:  # the field name was percent-encoded
        contents.append(_CONTENT + quote_plus(form.pop("content")).encode())
    if is_repeated or len(contents) > 1:
        raise BadRequest("The form has a repeated field.")
    return form, contents[0].removeprefix(_CONTENT) if contents else None


def _split_form(body: bytes) -> tuple[bytes, list[bytes]]:
    """The other fields, joined, and the content fields. Raises BadRequest for large forms."""
    fields = body.split(b"&", _MAX_FIELDS)
    contents = [field for field in fields if field.startswith(_CONTENT)]
    others = b"&".join(field for field in fields if not field.startswith(_CONTENT))
    if len(fields) > _MAX_FIELDS or len(others) > _MAX_BYTES:
        raise BadRequest(
            f"The form has more than {_MAX_FIELDS} fields, or more than {_MAX_BYTES} bytes "
            "without its content."
        )
    return others, contents


def decode(content: bytes, part_bytes: int = _PART_BYTES) -> bytes:
    """The decoded content. In parts: decoding takes 25 times the memory of its input."""
    decoded = bytearray()
    start = 0
    while start < len(content):
        end = start + part_bytes
        escape = content.rfind(b"%", end - 2, end)  # an escape that the part would cut
        end = end if escape < 0 else escape
        decoded += unquote_to_bytes(content[start:end].replace(b"+", b" "))
        start = end
    try:
        decoded.decode()
    except UnicodeDecodeError:
        raise _malformed() from None
    return bytes(decoded)


def _malformed() -> MalformedJSON:
    return MalformedJSON("The body is not a form in UTF-8.")


def _rewrite(scope: Scope, method: str, form: dict[str, str], *, has_content: bool) -> None:
    """Form fields with a header's name replace that header; the others are query parameters."""
    headers = {
        _HEADERS[name.lower()].lower(): value
        for name, value in form.items()
        if name.lower() in _HEADERS
    }
    if has_content:
        headers.setdefault("content-type", "application/json")
    headers.pop("content-length", None)
    sent = [
        (name, value)
        for name, value in scope["headers"]
        if name.decode("latin-1") not in headers and name not in _FORM_HEADERS
    ]
    scope["method"] = method
    scope["headers"] = sent + [
        (name.encode("latin-1"), value.encode("utf-8")) for name, value in headers.items()
    ]
    query = {name: value for name, value in form.items() if name.lower() not in _HEADERS}
    scope["query_string"] = urlencode(query).encode()
