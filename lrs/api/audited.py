"""Audit entries for changes by credentials with the scope `admin`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lrs.api.request_parsing import raw_path, services
from lrs.api.request_record import record_of
from lrs.auth.operators import Operator, record
from lrs.store.storable_text import is_storable

Handler = Callable[[Request], Awaitable[Response]]


def audited(action: str) -> Callable[[Handler], Handler]:
    """Records a successful request of a handler, except a dry run.

    The operator of the entry is `credential` and the key, the object is the path within the
    partner, such as `tools/player/rotate`.
    """

    def decorate(handler: Handler) -> Handler:
        @wraps(handler)
        async def handle(request: Request) -> Response:
            response = await handler(request)
            is_preview = request.query_params.get("preview", "").lower() == "true"
            if response.status_code < 300 and not is_preview:
                await _record(request, action)
            return response

        return handle

    return decorate


async def _record(request: Request, action: str) -> None:
    client = record_of(request.scope)
    operator = Operator(f"credential {client.key}", "owner", frozenset({client.partner_id}), "api")
    parameters: dict[str, Any] = {
        name: value
        for name, value in request.query_params.items()
        if is_storable(name) and is_storable(value)
    }
    await record(
        services(request).admin_database,
        operator,
        action,
        raw_path(request.scope).partition(f"/partners/{client.partner}/")[2][:500],
        partner_id=client.partner_id,
        after=parameters or None,
    )
