"""Learners, for operators: search, identifiers, records, statements."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from lrs import cursors
from lrs.admin import learners
from lrs.api import request_parsing, urls
from lrs.api.admin.access import authenticate_operator
from lrs.api.admin.responses import (
    SECTION,
    ListQuery,
    json,
    list_query,
    list_response,
    no_query,
    object_response,
)
from lrs.api.request_parsing import services
from lrs.auth.operators import Operator
from lrs.errors import InvalidParameter, NotFound, Violation
from lrs.reports import record_query
from lrs.xapi import query_params


async def get_learners(request: Request) -> Response:
    operator = await authenticate_operator(request)
    query = list_query(request, {"search": query_params.text, "agent": query_params.agent})
    if "agent" in query.filters:
        return await _find_learner(request, operator, query)
    page = await learners.search_learners(
        services(request).admin_database,
        operator,
        services(request).masking,
        request.path_params["partner"],
        search=query.filters.get("search", ""),
        cursor=query.cursor,
        limit=query.limit,
    )
    return list_response(request, "learners", page)


async def _find_learner(request: Request, operator: Operator, query: ListQuery) -> Response:
    """The list with the learner of an agent, or without any."""
    if "search" in query.filters:
        detail = "is not combined with search"
        raise InvalidParameter(f"agent {detail}.", violations=[Violation("agent", detail, SECTION)])
    page = await learners.find_learner(
        services(request).admin_database,
        operator,
        request.path_params["partner"],
        query.filters["agent"],
    )
    return list_response(request, "learners", page)


async def get_deleted_learners(request: Request) -> Response:
    operator = await authenticate_operator(request)
    query = list_query(request)
    page = await learners.list_deleted(
        services(request).admin_database,
        operator,
        services(request).masking,
        request.path_params["partner"],
        cursor=query.cursor,
        limit=query.limit,
    )
    return list_response(request, "learners", page)


async def get_learner(request: Request) -> Response:
    operator = await authenticate_operator(request)
    no_query(request)
    view = await learners.get_learner(
        services(request).admin_database,
        operator,
        services(request).masking,
        request.path_params["partner"],
        person_id(request),
    )
    return object_response(view)


async def get_learner_statements(request: Request) -> Response:
    operator = await authenticate_operator(request)
    query = list_query(request)
    page = await learners.list_statements(
        services(request).admin_database,
        operator,
        services(request).masking,
        request.path_params["partner"],
        person_id(request),
        cursor=query.cursor,
        limit=query.limit,
    )
    return list_response(request, "statements", page)


async def get_learner_records(request: Request) -> Response:
    operator = await authenticate_operator(request)
    query = record_query.parse(
        request_parsing.query_parameters(request),
        page_size=services(request).settings.max_page_size,
    )
    page = await learners.list_records(
        services(request).admin_database,
        operator,
        services(request).masking,
        request.path_params["partner"],
        person_id(request),
        query,
    )
    more = ""
    if page.last_position is not None:
        cursor = cursors.encode(page.last_position)
        path = f"{urls.base_path(request.scope)}{request_parsing.raw_path(request.scope)}"
        more = f"{path}?{urlencode([*query.parameters, ('cursor', cursor)])}"
    return json({"learner": page.subject, "records": page.records, "more": more})


async def get_learner_document(request: Request) -> Response:
    operator = await authenticate_operator(request)
    no_query(request)
    view = await learners.get_document(
        services(request).admin_database,
        operator,
        request.path_params["partner"],
        person_id(request),
        request.path_params["document"],
    )
    return object_response(view)


def person_id(request: Request) -> int:
    """The id of the learner in the path. Raises NotFound."""
    text: str = request.path_params["learner"]
    if not query_params.is_row_id(text):
        raise NotFound(f"Learner {text[:80]!r} not found: use the `person_id` of the list.")
    return int(text)
