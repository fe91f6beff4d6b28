"""Query plans, as EXPLAIN prints them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson


async def explained(
    connection: Any, sql: str, values: Sequence[str], options: str = ""
) -> list[dict[str, Any]]:
    """The plan nodes of a prepared query with these parameters, written as SQL."""
    await connection.execute(f"prepare explained as {sql}")
    try:
        arguments = f" ({', '.join(values)})" if values else ""
        text = await connection.fetchval(
            f"explain ({options}format json) execute explained{arguments}"
        )
    finally:
        await connection.execute("deallocate explained")
    return list(_nodes(orjson.loads(text)[0]["Plan"]))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from _nodes(inner)
