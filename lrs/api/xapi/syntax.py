"""The alternate request syntax of 1.0.3 (Communication 1.3): a whole request inside a form.

For browsers that could send nothing but a POST to another origin. `method` in the query names the
method meant; the form holds what would be headers, parameters and content. 2.0 has dropped it.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Scope

from lrs.api import reading
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
_METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "HEAD"})


def is_used(request: Request) -> bool:
    """Whether a request is written this way."""
    return b"method" in request.scope["query_string"] and "method" in request.query_params


async def meant(request: Request) -> Request:
    """The request that is meant, before anything else has looked at it. Raises LRSError."""
    pending = [await _unwrap(request)]

    async def replay() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await request.receive()  # the client goes away

    return Request(request.scope, replay)


def bodiless(response: Response) -> Response:
    """What answers a HEAD: the client has sent a POST, and would wait for a body."""
    head = Response(status_code=response.status_code)
    head.raw_headers = response.raw_headers
    head.headers["Content-Length"] = "0"
    return head


async def _unwrap(request: Request) -> bytes:
    """Rewrites the scope, and returns the content that was meant."""
    if request.method != "POST":
        raise BadRequest("The alternate request syntax is a POST.")
    parameters = request.query_params.multi_items()
    method = request.query_params["method"]
    if method not in _METHODS:
        raise InvalidParameter("method must be GET, HEAD, PUT, POST or DELETE.")
    if len(parameters) > 1:
        raise InvalidParameter("The alternate request syntax has no parameter beside method.")
    most = reading.services(request).settings.body_bytes
    form = _form(request, await reading.body(request, most))
    _rewrite(request.scope, method, form)
    if reading.version(request, required=True) != "1.0.3":
        raise BadRequest("xAPI 2.0 has no alternate request syntax.")
    content = form.pop("content", None)
    if content is None and method == "PUT":
        raise BadRequest("The form has no content, which a PUT needs.")
    return (content or "").encode()


def _form(request: Request, body: bytes) -> dict[str, str]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise BadRequest("The alternate request syntax needs application/x-www-form-urlencoded.")
    try:
        pairs = parse_qsl(
            body.decode(),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise MalformedJSON(
            f"The body is not a form in UTF-8 with at most {_MOST_FIELDS} fields."
        ) from None
    form = dict(pairs)
    if len(form) < len(pairs):
        raise BadRequest("A field stands twice in the form.")
    return form


def _rewrite(scope: Scope, method: str, form: dict[str, str]) -> None:
    """Fields that name headers win over the real ones; the rest, but content, are parameters."""
    told = {
        _HEADERS[name.lower()].lower(): value
        for name, value in form.items()
        if name.lower() in _HEADERS
    }
    if "content" in form:
        told.setdefault("content-type", "application/json")
    told["content-length"] = str(len(form.get("content", "").encode()))
    kept = [
        (name, value)
        for name, value in scope["headers"]
        if name.decode("latin-1") not in told and name != b"content-type"
    ]
    scope["method"] = method
    scope["headers"] = kept + [
        (name.encode("latin-1"), value.encode("utf-8")) for name, value in told.items()
    ]
    query = {
        name: value
        for name, value in form.items()
        if name.lower() not in _HEADERS and name != "content"
    }
    scope["query_string"] = urlencode(query).encode()
