"""Pipes of tests: an engine in the test process, scripted directions and sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrs.auth.secret_box import SecretBox
from lrs.pipes import options
from lrs.pipes.address_rules import AddressRules
from lrs.pipes.engine import Engine, EngineTimes
from lrs.pipes.model import Direction
from lrs.pipes.options import Credentials, NoCredentials
from lrs.store import pipes as store
from lrs.store.pipes import Pipe
from lrs.store.postgres import Database
from tests.support.app import SECRET_KEY

SECRETS = SecretBox(SECRET_KEY)


async def add_pipe(
    database: Database,
    partner_id: int,
    *,
    name: str = "pipe",
    direction: str = "pull",
    url: str = "http://127.0.0.1:9/xapi",
    credentials: Credentials | None = None,
    version: str = "1.0.3",
    filter: Mapping[str, Any] | None = None,  # noqa: A002 - the name of the column
    **chosen: Any,
) -> Pipe:
    """A started pipe; `chosen` are its options."""
    await store.add(
        database,
        partner_id,
        name,
        direction=direction,
        url=url,
        credentials_jwe=SECRETS.encrypt(options.encode_credentials(credentials or NoCredentials())),
        version=version,
        filter=dict(filter or {}),
        options=chosen,
    )
    await store.set_state(database, partner_id, name, "running")
    return await store.get(database, partner_id, name)


def engine(
    database: Database,
    directions: Mapping[str, Direction],
    *,
    networks: str = "",
    times: EngineTimes | None = None,
) -> Engine:
    times = times or EngineTimes(lease=10, idle=0.02, min_backoff=0.02, max_backoff=0.1)
    return Engine(database, SECRETS, AddressRules(networks), directions, times=times)


async def run_until_waiting(running: Engine, pipe: Pipe) -> Pipe:
    """Runs the pipe until its state is not `running`."""
    while True:
        claimed = await running.claim((pipe.partner_id, pipe.name))
        assert claimed is not None
        pipe = await running.run_slice(claimed)
        if pipe.state != "running":
            return pipe
