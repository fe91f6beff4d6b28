"""Statements of a partner, for operators: the query of the xAPI interface."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import learners, statements
from lrs.api import request_parsing, statement_list
from lrs.api.admin.access import authenticate_operator, operator_caller
from lrs.api.request_parsing import services
from lrs.auth import scopes
from lrs.auth.operators import Operator


async def get_statements(request: Request) -> Response:
    """Of the partner, or of one of its organizations or credentials in the path."""
    operator = await authenticate_operator(request)
    parameters = request_parsing.query_parameters(request)
    source = await statements.open_source(
        services(request).admin_database,
        operator,
        request.path_params["partner"],
        parameters,
        credential=request.path_params.get("key"),
    )
    granted = (
        scopes.STATEMENTS_READ if source.authority_key is None else scopes.STATEMENTS_READ_MINE
    )
    partner = source.partner
    caller = operator_caller(operator, partner, granted, authority_key=source.authority_key or 0)
    organization = request_parsing.organization(request)
    response = await statement_list.response(request, caller, organization, "2.0.0")
    response.headers["Cache-Control"] = "no-store"
    if operator.may("operator"):
        return response
    return await _masked(request, operator, partner.partner_id, response)


async def _masked(
    request: Request, operator: Operator, partner_id: int, response: Response
) -> Response:
    """The same response with pseudonyms, for a viewer."""
    body = await services(request).thread.run(
        partner_id, _mask, bytes(response.body), request, operator, partner_id
    )
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return Response(body, response.status_code, headers)


def _mask(body: bytes, request: Request, operator: Operator, partner_id: int) -> bytes:
    content: dict[str, Any] = orjson.loads(body)
    masking = services(request).masking
    if "statements" in content and "actor" not in content:
        content["statements"] = [
            learners.visible_statement(operator, masking, partner_id, item)
            for item in content["statements"]
        ]
    else:
        content = learners.visible_statement(operator, masking, partner_id, content)
    return orjson.dumps(content)
