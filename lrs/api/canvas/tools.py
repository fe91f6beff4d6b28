"""LTI tools (scope `admin`), and the callback URLs of their launches."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from lrs.api import access, request_parsing, struct_bodies
from lrs.api.audited import audited
from lrs.api.canvas import urls
from lrs.api.responses import json_response, timestamp
from lrs.auth import scopes, tools
from lrs.auth.authenticate import Caller
from lrs.auth.overlap import MAX_HOURS, overlap_end
from lrs.errors import InvalidParameter, NotFound, Violation
from lrs.store import tools as store
from lrs.store.tools import Tool
from lrs.xapi import canvas_launches, strict_json
from lrs.xapi.canvas_launches import CallbackURLs

_REQUIREMENT = "Tools"

Body = TypeVar("Body", bound=msgspec.Struct)


class NewTool(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    consumer_key: str | None = None
    secret: str | None = None


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    overlap_hours: Annotated[float, Meta(ge=0, le=MAX_HOURS)] = 24.0


class LaunchRequest(msgspec.Struct):
    """The user and the course of a launch. With `parameters`, both are optional or among them."""

    user: str | int | None = None
    course: str | int | None = None
    parameters: dict[str, Any] | None = None


async def get_tools(request: Request) -> Response:
    caller = await access.authorize_partner(request, scopes.ADMIN)
    request_parsing.query_parameters(request)
    stored = await store.list_tools(request_parsing.services(request).database, caller.partner)
    return json_response({"tools": [_serialize(tool) for tool in stored]})


@audited("tool.add")
async def post_tools(request: Request) -> Response:
    caller = await access.authorize_partner(request, scopes.ADMIN)
    new_tool = await _read(request, NewTool)
    services = request_parsing.services(request)
    issued = await tools.add_tool(
        services.database,
        services.secret_box,
        caller.partner_id,
        new_tool.name,
        consumer_key=new_tool.consumer_key,
        secret=new_tool.secret,
    )
    return _secret_response(msgspec.to_builtins(issued), 201)


@audited("tool.rotate")
async def rotate_tool(request: Request) -> Response:
    caller = await access.authorize_partner(request, scopes.ADMIN)
    rotation = await _read(request, Rotation)
    until = overlap_end(rotation.overlap_hours)
    services = request_parsing.services(request)
    name = request.path_params["tool"]
    issued = await tools.rotate_tool(
        services.database, services.secret_box, caller.partner_id, name, until
    )
    return _secret_response(msgspec.to_builtins(issued))


@audited("tool.revoke")
async def delete_tool(request: Request) -> Response:
    caller = await access.authorize_partner(request, scopes.ADMIN)
    request_parsing.query_parameters(request)
    name = tools.check_name(request.path_params["tool"])
    database = request_parsing.services(request).database
    await store.revoke_tool(database, caller.partner_id, name)
    return Response(status_code=204)


async def post_callback_urls(request: Request) -> Response:
    caller = await access.authorize_partner(request, scopes.CALLBACKS_WRITE)
    launch = await _read(request, LaunchRequest)
    tool = await _active_tool(request, caller)
    callback_urls = await _callback_urls(request, tool, launch)
    if launch.parameters is not None:
        parameters = canvas_launches.substitute_urls(launch.parameters, callback_urls)
        return _secret_response({"parameters": parameters})
    if callback_urls is None:
        raise _missing_ids(launch)
    callback_tokens = request_parsing.services(request).callback_tokens
    expires_at = callback_tokens.expires_at(datetime.now(UTC))
    expiry = timestamp(expires_at) if expires_at else None
    return _secret_response(
        {"url": callback_urls.xapi, "caliper_url": callback_urls.caliper, "expires_at": expiry}
    )


async def _active_tool(request: Request, caller: Caller) -> Tool:
    name = request.path_params["tool"]
    database = request_parsing.services(request).database
    tool = await store.find_tool(database, caller.partner, name)
    if tool is None or tool.revoked_at:
        raise NotFound(f"Tool {name!r} not found.")
    return tool


async def _callback_urls(
    request: Request, tool: Tool, launch: LaunchRequest
) -> CallbackURLs | None:
    """The URLs of a launch; None without a user or a course. Raises InvalidParameter."""
    parameters = launch.parameters or {}
    user = _parse_id("user", launch.user, parameters.get("user_id"))
    course = _parse_id("course", launch.course, parameters.get("context_id"))
    if user is None or course is None:
        return None
    callback_tokens = request_parsing.services(request).callback_tokens
    token = await callback_tokens.issue(tool, user, course)
    base = urls.base_url(request)
    return CallbackURLs(f"{base}/api/lti/v1/xapi/{token}", f"{base}/api/lti/v1/caliper/{token}")


def _parse_id(name: str, *candidates: Any) -> str | None:
    """The first value that is not empty, as a string. Raises InvalidParameter."""
    value = next((candidate for candidate in candidates if candidate not in (None, "")), None)
    if value is None:
        return None
    text = str(value) if type(value) is int else value
    if not canvas_launches.is_lms_id(text):
        limit = canvas_launches.MAX_ID_LENGTH
        detail = f"must be a string of 1 to {limit} characters, without NUL"
        violation = Violation(f"/{name}", detail, _REQUIREMENT)
        raise InvalidParameter(f"{name} {detail}.", violations=[violation])
    return str(text)


def _missing_ids(launch: LaunchRequest) -> InvalidParameter:
    missing = [name for name in ("user", "course") if getattr(launch, name) in (None, "")]
    return InvalidParameter(
        f"Missing: {', '.join(missing)}.",
        violations=[Violation(f"/{name}", "is missing", _REQUIREMENT) for name in missing],
    )


async def _read(request: Request, body_type: type[Body]) -> Body:
    """The JSON object in the body; an empty body is an empty object. Raises InvalidParameter."""
    request_parsing.query_parameters(request)
    limit = request_parsing.services(request).settings.max_xapi_statement_bytes
    body = await request_parsing.read_body(request, limit)
    if body:
        request_parsing.require_json(request)
    return struct_bodies.convert(strict_json.loads(body or b"{}"), body_type, _REQUIREMENT)


def _serialize(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "consumer_key": tool.consumer_key,
        "created_at": timestamp(tool.created_at),
        "revoked_at": timestamp(tool.revoked_at) if tool.revoked_at else None,
        "reused_ids": tool.reused_ids,
    }


def _secret_response(content: Any, status: int = 200) -> Response:
    """A response with a secret, which caches must not store."""
    return json_response(content, status, {"Cache-Control": "no-store"})
