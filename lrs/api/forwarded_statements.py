"""Statements that a pipe of another LRS sends: their source in the ledger, and their origin.

See `lrs.pipes.identity`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.types import Scope

from lrs.api import access
from lrs.api.access import BASIC_OR_BEARER
from lrs.api.request_parsing import header, services
from lrs.auth.authenticate import Caller
from lrs.errors import LRSError
from lrs.pipes import identity
from lrs.store import registry, statement_origins
from lrs.xapi.validation import is_uuid

_HEADER = identity.HEADER.lower().encode()


class _Item(msgspec.Struct):
    id: str = ""


_item = msgspec.json.Decoder(_Item)


def source(scope: Scope) -> str:
    """The source of statements at the xAPI interface, as the ledger names it."""
    return "forward" if _origin(scope) else "xapi"


def start_recording(
    request: Request, caller: Caller, items: Sequence[bytes]
) -> asyncio.Task[None] | None:
    """Records that the partner whose pipe sends the items has them, while they are stored.

    None for other senders. The task raises Unavailable.
    """
    origin = _origin(request.scope)
    if origin is None:
        return None
    ids = [statement_id for item in items if is_uuid(statement_id := _id(item))]
    database = services(request).database
    task = asyncio.create_task(
        statement_origins.add_forwarded(database, caller.partner_id, origin, ids)
    )
    # Retrieved also if the statements are not stored and nobody waits for the task.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


async def partner_header(request: Request) -> dict[str, str]:
    """The header that names the partner of the credential, for a pipe; empty for other clients."""
    if not header(request.scope, _HEADER):
        return {}
    try:
        caller = await access.authenticate(request, BASIC_OR_BEARER)
        partner = await registry.get_partner(services(request).database, caller.partner)
    except LRSError:
        return {}  # the resource is public
    return {identity.HEADER: identity.of_partner(partner)}


def _origin(scope: Scope) -> str | None:
    return identity.origin_of(header(scope, _HEADER))


def _id(item: bytes) -> str:
    try:
        return _item.decode(item).id.lower()
    except msgspec.DecodeError:
        return ""
