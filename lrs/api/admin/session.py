"""Login and logout of operators."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import operators as accounts
from lrs.api.access import client_address
from lrs.api.admin import access
from lrs.api.admin.bodies import read_body
from lrs.api.request_parsing import services
from lrs.api.responses import json_response
from lrs.auth.operators import IssuedSession, Operator
from lrs.errors import Unauthorized


class _Login(msgspec.Struct, forbid_unknown_fields=True):
    email: str
    password: str


class _Redemption(msgspec.Struct, forbid_unknown_fields=True):
    token: str
    password: str


async def post_session(request: Request) -> Response:
    access.require_same_origin(request)
    access.require_secure_transport(request)
    body = await read_body(request, _Login)
    issued = await services(request).operators.log_in(
        body.email, body.password, client_address(request), "api"
    )
    return await _started(request, issued)


async def post_link(request: Request) -> Response:
    access.require_same_origin(request)
    access.require_secure_transport(request)
    body = await read_body(request, _Redemption)
    issued = await services(request).operators.redeem_link(
        body.token, body.password, client_address(request), "api"
    )
    return await _started(request, issued)


async def get_session(request: Request) -> Response:
    operator = await access.authenticate_operator(request)
    return json_response(await _describe(request, operator))


async def delete_session(request: Request) -> Response:
    operator = await access.authenticate_operator(request)
    token = access.session_token(request)
    if token is None:
        raise Unauthorized("The request has no session; a token ends with `lrs operator revoke`.")
    await services(request).operators.log_out(token, operator)
    response = Response(status_code=204)
    access.delete_session(request, response)
    return response


async def _started(request: Request, issued: IssuedSession) -> Response:
    response = json_response(await _describe(request, issued.operator))
    access.set_session(request, response, issued.token)
    return response


async def _describe(request: Request, operator: Operator) -> dict[str, Any]:
    partners = await accounts.partner_names(services(request).admin_database, operator)
    return {
        "email": operator.email,
        "role": operator.role,
        "partners": None if operator.partner_ids is None else partners,
    }
