"""Authentication and authorization of a request: limits, scopes and partner."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request

from lrs.api.admission import admission
from lrs.api.request_parsing import header, services
from lrs.api.request_record import record_of
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.errors import Forbidden
from lrs.limits.model import Subject
from lrs.observability.server_timing import stage

BEARER = frozenset({"bearer"})
BASIC_OR_BEARER = frozenset({"basic", "bearer"})


async def authenticate(request: Request, schemes: frozenset[str]) -> Caller:
    """The caller, to whose limits the request is charged.

    Raises Unauthorized, TokenExpired, TooManyRequests, Overloaded.
    """
    caller = await identify(request, header(request.scope, b"authorization"), schemes)
    await charge(request, caller.subjects)
    return caller


async def identify(request: Request, authorization: str | None, schemes: frozenset[str]) -> Caller:
    """The caller, whose share of the worker the request takes from now on.

    Raises Unauthorized, TokenExpired, Overloaded.
    """
    scope, shared, address = request.scope, services(request), client_address(request)
    with stage("auth"):
        caller = shared.authenticator.cached_caller(authorization, schemes)
        if caller is None:
            caller = await shared.authenticator.authenticate(authorization, schemes, address)
    admission(scope).identify(caller.key, caller.partner)
    record_of(scope).identify(caller, caller.key)
    shared.ledger.used(caller.partner_id, caller.key, address)
    shared.pacing.seen(caller.partner_id)
    return caller


async def charge(request: Request, subjects: Sequence[Subject]) -> None:
    """Charges the request to the subjects, once; the router ends it and adds its headers.

    Raises TooManyRequests.
    """
    if "charge" not in request.scope:
        request_charge = services(request).limits.requests.charge(subjects)
        request.scope["charge"] = request_charge
        await request_charge.take()


def client_address(request: Request) -> str:
    """The address of the client, from a trusted proxy if there is one; empty if unknown."""
    client = request.scope.get("client")
    return client[0] if client else ""


async def authorize(request: Request, schemes: frozenset[str], *sufficient: str) -> Caller:
    """The caller, if one of the sufficient scopes is granted. Raises MissingScope otherwise."""
    caller = await authenticate(request, schemes)
    scopes.require(caller.scopes, *sufficient)
    return caller


async def authenticate_partner(request: Request) -> Caller:
    """The caller, if its token belongs to the partner in the path. Raises Forbidden otherwise."""
    caller = await authenticate(request, BEARER)
    partner = request.path_params["partner"]
    if partner != caller.partner:
        raise Forbidden(f"The token does not belong to partner {partner!r}.")
    return caller


async def authorize_partner(request: Request, *sufficient: str) -> Caller:
    """The caller of a partner's resource, if one of the sufficient scopes is granted.

    Raises Forbidden and MissingScope otherwise.
    """
    caller = await authenticate_partner(request)
    scopes.require(caller.scopes, *sufficient)
    return caller
