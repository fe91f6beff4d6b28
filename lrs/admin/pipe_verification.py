"""The use case of comparing both sides of a pipe."""

from __future__ import annotations

from collections.abc import Callable

from lrs.admin.pipes import get_pipe
from lrs.auth.operators import Operator
from lrs.auth.secret_box import SecretBox
from lrs.pipes import options
from lrs.pipes.client.address_rules import AddressRules
from lrs.pipes.client.endpoint import open_endpoint
from lrs.pipes.verification import ComparedDay, verify
from lrs.store.postgres import Database


async def verify_pipe(
    database: Database,
    operator: Operator,
    secret_box: SecretBox,
    rules: AddressRules,
    partner: str,
    name: str,
    on_page: Callable[[int], None] = lambda _: None,
) -> list[ComparedDay]:
    """The days of both sides; `on_page` gets the number of statements read so far.

    Raises NotFound, InvalidParameter, WrongSecretKey, PipeError, httpx.HTTPError.
    """
    pipe = await get_pipe(database, operator, partner, name)
    credentials = options.decode_credentials(secret_box.decrypt(pipe.credentials_jwe))
    async with open_endpoint(pipe.url, credentials, rules) as endpoint:
        return await verify(database, pipe, endpoint, on_page)
