"""Import of a catalog, and its preview (scope `admin`)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import (
    access,
    content_coding,
    import_response,
    request_parsing,
    table_parameters,
    time_limit,
)
from lrs.api.audited import audited
from lrs.api.import_response import Import
from lrs.auth import scopes
from lrs.catalog import importer, rows
from lrs.errors import UnsupportedMediaType
from lrs.imports.tables import TableOptions

_MEDIA_TYPES = ("text/csv", "application/json", "application/x-ndjson")

_SPLIT = "Split it, with rows that others refer to first, or use the command `lrs content import`."


@audited("content.import")
async def post_import(request: Request) -> Response:
    caller = await access.authorize_partner(request, scopes.ADMIN)
    query = table_parameters.parse(request, {}, section="Catalog")
    sent = await _read_rows(request, caller.partner_id, query.table)
    services = request_parsing.services(request)
    arguments = (services.partner_lock, caller.partner_id, caller.home_page, sent.rows)
    if query.is_preview:
        plan = await importer.preview_import(*arguments)
    else:
        plan = await importer.import_rows(*arguments, services.vocabulary)
    return import_response.response(
        plan.outcomes, sent.notes, import_response.serialize, is_preview=query.is_preview
    )


async def _read_rows(request: Request, partner_id: int, options: TableOptions) -> Import:
    """The rows in the body, parsed in a thread because there may be many."""
    media_type = request_parsing.media_type(request)
    if media_type not in _MEDIA_TYPES:
        raise UnsupportedMediaType(
            f"The Content-Type must be one of {', '.join(_MEDIA_TYPES)}, not {media_type!r}."
        )
    services = request_parsing.services(request)
    body = await content_coding.read_body(request, partner_id, services.settings.max_body_bytes)
    time_limit.suspend(request.scope)
    return await services.partner_lock.thread.run(partner_id, _parse, body, options)


def _parse(body: bytes, options: TableOptions) -> Import:
    import_response.check_values(body, _SPLIT)
    table = rows.read(body, options)
    return Import(import_response.limit_rows(table.rows, _SPLIT), table.notes)
