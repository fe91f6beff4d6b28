"""`lrs pipe` with --json, and dead letters that are corrected by a command."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from lrs.api.services import Services
from lrs.cli.pipe_progress import progress_line
from lrs.store import dead_letters
from lrs.store import pipes as store
from tests.support.forwarding import add_dead_letter
from tests.support.learner_records import NOON
from tests.support.partners import Partner
from tests.support.statements import new_id, statement

Run = Callable[..., Result]


@pytest.fixture
def pipe(run: Run, partner: Partner) -> Callable[..., Any]:
    """Runs `lrs pipe COMMAND PARTNER pipe …` with --json; returns what it prints."""

    async def call(command: str, *arguments: str) -> Any:
        result = await asyncio.to_thread(
            run, "pipe", command, partner.name, "pipe", *arguments, "--json"
        )
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return call


async def test_every_change_prints_json(partner: Partner, pipe: Callable[..., Any]) -> None:
    added = await pipe("add", "https://lrs.example/xapi", "--forward")
    assert (added["state"], added["url"]) == ("new", "https://lrs.example/xapi")
    assert (await pipe("set", "--batch", "5"))["options"] == {"batch": 5}
    assert (await pipe("start"))["state"] == "running"
    assert (await pipe("pause"))["state"] == "paused"
    assert (await pipe("status"))["runs"] == []
    assert await pipe("retry", "--all") == {"letters": 0}
    assert await pipe("drop", "--all") == {"letters": 0}
    assert await pipe("letters") == []
    removed = {"partner": partner.name, "name": "pipe", "state": "removed"}
    assert await pipe("remove") == removed


async def test_dead_letter_is_corrected_from_a_file(
    services: Services, partner: Partner, run: Run, pipe: Callable[..., Any], tmp_path: Path
) -> None:
    corrected = statement(id=new_id())
    await partner.send(corrected)
    await add_dead_letter(services, partner, corrected["id"])
    path = tmp_path / "corrected.json"
    path.write_text(json.dumps(corrected | {"verb": {"id": "completed"}}))
    command = ("pipe", "retry", partner.name, "pipe", corrected["id"], "--body", str(path))
    refused = await asyncio.to_thread(run, *command)
    assert (refused.exit_code, "/verb/id" in refused.output) == (1, True), refused.output
    path.write_text(json.dumps(corrected | {"result": {"completion": True}}))
    assert await pipe("retry", corrected["id"], "--body", str(path)) == {"letters": 1}
    (letter,) = await dead_letters.list_letters(services.database, partner.partner_id, "pipe")
    assert (letter.retry, json.loads(letter.request or "")["result"]) == (
        True,
        {"completion": True},
    )
    several = await asyncio.to_thread(run, *command[:4], "--all", "--body", str(path))
    assert (several.exit_code, "one id" in several.output) == (2, True)
    await store.remove(services.database, partner.partner_id, "pipe")


async def test_progress_is_the_part_of_the_time_that_is_done(
    services: Services, partner: Partner
) -> None:
    await add_dead_letter(services, partner, new_id())
    row = await store.get(services.database, partner.partner_id, "pipe")
    first, now = NOON, NOON + timedelta(hours=4)
    half = replace(row, position_at=NOON + timedelta(hours=2))
    line = progress_line(half, first, now)
    assert (
        line == f"[{'#' * 10}{'-' * 10}]  50% delivered=3 up to {half.position_at:%Y-%m-%d %H:%M}"
    )
    assert progress_line(replace(row, position_at=None), None, now) == "delivered=3"
    assert "100%" in progress_line(replace(row, position_at=now), now, now)
    await store.remove(services.database, partner.partner_id, "pipe")
