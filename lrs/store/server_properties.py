"""Properties that a server records for commands: its base URL."""

from __future__ import annotations

from lrs import resources
from lrs.store.postgres import Database, translate_errors

_SET = resources.query("set_server_property")
_GET = resources.query("get_server_property")

_BASE_URL = "base_url"


async def record_base_url(database: Database, base_url: str) -> None:
    """Records the URL that clients of the server use."""
    with translate_errors():
        await database.readers.execute(_SET, _BASE_URL, base_url)


async def recorded_base_url(database: Database) -> str | None:
    """The URL that the last started server recorded; None before the first start."""
    with translate_errors():
        value = await database.readers.fetchval(_GET, _BASE_URL)
    return None if value is None else str(value)
