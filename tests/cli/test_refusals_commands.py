"""`lrs refusals` and `lrs attempts`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from click.testing import Result

from lrs.api.services import Services
from lrs.store import registry
from tests.support.canvas import body, new_tool
from tests.support.cli import refused
from tests.support.ledger import kept
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement

Run = Callable[..., Result]

INVALID = {**statement(), "verb": 1}


async def refusal_id(services: Services, partner: Partner, sent: Any = INVALID) -> str:
    await partner.send(sent, organization="north")
    return str((await kept(services, partner))[-1].refusal_id)


async def test_refusals_are_listed_with_headers(
    run: Run, services: Services, partner: Partner
) -> None:
    first = await refusal_id(services, partner)
    second = await refusal_id(services, partner, {"actor": 1})
    result = await asyncio.to_thread(run, "refusals", "list", partner.name)
    header, *rows = (line.split("\t") for line in result.stdout.splitlines())
    assert header[:3] == ["id", "refused_at", "source"]
    assert [row[0] for row in rows] == [second, first]
    assert rows[1][4:8] == ["north", "invalid", "invalid-statement", "/verb"]
    result = await asyncio.to_thread(
        run, "refusals", "list", partner.name, "--pointer", "/verb", "--json"
    )
    (row,) = json.loads(result.stdout)
    assert (row["id"], row["problem"]["errors"][0]["pointer"]) == (first, "/verb")
    result = await asyncio.to_thread(run, "refusals", "list", partner.name, "--limit", "1")
    assert len(result.stdout.splitlines()) == 2


async def test_show_prints_errors_and_item(run: Run, services: Services, partner: Partner) -> None:
    identity = await refusal_id(services, partner)
    result = await asyncio.to_thread(run, "refusals", "show", partner.name, identity)
    lines = dict(line.split("\t", 1) for line in result.stdout.splitlines())
    assert json.loads(lines["item"]) == INVALID
    assert lines["error"].startswith("/verb\t")
    result = await asyncio.to_thread(run, "refusals", "show", partner.name, identity, "--json")
    assert json.loads(json.loads(result.stdout)["item"]) == INVALID


async def test_corrected_item_is_resubmitted_as_its_credential(
    run: Run, services: Services, partner: Partner, tmp_path: Path
) -> None:
    identity = await refusal_id(services, partner)
    corrected = statement(id=new_id())
    file = tmp_path / "corrected.json"
    file.write_text(json.dumps(corrected))
    command = ("refusals", "resubmit", partner.name, identity)
    result = await asyncio.to_thread(run, *command, "--file", str(file))
    assert result.stdout == f"stored\t{corrected['id']}\n", result.output
    (stored,) = (await partner.get("north")).json()["statements"]
    assert stored["authority"]["account"]["name"] == partner.key
    again = await asyncio.to_thread(run, *command, "--file", str(file))
    assert again.stdout == f"duplicate\t{corrected['id']}\n"
    assert refused(await asyncio.to_thread(run, *command)).startswith(
        "The item was refused again: /verb: "
    )


async def test_impossible_resubmission_prints_the_reason(
    run: Run, services: Services, partner: Partner
) -> None:
    tool = await new_tool(services, partner)
    await tool.send(body("not a duration"))
    (refusal,) = await kept(services, partner)
    result = await asyncio.to_thread(
        run, "refusals", "resubmit", partner.name, str(refusal.refusal_id)
    )
    assert "only the tool can send it again" in refused(result)


async def test_unknown_partner_and_refusal_are_refused(
    run: Run, services: Services, partner: Partner, stranger: Partner
) -> None:
    identity = await refusal_id(services, partner)
    result = await asyncio.to_thread(run, "refusals", "list", "no-such-partner")
    assert refused(result) == "Partner 'no-such-partner' not found."
    result = await asyncio.to_thread(run, "refusals", "show", stranger.name, identity)
    assert refused(result) == f"Refusal {identity} not found."


async def test_attempts_are_listed_with_headers(
    run: Run, services: Services, partner: Partner, http: httpx.AsyncClient
) -> None:
    await registry.get_partner(services.database, partner.name)
    await services.ledger.write()  # attempts of other tests count for the limit of the address
    await http.get("/xapi/statements", headers=XAPI, auth=(partner.key, "wrong"))
    await services.ledger.write()
    result = await asyncio.to_thread(run, "attempts", "list", partner.name)
    header, row = (line.split("\t") for line in result.stdout.splitlines())
    values = dict(zip(header, row, strict=True))
    assert (values["status"], values["key"]) == ("401", partner.key)
    assert (values["attempts"], values["reason"]) == ("1", "wrong secret")
    result = await asyncio.to_thread(run, "attempts", "list", partner.name, "--json")
    assert json.loads(result.stdout)[0]["path"] == "/xapi/statements"
    assert (await asyncio.to_thread(run, "attempts", "list")).exit_code == 0
