"""Import of a catalog, and its preview (scope `admin`)."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import (
    access,
    imports,
    request_parsing,
    table_parameters,
)
from lrs.api.audited import audited
from lrs.api.imports import Import
from lrs.auth import scopes
from lrs.catalog import importer, rows
from lrs.imports.tables import TableOptions

_MEDIA_TYPES = ("text/csv", "application/json", "application/x-ndjson")

_SPLIT = "Split it, with rows that others refer to first, or use the command `lrs content import`."


@audited("content.import")
async def post_import(request: Request) -> Response:
    caller = await access.authorize_partner(request, scopes.ADMIN)
    query = table_parameters.parse(request, {}, section="Catalog")
    sent = await imports.read_rows(
        request, caller.partner_id, _MEDIA_TYPES, partial(_parse, query.table)
    )
    services = request_parsing.services(request)
    arguments = (services.partner_lock, caller.partner_id, caller.home_page, sent.rows)
    if query.is_preview:
        plan = await importer.preview_import(*arguments)
    else:
        plan = await importer.import_rows(*arguments, services.vocabulary)
    return imports.response(
        plan.outcomes, sent.notes, imports.serialize, is_preview=query.is_preview
    )


def _parse(options: TableOptions, media_type: str, body: bytes) -> Import:
    imports.check_values(body, _SPLIT)
    table = rows.read(body, options)
    return Import(imports.limit_rows(table.rows, _SPLIT), table.notes)
