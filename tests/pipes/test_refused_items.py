"""Refused items of a pull that are sent again: by partners, operators and commands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from click.testing import Result

from lrs.api.services import Services
from lrs.pipes.engine import Engine
from lrs.store import pipes as store
from lrs.store import statement_origins
from lrs.store.pipes import Pipe
from lrs.store.refusals import Refusal
from tests.support.cli import refused
from tests.support.ledger import kept
from tests.support.operators import operator_headers
from tests.support.partners import Partner
from tests.support.pipes import add_pipe, run_until_waiting
from tests.support.scripted_source import (
    START,
    ScriptedSource,
    history,
    serving,
    stored_statement,
    stored_text,
)
from tests.support.statements import new_id, statement

Json = dict[str, Any]
Run = Callable[..., Result]

INVALID = {"actor": {"mbox": "nobody"}}
OTHER = {"objectType": "Agent", "openid": "http://id.example/1"}


async def pulled(
    services: Services, partner: Partner, pulling: Engine, *items: Json, **chosen: Any
) -> tuple[Pipe, Refusal]:
    """The pipe after it has pulled the items, one of which is refused, and the refusal."""
    source = ScriptedSource([*items])
    async with serving(source):
        pipe = await add_pipe(services.database, partner.partner_id, url=source.url, **chosen)
        pipe = await run_until_waiting(pulling, pipe)
    (refusal,) = await kept(services, partner)
    return pipe, refusal


async def pulled_again(services: Services, pulling: Engine, pipe: Pipe, *items: Json) -> Pipe:
    """The pipe after it has read the items again, from the beginning."""
    source = ScriptedSource([*items])
    async with serving(source):
        unread = await store.get(services.database, pipe.partner_id, pipe.name)
        cursor = {name: unread.cursor[name] for name in ("refused",) if name in unread.cursor}
        await services.database.readers.execute(
            "update pipe set url = $3, cursor = $4 where partner_id = $1 and name = $2",
            pipe.partner_id,
            pipe.name,
            source.url,
            json.dumps(cursor),
        )
        result = await run_until_waiting(pulling, pipe)
    assert any(request.params.get("limit") != "1" for request in source.requests)
    return result


async def resubmit(partner: Partner, refusal: Refusal, body: Any = None) -> httpx.Response:
    """Over the partner interface."""
    return await partner.http.post(
        partner.url(f"refusals/{refusal.refusal_id}/resubmit"),
        headers={**partner.headers, "Content-Type": "application/json"},
        content=b"" if body is None else orjson.dumps(body),
    )


async def resubmit_as_operator(
    services: Services, partner: Partner, refusal: Refusal, body: Any = None
) -> httpx.Response:
    """Over the admin API."""
    return await partner.http.post(
        f"/v1/admin/partners/{partner.name}/refusals/{refusal.refusal_id}/resubmit",
        headers={**await operator_headers(services), "Content-Type": "application/json"},
        content=b"" if body is None else orjson.dumps(body),
    )


async def origins(services: Services, partner: Partner, statement_id: str) -> list[Json]:
    return await statement_origins.list_origins(
        services.database, partner.partner_id, UUID(statement_id)
    )


async def authorities(partner: Partner) -> dict[str, Json]:
    return {item["id"]: item["authority"] for item in await partner.all()}


async def test_corrected_item_is_stored_with_its_origin_and_not_read_again(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    items = history(2)
    corrected = dict(items[0])
    items[0] |= INVALID
    pipe, refusal = await pulled(services, partner, pulling, *items)
    assert [item["refused"] for item in await origins(services, partner, corrected["id"])] == [True]
    answer = await resubmit_as_operator(services, partner, refusal, corrected)
    assert (answer.status_code, answer.json()) == (
        200,
        {"id": corrected["id"], "outcome": "stored"},
    )
    account = {"homePage": partner.home_page, "name": "pipe pipe"}
    found = await authorities(partner)
    assert found[corrected["id"]] == {"objectType": "Agent", "account": account}
    assert await origins(services, partner, corrected["id"]) == [
        {
            "pipe": "pipe",
            "origin": pipe.url.removesuffix("/xapi"),
            "stored": START,
            "authority": items[0]["authority"],
            "refused": False,
            "pipe_exists": True,
        }
    ]
    await statement_origins.forget_refused(services.database, partner.partner_id, "pipe")
    again = await pulled_again(services, pulling, pipe, *items)
    assert again.counts == {"invalid": 1, "stored": 1}
    (refusal,) = await kept(services, partner)
    assert refusal.resubmitted_at


async def test_partner_sends_a_corrected_item_with_its_own_authority(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    """A client cannot store statements in the name of the pipe, or of the source."""
    (item,) = history(1)
    _, refusal = await pulled(services, partner, pulling, item | INVALID, authority="source")
    assert (await resubmit(partner, refusal, item | INVALID)).status_code == 400
    first, second = await kept(services, partner)
    assert (first.credential, second.credential) == ("pipe pipe", "pipe pipe")
    answer = await resubmit(partner, second, item)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "stored")
    authority = (await authorities(partner))[item["id"]]
    assert authority["account"]["name"] == partner.key
    (origin,) = await origins(services, partner, item["id"])
    assert (origin["stored"], origin["authority"]) == (START, item["authority"])
    assert not origin["refused"]
    again = await resubmit(partner, first, item)
    assert (again.status_code, again.json()["outcome"]) == (200, "duplicate")


async def test_authority_by_option_is_the_one_that_the_source_sent(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    (item,) = history(1)
    _, refusal = await pulled(services, partner, pulling, item | INVALID, authority="source")
    answer = await resubmit_as_operator(services, partner, refusal, item | {"authority": OTHER})
    assert answer.status_code == 200, answer.text
    assert (await authorities(partner))[item["id"]] == item["authority"]


async def test_missing_timestamp_is_the_stored_of_the_source(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    (item,) = history(1)
    _, refusal = await pulled(services, partner, pulling, item | INVALID)
    corrected = statement(id=item["id"])
    corrected.pop("timestamp", None)
    answer = await resubmit_as_operator(services, partner, refusal, corrected)
    assert answer.status_code == 200, answer.text
    (stored,) = await partner.all()
    assert stored["timestamp"] == stored_text(START).replace(".000000Z", "Z")


async def test_item_that_is_valid_now_is_sent_again_as_it_was(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    """Such as after the statement with which it conflicts was removed."""
    (item,) = history(1)
    await partner.send({**item, "result": {"response": "ours"}})
    _, refusal = await pulled(services, partner, pulling, item)
    assert (await resubmit_as_operator(services, partner, refusal)).status_code == 409
    await services.database.readers.execute(
        "delete from statement where partner_id = $1", partner.partner_id
    )
    answer = await resubmit_as_operator(services, partner, refusal)
    assert answer.json() == {"id": item["id"], "outcome": "stored"}


async def test_truncated_item_needs_a_corrected_body(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    (item,) = history(1)
    large = item | {"result": {"response": "x" * 20_000}} | INVALID
    _, refusal = await pulled(services, partner, pulling, large, authority="source")
    answer = await resubmit_as_operator(services, partner, refusal)
    assert (answer.status_code, "Only 16384 of" in answer.text) == (409, True)
    answer = await resubmit_as_operator(services, partner, refusal, item)
    assert answer.status_code == 200, answer.text
    (origin,) = await origins(services, partner, item["id"])
    assert (origin["stored"], origin["refused"]) == (START, False)
    assert (await authorities(partner))[item["id"]] == item["authority"]


async def test_item_that_is_too_large_has_the_origin_of_the_id_in_the_body(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    (item,) = history(1)
    large = item | {"result": {"response": "x" * 2_000_000}}
    _, refusal = await pulled(services, partner, pulling, large)
    assert (refusal.outcome, refusal.statement_id) == ("too_large", None)
    answer = await resubmit_as_operator(services, partner, refusal, item)
    assert answer.status_code == 200, answer.text
    (origin,) = await origins(services, partner, item["id"])
    assert (origin["stored"], origin["refused"]) == (START, False)


async def test_item_without_an_id_gets_its_origin_from_its_text(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    item = {**stored_statement(START), "id": "x"}
    pipe, refusal = await pulled(services, partner, pulling, item)
    corrected = {**item, "id": new_id()}
    assert (await resubmit_as_operator(services, partner, refusal, corrected)).status_code == 200
    (origin,) = await origins(services, partner, corrected["id"])
    assert (origin["stored"], origin["authority"]) == (START, item["authority"])
    assert origin["origin"] == pipe.url.removesuffix("/xapi")
    again = await pulled_again(services, pulling, pipe, item)
    assert again.counts == {"invalid": 1}
    assert len(await kept(services, partner)) == 1


async def test_conflicting_item_is_stored_under_another_id(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    (item,) = history(1)
    await partner.send({**item, "result": {"response": "ours"}})
    pipe, refusal = await pulled(services, partner, pulling, item)
    corrected = {**item, "id": new_id()}
    assert (await resubmit_as_operator(services, partner, refusal, corrected)).status_code == 200
    (origin,) = await origins(services, partner, corrected["id"])
    assert (origin["stored"], origin["refused"]) == (START, False)
    (origin,) = await origins(services, partner, item["id"])
    assert origin["refused"]
    again = await pulled_again(services, pulling, pipe, item)
    assert again.counts == {"conflict": 1}


@pytest.mark.parametrize("is_forward", [False, True])
async def test_item_of_a_removed_pipe_is_not_sent_again(
    partner: Partner, services: Services, pulling: Engine, is_forward: bool
) -> None:
    (item,) = history(1)
    _, refusal = await pulled(services, partner, pulling, item | INVALID)
    await store.remove(services.database, partner.partner_id, "pipe")
    if is_forward:
        await add_pipe(services.database, partner.partner_id, direction="forward")
    for answer in (
        await resubmit(partner, refusal, item),
        await resubmit_as_operator(services, partner, refusal, item),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert "removed" in answer.json()["detail"]
    assert await partner.all() == []


@pytest.mark.parametrize("body", [b"[]", b"[{}]", b"{", b"{}", b"null", b"\xff"])
async def test_body_that_is_no_statement_is_refused(
    partner: Partner, services: Services, pulling: Engine, body: bytes
) -> None:
    (item,) = history(1)
    _, refusal = await pulled(services, partner, pulling, item | INVALID)
    answer = await partner.http.post(
        partner.url(f"refusals/{refusal.refusal_id}/resubmit"),
        headers={**partner.headers, "Content-Type": "application/json"},
        content=body,
    )
    assert answer.status_code == 400, answer.text
    (origin,) = await origins(services, partner, item["id"])
    assert origin["refused"]


async def test_command_sends_a_corrected_item_again(
    partner: Partner, services: Services, pulling: Engine, run: Run, tmp_path: Path
) -> None:
    (item,) = history(1)
    _, refusal = await pulled(services, partner, pulling, item | INVALID)
    file = tmp_path / "corrected.json"
    file.write_bytes(orjson.dumps(item))
    command = ("refusals", "resubmit", partner.name, str(refusal.refusal_id))
    result = await asyncio.to_thread(run, *command)
    assert refused(result).startswith("The item was refused again: /actor/mbox: ")
    result = await asyncio.to_thread(run, *command, "--file", str(file))
    assert result.stdout == f"stored\t{item['id']}\n", result.output
    (origin,) = await origins(services, partner, item["id"])
    assert not origin["refused"]


async def test_item_of_an_import_gets_the_authority_that_the_option_chose(
    partner: Partner, services: Services, run: Run, tmp_path: Path
) -> None:
    (item,) = history(1)
    path = tmp_path / "export.ndjson"
    path.write_bytes(orjson.dumps(item | INVALID))
    for authority in ("pipe", "source"):  # the option of the last import applies
        arguments = ("import", partner.name, str(path), "--authority", authority)
        result = await asyncio.to_thread(run, *arguments)
        assert result.output.startswith("invalid\t"), result.output
    refusal = (await kept(services, partner))[0]
    answer = await resubmit_as_operator(services, partner, refusal, item)
    assert answer.status_code == 200, answer.text
    assert (await authorities(partner))[item["id"]] == item["authority"]
    (origin,) = await origins(services, partner, item["id"])
    assert (origin["origin"], origin["stored"], origin["refused"]) == ("", START, False)
