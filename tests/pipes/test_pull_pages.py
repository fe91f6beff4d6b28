"""Pulls from sources that page in every way: nothing is lost, and each page is read once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from lrs.api.services import Services
from lrs.pipes.engine import Engine
from lrs.store import pipes as store
from lrs.store.pipes import Pipe
from tests.support.ledger import kept
from tests.support.partners import Partner
from tests.support.pipes import add_pipe, run_until_waiting
from tests.support.scripted_source import (
    START,
    Reply,
    Request,
    ScriptedSource,
    history,
    serving,
    stored_statement,
)


async def pull(
    services: Services, partner: Partner, pulling: Engine, source: ScriptedSource, **chosen: Any
) -> Pipe:
    pipe = await add_pipe(services.database, partner.partner_id, url=source.url, **chosen)
    return await run_until_waiting(pulling, pipe)


async def stored_ids(services: Services, partner: Partner) -> set[str]:
    rows = await services.database.readers.fetch(
        "select statement_id::text from statement where partner_id = $1", partner.partner_id
    )
    return {row["statement_id"] for row in rows}


def ids(source: ScriptedSource) -> set[str]:
    return {item["id"] for item in source.statements}


@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
@pytest.mark.parametrize("count", [0, 1, 10])
async def test_all_pages_are_read(
    partner: Partner, services: Services, pulling: Engine, count: int, descending: bool
) -> None:
    async with serving(ScriptedSource(history(count), descending=descending)) as source:
        result = await pull(services, partner, pulling, source)
        assert result.state == "waiting", result.last_error
        assert await stored_ids(services, partner) == ids(source)
        assert result.counts == ({"stored": count} if count else {})
        assert source.most_active == 1


@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
async def test_next_walk_reads_new_and_late_statements(
    partner: Partner, services: Services, pulling: Engine, descending: bool
) -> None:
    """An older `stored` appears later; the overlap covers it."""
    source = ScriptedSource(history(7), descending=descending)
    async with serving(source):
        pipe = await pull(services, partner, pulling, source)
        newest = START + timedelta(seconds=6)
        source.statements.append(stored_statement(newest - timedelta(seconds=60)))
        source.statements.append(stored_statement(newest + timedelta(seconds=60)))
        result = await run_until_waiting(pulling, pipe)
        assert await stored_ids(services, partner) == ids(source)
        assert result.counts == {"stored": 9}


async def test_next_walk_begins_at_consistent_through_less_the_overlap(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    source = ScriptedSource(history(2), through=START + timedelta(hours=1))
    async with serving(source):
        pipe = await pull(services, partner, pulling, source, overlap=60)
        await run_until_waiting(pulling, pipe)
        assert source.pages()[-1].params["since"] == "2026-01-01T00:58:59.999Z"
        assert pipe.position_at == START + timedelta(hours=1)


async def test_batches_with_one_stored_are_not_cut(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    source = ScriptedSource(history(8, timedelta(0)))
    async with serving(source):
        pipe = await pull(services, partner, pulling, source, overlap=0)
        source.statements += history(1, timedelta(0))
        await run_until_waiting(pulling, pipe)
        assert await stored_ids(services, partner) == ids(source)


@pytest.mark.parametrize(
    "base",
    ["", "http://internal.host:8080", "https://user:secret@10.0.0.1", "//elsewhere"],
    ids=["relative", "internal", "with-password", "scheme-relative"],
)
async def test_more_is_requested_at_the_configured_origin(
    partner: Partner, services: Services, pulling: Engine, base: str
) -> None:
    async with serving(ScriptedSource(history(7), more_base=base)) as source:
        result = await pull(services, partner, pulling, source)
        assert result.state == "waiting"
        assert await stored_ids(services, partner) == ids(source)


async def test_more_without_the_prefix_of_a_proxy_is_completed(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    source = ScriptedSource(history(7), path="/lrs/xapi/statements")

    def answer(request: Request) -> Reply | None:
        if request.path != source.path:
            return Reply(404)
        reply = source.page(request.params)
        return Reply(200, reply.body.replace(b'"/lrs/xapi', b'"/xapi'), reply.headers)

    source.answer = answer
    async with serving(source):
        await pull(services, partner, pulling, source)
        assert await stored_ids(services, partner) == ids(source)


@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
async def test_stale_more_restarts_the_walk_where_it_is(
    partner: Partner, services: Services, pulling: Engine, descending: bool
) -> None:
    """Each `more` is valid for one page only."""
    source = ScriptedSource(history(12), descending=descending)

    def answer(request: Request) -> Reply | None:
        return Reply(400, b"expired") if int(request.params.get("from", "0")) > 3 else None

    source.answer = answer
    async with serving(source):
        result = await pull(services, partner, pulling, source)
        assert result.state == "waiting", result.last_error
        assert await stored_ids(services, partner) == ids(source)


async def test_stale_more_without_progress_fails(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    source = ScriptedSource(history(12, timedelta(0)))
    source.answer = lambda request: Reply(404) if "from" in request.params else None
    async with serving(source):
        result = await pull(services, partner, pulling, source)
        assert result.state == "failing"
        assert "makes no progress" in (result.last_error or "")


async def test_loop_of_more_ends_and_is_shown(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    """Every page has a `more`; the last one refers to itself."""
    source = ScriptedSource(history(6))

    def answer(request: Request) -> Reply | None:
        if request.params.get("limit") == "1" or request.params.get("from") == "0":
            return None
        more = f"{source.path}?from=3"
        return source.page(request.params, more)

    source.answer = answer
    async with serving(source):
        result = await pull(services, partner, pulling, source)
        assert result.state in ("failing", "waiting")
        assert await stored_ids(services, partner) == ids(source)
        assert len(source.requests) < 40
        source.statements.append(stored_statement(START + timedelta(seconds=60)))
        await run_until_waiting(pulling, result)
        assert await stored_ids(services, partner) == ids(source)


async def test_loop_over_several_pages_ends(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    source = ScriptedSource(history(30))

    def answer(request: Request) -> Reply | None:
        start = int(request.params.get("from", "0"))
        if start == 12:
            return source.page(request.params, f"{source.path}?from=3&since=2025-01-01")
        return None

    source.answer = answer
    async with serving(source):
        result = await pull(services, partner, pulling, source)
        assert result.state in ("failing", "waiting")
        assert len(source.requests) < 100
        assert await stored_ids(services, partner) == ids(source)


async def test_empty_page_with_more_is_followed(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    source = ScriptedSource(history(4))

    def answer(request: Request) -> Reply | None:
        if "from" in request.params or request.params.get("limit") == "1":
            return None
        body = b'{"statements": [], "more": "/xapi/statements?from=0&limit=3"}'
        return Reply(200, body, {"Content-Type": "application/json"})

    source.answer = answer
    async with serving(source):
        await pull(services, partner, pulling, source)
        assert await stored_ids(services, partner) == ids(source)


async def test_item_on_several_pages_is_refused_and_counted_once(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    """Pages are read while the ones before are stored."""
    invalid = stored_statement(START, actor={"mbox": "nobody"})
    without_id = {"stored": invalid["stored"], "verb": 1}
    valid = stored_statement(START)
    source = ScriptedSource([invalid, without_id, valid] * 4, page_size=3)
    async with serving(source):
        result = await pull(services, partner, pulling, source)
    assert result.counts == {"invalid": 2, "stored": 1}
    assert len(await kept(services, partner)) == 2


async def test_invalid_more_of_a_later_page_leaves_what_was_read(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    source = ScriptedSource(history(12))

    def answer(request: Request) -> Reply | None:
        if request.params.get("from") == "6":
            return source.page(request.params, "http://[")
        return None

    source.answer = answer
    async with serving(source):
        result = await pull(services, partner, pulling, source)
        assert result.state == "failing"
        assert "invalid `more`" in (result.last_error or "")
        assert result.counts["stored"] >= 6
        assert len(await stored_ids(services, partner)) == 9
        source.answer = lambda _: None
        await run_until_waiting(pulling, result)
        assert await stored_ids(services, partner) == ids(source)


@pytest.mark.parametrize("suffix", ["", "/", "/statements", "/statements/"])
async def test_endpoint_is_found_in_every_spelling(
    partner: Partner, services: Services, pulling: Engine, suffix: str
) -> None:
    async with serving(ScriptedSource(history(2))) as source:
        source.url += suffix
        result = await pull(services, partner, pulling, source)
        assert (result.state, result.counts) == ("waiting", {"stored": 2})


async def test_since_and_until_bound_the_walk(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    async with serving(ScriptedSource(history(10))) as source:
        result = await pull(
            services, partner, pulling, source,
            since="2026-01-01T00:00:02Z", until="2026-01-01T00:00:05Z",
        )  # fmt: skip
        assert result.state == "done"
        assert await stored_ids(services, partner) == {
            item["id"] for item in source.statements[3:6]
        }


async def test_removed_pipe_stops(partner: Partner, services: Services, pulling: Engine) -> None:
    source = ScriptedSource(history(2))
    async with serving(source):
        pipe = await add_pipe(services.database, partner.partner_id, url=source.url)
        claimed = await pulling.claim((pipe.partner_id, pipe.name))
        assert claimed is not None
        await store.remove(services.database, pipe.partner_id, pipe.name)
        await pulling.run_slice(claimed)
