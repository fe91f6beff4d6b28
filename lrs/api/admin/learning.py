"""What was learned, for operators: completions and hours; one statement with its relations."""

from __future__ import annotations

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import learning
from lrs.api import request_parsing
from lrs.api.admin.access import authenticate_operator
from lrs.api.admin.responses import json, no_query, object_response
from lrs.api.request_parsing import services
from lrs.api.responses import download_headers
from lrs.errors import NotFound
from lrs.projection.learning_summary import GROUPS, Group
from lrs.xapi import query_params


async def get_summary(request: Request) -> Response:
    """Completions and hours by week, course, team or organization."""
    operator = await authenticate_operator(request)
    values = query_params.parse(
        request_parsing.query_parameters(request), {"by": _group}, section="Admin API"
    )
    group: Group = values.get("by", "week")
    summary = await learning.summarize(
        services(request).admin_database, operator, request.path_params["partner"], group
    )
    return json({"by": group, "rows": summary.rows, "computed_at": summary.computed_at})


async def get_statement(request: Request) -> Response:
    operator = await authenticate_operator(request)
    no_query(request)
    used = services(request)
    detail = await learning.get_statement(
        used.admin_database,
        operator,
        used.masking,
        used.statement_loader,
        request.path_params["partner"],
        statement_id(request),
    )
    return object_response(detail)


async def get_statement_text(request: Request) -> Response:
    """The stored bytes, as a file."""
    operator = await authenticate_operator(request)
    no_query(request)
    used, identifier = services(request), statement_id(request)
    text = await learning.get_text(
        used.admin_database,
        operator,
        used.statement_loader,
        request.path_params["partner"],
        identifier,
    )
    headers = {**download_headers(f"{identifier}.json"), "Cache-Control": "no-store"}
    return Response(text, headers=headers, media_type="application/json")


def _group(text: str) -> str:
    if text not in GROUPS:
        raise ValueError(f"one of {', '.join(GROUPS)}")
    return text


def statement_id(request: Request) -> UUID:
    """The id of the statement in the path. Raises NotFound."""
    text: str = request.path_params["statement"]
    try:
        return UUID(query_params.uuid(text))
    except ValueError:
        raise NotFound(f"Statement {text[:80]!r} not found.") from None
