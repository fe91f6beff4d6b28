"""Pages of content items: list, one item, deletion, restoration, type."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import contents as use_cases
from lrs.api.admin import contents
from lrs.api.request_parsing import services
from lrs.catalog.rows import CONTENT_KINDS
from lrs.console.pages import (
    for_operators,
    operator_of,
    page,
    path_of,
    read_form,
    read_twin,
    redirect,
    require_typed_name,
    twin_page,
    twin_path,
)
from lrs.reports.content_items import MAX_RECORDS

get_contents = twin_page(contents.get_contents, "contents.html")


@for_operators
async def get_content(request: Request) -> Response:
    data = await read_twin(request, contents.get_content)
    return page(
        request,
        "content.html",
        data=data,
        types=CONTENT_KINDS,
        max_records=MAX_RECORDS,
        twin=twin_path(request),
    )


@for_operators
async def post_type(request: Request) -> Response:
    form = await read_form(request)
    used = services(request)
    await use_cases.set_type(
        used.admin_database,
        operator_of(request),
        used.partner_lock,
        used.vocabulary,
        request.path_params["partner"],
        request.path_params["content"],
        form.get("type", ""),
    )
    return _content_page(request)


@for_operators
async def get_delete(request: Request) -> Response:
    """What disappears from the reports with a content item."""
    data = await read_twin(request, contents.get_content)
    return page(request, "content_delete.html", data=data, max_records=MAX_RECORDS)


@for_operators
async def post_delete(request: Request) -> Response:
    form = await read_form(request)
    require_typed_name(form, request.path_params["content"])
    await _set_deleted(request, deleted=True)
    return _content_page(request)


@for_operators
async def post_restore(request: Request) -> Response:
    await read_form(request)
    await _set_deleted(request, deleted=False)
    return _content_page(request)


async def _set_deleted(request: Request, *, deleted: bool) -> None:
    partner, content = request.path_params["partner"], request.path_params["content"]
    database, lock = services(request).admin_database, services(request).partner_lock
    found = await use_cases.get_content(database, operator_of(request), partner, content)
    await use_cases.set_deleted(
        database, operator_of(request), lock, partner, found.activity_id, deleted=deleted
    )


def _content_page(request: Request) -> Response:
    partner, content = request.path_params["partner"], request.path_params["content"]
    return redirect(request, path_of("partners", partner, "contents", content))
