"""Pipes of tests: an engine in the test process, scripted directions and sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrs.api.services import Services
from lrs.auth.secret_box import SecretBox
from lrs.pipes import options
from lrs.pipes.client.address_rules import AddressRules
from lrs.pipes.engine import Engine, EngineTimes
from lrs.pipes.model import Direction
from lrs.pipes.options import Credentials, NoCredentials
from lrs.pipes.pull.direction import PullDirection
from lrs.pipes.pull.items import ItemStore
from lrs.store import pipes as store
from lrs.store.pipes import Pipe
from lrs.store.postgres import Database
from tests.support.app import SECRET_KEY
from tests.support.partners import Partner
from tests.support.scripted_source import ScriptedSource, history, serving

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


def pulling_engine(services: Services, times: EngineTimes | None = None) -> Engine:
    """An engine that pulls with the pipeline of the application."""
    item_store = ItemStore(
        services.database,
        services.pipeline,
        services.ledger,
        services.limits.default,
        services.settings.max_xapi_statement_bytes,
    )
    return engine(services.database, {"pull": PullDirection(item_store)}, times=times)


async def pull_invalid(services: Services, partner: Partner) -> dict[str, Any]:
    """A pipe `history` pulls a statement of Ada, whose mbox is invalid; returns the statement."""
    (item,) = history(1)
    item["actor"] = {"mbox": "ada@hidden.example"}
    async with serving(ScriptedSource([item])) as source:
        pipe = await add_pipe(services.database, partner.partner_id, name="history", url=source.url)
        await run_until_waiting(pulling_engine(services), pipe)
    return item


async def run_until_waiting(running: Engine, pipe: Pipe) -> Pipe:
    """Runs the pipe until its state is not `running`."""
    while True:
        claimed = await running.claim((pipe.partner_id, pipe.name))
        assert claimed is not None
        pipe = await running.run_slice(claimed)
        if pipe.state != "running":
            return pipe
