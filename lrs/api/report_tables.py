"""Downloads of report tables and of statements: the list of tables, and one table."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import access, request_parsing, table_files
from lrs.api.responses import json_response, report_headers, report_members
from lrs.auth import scopes
from lrs.projection import lag
from lrs.reports import row_counts
from lrs.reports.table_model import Table
from lrs.reports.tables import LEARNER_RECORD, STATEMENTS, TABLES
from lrs.xapi import query_params


async def get_tables(request: Request) -> Response:
    """The tables with their rows and columns, and the watermark of the reports."""
    caller = await access.authorize_partner(request, scopes.REPORTS_READ)
    query_params.parse(request_parsing.query_parameters(request), {}, section=table_files.SECTION)
    services = request_parsing.services(request)
    watermark = await lag.report_watermark(
        services.database,
        caller.partner_id,
        await services.watermark_reader.cached_watermark(caller.partner_id),
    )
    rows = await row_counts.count_rows(services.exports, caller.partner_id)
    body = {
        "tables": [_serialize(table, rows[table.name]) for table in TABLES.values()],
        **report_members(watermark),
        "rebuild_needed": watermark.needs_rebuild,
    }
    return json_response(body, headers=report_headers(watermark))


def _serialize(table: Table, rows: int | None) -> dict[str, Any]:
    return {
        "name": table.name,
        "kind": table.kind,
        "description": table.description,
        "rows": rows,
        "incremental": table.daily or table in (LEARNER_RECORD, STATEMENTS),
        "columns": [{"name": column.name, "type": column.type} for column in table.columns],
    }


async def get_table(request: Request) -> Response:
    """One table; `since` limits it to what changed after a cursor."""
    return await table_files.response(request, await access.authenticate_partner(request))
