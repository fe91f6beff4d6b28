"""Files of report tables, for operators: CSV, JSON, JSON Lines and Parquet."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import exports
from lrs.api import table_files
from lrs.api.admin.access import authenticate_operator, operator_caller
from lrs.api.request_parsing import services
from lrs.auth import scopes


async def get_table(request: Request) -> Response:
    """The table in the path; a look at learners, and so an audit entry."""
    operator = await authenticate_operator(request)
    partner = await exports.open_table(
        services(request).admin_database,
        operator,
        request.path_params["partner"],
        request.path_params["table"],
    )
    caller = operator_caller(operator, partner, scopes.REPORTS_READ, scopes.STATEMENTS_READ)
    return await table_files.response(request, caller)
