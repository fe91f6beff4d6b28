"""Pages of LTI tools: list, add, rotate, revoke."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import tools as use_cases
from lrs.api.admin import tools
from lrs.api.request_parsing import services
from lrs.console.pages import (
    database_of,
    for_operators,
    number_of,
    operator_of,
    page,
    path_of,
    read_form,
    read_twin,
    redirect,
    require_typed_name,
    twin_page,
)
from lrs.errors import NotFound

get_tools = twin_page(tools.get_tools, "tools.html")


@for_operators
async def post_tools(request: Request) -> Response:
    """Adds a tool, and shows the secret."""
    form = await read_form(request)
    issued = await use_cases.add_tool(
        database_of(request),
        operator_of(request),
        services(request).secret_box,
        request.path_params["partner"],
        form.get("name", "").strip(),
    )
    return page(request, "tool_secret.html", issued=issued)


@for_operators
async def post_rotate(request: Request) -> Response:
    form = await read_form(request)
    issued = await use_cases.rotate_tool(
        database_of(request),
        operator_of(request),
        services(request).secret_box,
        request.path_params["partner"],
        request.path_params["tool"],
        number_of(form, "overlap_hours", 24),
    )
    return page(request, "tool_secret.html", issued=issued)


@for_operators
async def get_revoke(request: Request) -> Response:
    return page(request, "tool_revoke.html", item=await _tool(request))


@for_operators
async def post_revoke(request: Request) -> Response:
    form = await read_form(request)
    partner, name = request.path_params["partner"], request.path_params["tool"]
    require_typed_name(form, name)
    await use_cases.revoke_tool(database_of(request), operator_of(request), partner, name)
    return redirect(request, path_of("partners", partner, "tools"))


async def _tool(request: Request) -> dict[str, Any]:
    """The tool in the path. Raises NotFound."""
    name: str = request.path_params["tool"]
    listed = await read_twin(request, tools.get_tools)
    for item in listed["tools"]:
        if item["name"] == name:
            return dict(item)
    raise NotFound(f"Tool {name[:80]!r} not found.")
