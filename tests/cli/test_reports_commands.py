"""`lrs reports`: rebuild and status."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner, Result

from lrs.cli import main
from tests.support.app import SECRET_KEY
from tests.support.partners import Partner
from tests.support.projection import lesson, rows


async def command(*arguments: str, database_url: str, **environment: str) -> Result:
    variables = {"LRS_DATABASE_URL": database_url, "LRS_SECRET_KEY": SECRET_KEY, **environment}
    return await asyncio.to_thread(CliRunner().invoke, main.main, arguments, env=variables)


async def test_rebuild_command_brings_the_lag_to_zero(
    partner: Partner, connection: asyncpg.Connection, database_url: str
) -> None:
    await partner.send([lesson(number) for number in range(4)])
    printed = await command("reports", "lag", partner.name, database_url=database_url)
    assert re.fullmatch(
        rf"partner\twatermark\tlag\tuncounted\n{partner.name}\tno data yet\t[^\t]+\t0\n",
        printed.output,
    )
    done = await command("reports", "rebuild", partner.name, database_url=database_url)
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [f"{partner.name}: statements", f"{partner.name}: learners"]
    audit = await command("audit", "--partner", partner.name, database_url=database_url)
    assert "\treports.rebuild\t" in audit.output
    printed = await command("reports", "lag", partner.name, database_url=database_url)
    assert printed.output.endswith("\tup to date\t0\n")
    await connection.execute(
        "update projection set rules_version = null where partner_id = $1", partner.partner_id
    )
    printed = await command("reports", "lag", partner.name, database_url=database_url)
    assert printed.output.endswith("\tup to date, rebuild needed\t0\n")
    await command("reports", "rebuild", partner.name, database_url=database_url)
    audit = await command("audit", "--partner", partner.name, database_url=database_url)
    assert "\treports.rebuild\t" in audit.output
    printed = await command("reports", "lag", partner.name, database_url=database_url)
    assert printed.output.endswith("\tup to date\t0\n")
    assert len(await rows(connection, partner, "learner_record")) == 4


async def test_changed_setting_says_that_the_projector_rebuilds(
    partner: Partner, database_url: str
) -> None:
    await partner.send(lesson(1))
    await command("reports", "rebuild", partner.name, database_url=database_url)
    change = ("partner", "set", partner.name, "--setting")
    done = await command(*change, "keep_refused_items=false", database_url=database_url)
    assert done.stderr == ""
    done = await command(*change, "time_zone=Europe/Berlin", database_url=database_url)
    assert "The projector rebuilds the reports in the background." in done.stderr
    printed = await command("reports", "lag", partner.name, database_url=database_url)
    assert printed.output.endswith("\tup to date, rebuild needed\t0\n")
    await command("reports", "rebuild", partner.name, database_url=database_url)
    audit = await command("audit", "--partner", partner.name, database_url=database_url)
    assert "\treports.rebuild\t" in audit.output
    printed = await command("reports", "lag", partner.name, database_url=database_url)
    assert printed.output.endswith("\tup to date\t0\n")


@pytest.mark.parametrize("name", ["rebuild", "lag"])
async def test_unknown_partner_is_reported(database_url: str, name: str) -> None:
    refused = await command("reports", name, "nobody", database_url=database_url)
    assert refused.exit_code == 1
    assert refused.output == "lrs: Partner 'nobody' not found.\n"


async def test_invalid_vocabulary_is_refused(database_url: str, tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    own.write_text('{"verbs": {"http://example.com/x": "finished"}}')
    for path in (own, tmp_path / "none.json"):
        refused = await command(
            "reports", "rebuild", database_url=database_url, LRS_VOCABULARY_PATH=str(path)
        )
        assert refused.exit_code == 1
        assert refused.output.startswith("lrs: LRS_VOCABULARY_PATH: ")
        assert str(path) in refused.output
