"""Tools, added, listed, rotated and revoked by an operator; and the URLs of their launches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from lrs.api import request_parsing
from lrs.api.canvas import urls
from lrs.api.responses import json_response, timestamp
from lrs.auth import scopes, tools
from lrs.auth.authenticate import Caller
from lrs.errors import InvalidParameter, NotFound, Violation
from lrs.store import tools as store
from lrs.store.tools import Tool
from lrs.xapi import canvas_launches, strict_json
from lrs.xapi.canvas_launches import CallbackURLs

_REQUIREMENT = "Tools"

Body = TypeVar("Body")


class NewTool(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    consumer_key: str | None = None
    secret: str | None = None


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    overlap_hours: Annotated[float, Meta(ge=0, le=8760)] = 24.0


class Launched(msgspec.Struct):
    """Who is in which course; with parameters, either may be missing, or stand among them."""

    user: str | int | None = None
    course: str | int | None = None
    parameters: dict[str, Any] | None = None


async def get_tools(request: Request) -> Response:
    who = await _operator(request)
    found = await store.list_tools(request_parsing.services(request).database, who.partner)
    return json_response({"tools": [_described(each) for each in found]})


async def post_tools(request: Request) -> Response:
    who = await _operator(request)
    wanted, here = await _read(request, NewTool), request_parsing.services(request)
    issued = await tools.add_tool(
        here.database,
        here.secret_box,
        who.partner_id,
        wanted.name,
        consumer_key=wanted.consumer_key,
        secret=wanted.secret,
    )
    return _shown(issued, 201)


async def rotate_tool(request: Request) -> Response:
    who = await _operator(request)
    wanted, here = await _read(request, Rotation), request_parsing.services(request)
    until = datetime.now(UTC) + timedelta(hours=wanted.overlap_hours)
    issued = await tools.rotate_tool(
        here.database,
        here.secret_box,
        who.partner_id,
        request.path_params["tool"],
        until,
    )
    return _shown(issued, 200)


async def delete_tool(request: Request) -> Response:
    who = await _operator(request)
    name = tools.check_name(request.path_params["tool"])
    await store.revoke_tool(request_parsing.services(request).database, who.partner_id, name)
    return Response(status_code=204)


async def post_callback_urls(request: Request) -> Response:
    who = await _caller(request, scopes.CALLBACKS_WRITE)
    launched = await _read(request, Launched)
    here, name = request_parsing.services(request), request.path_params["tool"]
    tool = await store.find_tool(here.database, who.partner, name)
    if tool is None or tool.revoked_at:
        raise NotFound(f"Tool {name!r} not found.")
    urls = _urls(request, tool, launched)
    if launched.parameters is not None:
        return _secret({"parameters": canvas_launches.substitute_urls(launched.parameters, urls)})
    if urls is None:
        raise _missing(launched)
    expires_at = here.callback_tokens.expires_at(datetime.now(UTC))
    expiry = timestamp(expires_at) if expires_at else None
    return _secret({"url": urls.xapi, "caliper_url": urls.caliper, "expires_at": expiry})


def _urls(request: Request, tool: Tool, launched: Launched) -> CallbackURLs | None:
    """The URLs of a launch, unless it has no user or no course."""
    parameters = launched.parameters or {}
    user = _id("user", launched.user, parameters.get("user_id"))
    course = _id("course", launched.course, parameters.get("context_id"))
    if user is None or course is None:
        return None
    here, base = request_parsing.services(request), urls.base_url(request)
    token = here.callback_tokens.issue(tool.partner, tool.name, user, course)
    return CallbackURLs(f"{base}/api/lti/v1/xapi/{token}", f"{base}/api/lti/v1/caliper/{token}")


def _id(name: str, *given: Any) -> str | None:
    """The first that is given, as a text. Raises InvalidParameter if it can be no id."""
    found = next((each for each in given if each not in (None, "")), None)
    if found is None:
        return None
    text = str(found) if type(found) is int else found
    if not canvas_launches.is_lms_id(text):
        most = canvas_launches.MAX_ID_LENGTH
        raise _wrong(name, f"must be a text of 1 to {most} characters, none of them NUL")
    return str(text)


def _missing(launched: Launched) -> InvalidParameter:
    missing = [name for name in ("user", "course") if getattr(launched, name) in (None, "")]
    return InvalidParameter(
        f"{' and '.join(missing)} must be given.",
        violations=[Violation(f"/{name}", "must be given", _REQUIREMENT) for name in missing],
    )


def _wrong(name: str, detail: str) -> InvalidParameter:
    violation = Violation(f"/{name}", detail, _REQUIREMENT)
    return InvalidParameter(f"{name} {detail}.", violations=[violation])


async def _operator(request: Request) -> Caller:
    return await _caller(request, scopes.ADMIN)


async def _caller(request: Request, scope: str) -> Caller:
    who = await request_parsing.partner(request)
    scopes.require(who.scopes, scope)
    request_parsing.parameters(request)
    return who


async def _read(request: Request, kind: type[Body]) -> Body:
    """The JSON object in the body; an empty body is an empty object."""
    body = await request_parsing.body(
        request, request_parsing.services(request).settings.max_xapi_statement_bytes
    )
    if body:
        request_parsing.require_json(request)
    try:
        return msgspec.convert(strict_json.loads(body or b"{}"), kind)
    except msgspec.ValidationError as error:
        reason = str(error)
        raise InvalidParameter(f"The body is not what was expected: {reason}.") from None


def _described(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "consumer_key": tool.consumer_key,
        "created_at": timestamp(tool.created_at),
        "revoked_at": timestamp(tool.revoked_at) if tool.revoked_at else None,
    }


def _shown(issued: tools.IssuedTool, status: int) -> Response:
    return _secret(msgspec.to_builtins(issued), status)


def _secret(content: Any, status: int = 200) -> Response:
    """An answer that no cache may keep."""
    return json_response(content, status, {"Cache-Control": "no-store"})
