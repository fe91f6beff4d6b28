"""The system over the admin API: the last backup, the archive, what commands have done."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx

from lrs.admin import backups
from lrs.admin.operators import command_operator
from lrs.api.services import Services
from lrs.observability import metrics
from lrs.store.server_properties import Backup
from tests.support.partners import Partner
from tests.support.pipes import add_pipe
from tests.support.statements import statement


async def test_last_backup_is_on_the_page_and_in_the_audit_log(
    owner: httpx.AsyncClient, services: Services
) -> None:
    at = datetime.now(UTC).replace(microsecond=0)
    backup = Backup("database", at, "/var/backups/lrs/1", 160_000, 42)
    await backups.record_backup(services.admin_database, command_operator(), backup)
    shown = (await owner.get("/v1/admin/system")).json()["backups"]
    assert (shown["last"]["directory"], shown["last"]["statements"]) == ("/var/backups/lrs/1", 42)
    assert shown["archive"]["is_on"] is False
    page = (await owner.get("/console/system")).text
    assert "/var/backups/lrs/1" in page
    server = (await owner.get("/v1/admin/overview")).json()["server"]
    assert datetime.fromisoformat(server["last_backup_at"]) == at
    audit = (await owner.get("/v1/admin/audit", params={"action": "server.backup"})).json()
    assert audit["entries"][0]["after"]["directory"] == "/var/backups/lrs/1"


async def test_restore_is_in_the_audit_log(owner: httpx.AsyncClient, services: Services) -> None:
    await backups.record_restore(services.admin_database, command_operator(), "/var/backups/lrs/2")
    audit = (await owner.get("/v1/admin/audit", params={"action": "server.restore"})).json()
    assert audit["entries"][0]["after"]["directory"] == "/var/backups/lrs/2"


async def test_system_has_waits_and_rejections(
    owner: httpx.AsyncClient, services: Services
) -> None:
    metrics.SHED_REQUESTS.labels("body_bytes").inc()
    metrics.LIMITED_REQUESTS.labels("rate").inc()
    metrics.DATABASE_WAIT.labels("readers").observe(0.25)
    view = (await owner.get("/v1/admin/system")).json()
    assert view["load"]["shed"]["body_bytes"] >= 1
    assert view["load"]["limited"]["rate"] >= 1
    pools = {pool["name"]: pool for pool in view["pools"]}
    assert pools["readers"]["waits"] >= 1
    assert pools["readers"]["wait_seconds"] >= 0.25
    assert pools["lists"]["waiting"] == 0
    page = (await owner.get("/console/system")).text
    assert "Waits since the start" in page


async def test_backlogs_of_reports_are_paged_and_counted(
    owner: httpx.AsyncClient, partner: Partner, stranger: Partner
) -> None:
    await partner.send([statement() for _ in range(3)])
    found, path = {}, "/v1/admin/system?limit=200"  # other tests have made hundreds of partners
    while path:
        view = (await owner.get(path)).json()
        assert 0 < len(view["reports"]) <= 200
        found |= {item["partner"]: item for item in view["reports"]}
        path = view["more"]
    assert list(found) == sorted(found)
    assert found[partner.name]["statements"] == 3
    assert found[partner.name]["lag_seconds"] > 0
    assert found[stranger.name] == {"partner": stranger.name, "lag_seconds": 0, "statements": 0}
    page = (await owner.get("/console/system?limit=1")).text
    assert 'rel="next" href="/console/system?' in page


async def test_due_pipe_and_unresolved_reference_are_in_the_queues(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    async def lengths() -> dict[str, int]:
        queues: dict[str, int] = (await owner.get("/v1/admin/system")).json()["queues"]
        return queues

    before = await lengths()
    await add_pipe(services.database, partner.partner_id, name="due")
    await services.database.readers.execute(
        "insert into reference_backlog (partner_id, statement_id, retry_at) values "
        "($1, gen_random_uuid(), now() + interval '1 hour'),"
        "($1, gen_random_uuid(), 'infinity')",
        partner.partner_id,
    )
    after = await lengths()
    assert after["pipes"] > before["pipes"]
    assert after["references"] - before["references"] == 1
    assert set(after) == {"statements", "references", "pipes"}
