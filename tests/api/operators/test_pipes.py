"""Pipes over the admin API."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from lrs import cursors
from lrs.admin.operators import command_operator
from lrs.api.services import Services
from lrs.ledger.alarms import PIPES, judge_pipes
from lrs.pipes.options import Basic, decode_credentials
from lrs.store import alarms
from lrs.store import pipes as store
from lrs.store.pipes import Step
from tests.api.operators.conftest import Admin
from tests.support import pipes as support
from tests.support.forward_target import serving
from tests.support.forwarding import add_pipe, forwarding, run_until_settled, store_many
from tests.support.partners import Partner

SECRET = "secret-of-another-server"
NEW: dict[str, Any] = {
    "name": "history",
    "direction": "pull",
    "url": "https://lrs.example/xapi",
    "credentials": {"kind": "basic", "key": "key", "secret": SECRET},
    "options": {"every": 5},
}


def url(partner: Partner, path: str = "") -> str:
    return f"/v1/admin/partners/{partner.name}/pipes{path}"


async def actions(owner: httpx.AsyncClient, partner: Partner) -> list[str]:
    entries = (await owner.get("/v1/admin/audit", params={"partner": partner.name})).json()
    assert SECRET not in str(entries)
    return [entry["action"] for entry in reversed(entries["entries"])]


async def test_pipe_is_added_started_paused_and_removed(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    added = await owner.post(url(partner), json=NEW)
    assert added.status_code == 201, added.text
    pipe = added.json()
    assert (pipe["state"], pipe["next_try_at"], pipe["lag_seconds"]) == ("new", None, None)
    assert pipe["credentials"] == {"kind": "basic", "key": "key"}
    assert SECRET not in added.text
    row = await store.get(services.database, partner.partner_id, "history")
    credentials = decode_credentials(services.secret_box.decrypt(row.credentials_jwe))
    assert credentials == Basic("key", SECRET)
    mine = url(partner, "/history")
    assert (await owner.post(f"{mine}/run")).status_code == 409
    started = (await owner.post(f"{mine}/start", json={})).json()
    assert (started["state"], started["needs_operator"]) == ("running", False)
    assert (await owner.post(f"{mine}/run")).json()["next_try_at"] is not None
    assert (await owner.post(f"{mine}/pause")).json()["state"] == "paused"
    assert (await owner.post(f"{mine}/run")).status_code == 409
    assert [item["name"] for item in (await owner.get(url(partner))).json()["pipes"]] == ["history"]
    assert (await owner.delete(mine)).status_code == 204
    assert (await owner.get(mine)).status_code == 404
    assert (await owner.delete(mine)).status_code == 404
    changes = ["pipe.add", "pipe.start", "pipe.run", "pipe.pause", "pipe.remove"]
    assert await actions(owner, partner) == changes


async def test_change_of_a_pipe_needs_the_version_that_was_read(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    await owner.post(url(partner), json={**NEW, "start": True})
    mine = url(partner, "/history")
    read = await owner.get(mine)
    match = {"If-Match": read.headers["etag"]}
    running = await support.engine(services.database, {"pull": Unused()}).claim(
        (partner.partner_id, "history")
    )
    assert running is not None
    await store.commit_step(
        services.database, running, Step({}, "running", 0, counts={"stored": 1})
    )
    again = await owner.get(mine)
    assert again.json()["statements"] == {"stored": 1}
    assert again.headers["etag"] == read.headers["etag"]  # running changes no configuration
    changes = {"options": {"every": None, "page": 10}, "filter": {"verb": "http://example.com/v"}}
    changed = await owner.patch(mine, json=changes, headers=match)
    assert changed.status_code == 200, changed.text
    assert changed.json()["options"] == {"page": 10}
    assert changed.json()["filter"] == changes["filter"]
    assert (await owner.patch(mine, json=changes, headers=match)).status_code == 412
    secret = {"credentials": {"kind": "bearer", "token": SECRET}}
    fresh = {"If-Match": changed.headers["etag"]}
    answer = await owner.patch(mine, json=secret, headers=fresh)
    assert (answer.json()["credentials"], SECRET in answer.text) == ({"kind": "bearer"}, False)
    assert await actions(owner, partner) == ["pipe.add", "pipe.start", "pipe.set", "pipe.set"]


class Unused:
    """A direction that no test runs."""

    async def step(self, *_: Any) -> Any:
        raise AssertionError


async def test_repeated_post_adds_one_pipe_and_keeps_no_secret(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    first, second = [await owner.post(url(partner), json=NEW, headers=headers) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"
    other = {**NEW, "credentials": {"kind": "basic", "key": "key", "secret": "x"}}
    assert (await owner.post(url(partner), json=other, headers=headers)).status_code == 422
    assert (await owner.post(url(partner), json=NEW)).status_code == 409


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"name": "-x"}, "/name"),
        ({"name": "x" * 65}, "/name"),
        ({"direction": "push"}, "/direction"),
        ({"url": "ftp://lrs.example"}, "/url"),
        ({"url": "https://u:p@lrs.example"}, "/url"),
        ({"url": "https://[::1"}, "/url"),
        ({"url": "https://lrs..example\x7f/"}, "/url"),
        ({"version": "1.0"}, "/version"),
        ({"options": {"every": 0}}, "/options/every"),
        ({"options": {"batch": 5}}, "/options/batch"),
        ({"options": {"authority": "mine"}}, "/options/authority"),
        ({"options": {"pages": 5}}, "/options/pages"),
        ({"options": {"since": "yesterday"}}, "/options/since"),
        ({"filter": {"verb": ["a"]}}, "/filter/verb"),
        ({"filter": {"color": "red"}}, "/filter/color"),
        ({"credentials": {"kind": "basic", "key": "a:b", "secret": SECRET}}, "/credentials/key"),
        ({"credentials": {"kind": "basic", "key": "a"}}, "/credentials/secret"),
        ({"credentials": {"kind": "bearer", "token": "a b"}}, "/credentials/token"),
        ({"credentials": {"kind": "signed", "secret": SECRET}}, "/credentials/kind"),
        ({"credentials": {"kind": "magic"}}, "/credentials/kind"),
        ({"options": 5}, "/options"),
        ({"secret": SECRET}, "/secret"),
    ],
)
async def test_invalid_pipe_names_the_member(
    owner: httpx.AsyncClient, partner: Partner, changes: dict[str, Any], pointer: str
) -> None:
    answer = await owner.post(url(partner), json={**NEW, **changes})
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "invalid-parameter"
    assert SECRET not in answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_failing_pipes_are_first_on_every_page(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    for name in ("a", "b", "c", "d"):
        await owner.post(url(partner), json={**NEW, "name": name, "start": True})
    for name, state in (("c", "failing"), ("d", "paused")):
        await services.database.readers.execute(
            "update pipe set state = $3, last_error = 'why' where partner_id = $1 and name = $2",
            partner.partner_id, name, state,
        )  # fmt: skip
    names, page = [], url(partner, "?limit=1")
    while page:
        answer = (await owner.get(page)).json()
        names += [item["name"] for item in answer["pipes"]]
        page = answer["more"]
    assert names == ["c", "d", "a", "b"]
    listed = (await owner.get("/v1/admin/pipes", params={"partner": partner.name})).json()["pipes"]
    assert [item["needs_operator"] for item in listed] == [True, True, False, False]
    of_partner = {"partner": partner.name}
    (shown,) = (await owner.get("/v1/admin/overview", params=of_partner)).json()["partners"]
    assert shown["failing_pipes"] == ["c", "d"]
    assert (await owner.get(url(partner, "?cursor=x"))).status_code == 400
    beyond = cursors.encode((2**40, "", ""))
    assert (await owner.get(url(partner, f"?cursor={beyond}"))).json()["pipes"] == []


async def test_alarm_shows_the_error_of_a_pipe_to_operators_only(
    admin: Admin, services: Services, partner: Partner
) -> None:
    judgement = judge_pipes({"a": "401 of https://lrs.example: ada@example.com", "b": "time-out"})
    firing = {"firing": True, "details": judgement.details()}
    await alarms.set_state(services.database, partner.partner_id, PIPES, **firing)
    shown = {}
    for role in ("viewer", "operator"):
        answer = await (await admin(role)).get(
            "/v1/admin/overview", params={"partner": partner.name}
        )
        (item,) = answer.json()["partners"]
        shown[role] = [alarm["details"] for alarm in item["alarms"]]
    assert shown == {
        "viewer": ["Failing pipes: a, b."],
        "operator": ["The pipe a fails, and 1 other: 401 of https://lrs.example: ada@example.com"],
    }


async def test_runs_are_paged_with_their_counts_and_lag(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    async with serving() as target:
        pipe = await add_pipe(services, partner, target.url)
        for _ in range(3):
            await store_many(partner, 2)
            await run_until_settled(forwarding(services), pipe)
    mine = url(partner, f"/{pipe.name}")
    runs, page = [], f"{mine}/runs?limit=2"
    while page:
        answer = (await owner.get(page)).json()
        runs += answer["runs"]
        page = answer["more"]
    assert [run["statements"] for run in runs] == [{"delivered": 2}] * 3
    assert [run["started_at"] for run in runs] == sorted(
        (run["started_at"] for run in runs), reverse=True
    )
    assert all(run["lag_seconds"] >= 0 for run in runs)
    shown = (await owner.get(mine)).json()
    assert shown["statements"] == {"delivered": 6}
    assert shown["requests"]["200"] >= 3
    assert 0 <= shown["lag_seconds"] < 600
    assert (await owner.get(f"{mine}/runs?cursor=WyJ4Il0")).status_code == 400


async def test_viewer_sees_no_answer_position_and_agent_and_changes_nothing(
    admin: Admin, owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    agent = '{"mbox":"mailto:ada@hidden.example"}'
    await owner.post(url(partner), json={**NEW, "filter": {"agent": agent}})
    await services.database.readers.execute(
        "update pipe set last_error = 'no ada@hidden.example', cursor = $2::text::jsonb"
        " where partner_id = $1", partner.partner_id, '{"url": "https://hidden.example"}',
    )  # fmt: skip
    viewer = await admin("viewer")
    mine = url(partner, "/history")
    answer = await viewer.get(mine)
    assert (answer.status_code, "hidden.example" in answer.text) == (200, False)
    assert answer.json()["last_error"]
    assert "hidden.example" not in (await viewer.get(url(partner))).text
    assert "hidden.example" in (await owner.get(mine)).text
    before = (await owner.get(mine)).json()
    for method, path, body in (
        ("POST", "", {**NEW, "name": "x"}), ("PATCH", "/history", {"url": "https://x.example"}),
        ("DELETE", "/history", None), ("POST", "/history/start", {}),
        ("POST", "/history/pause", {}), ("POST", "/history/run", {}),
        ("POST", "/history/test", {}), ("POST", "/history/letters/retry", {"all": True}),
        ("POST", "/history/letters/drop", {"all": True}),
    ):  # fmt: skip
        refused = await viewer.request(method, url(partner, path), json=body)
        assert refused.status_code == 403, (method, path, refused.text)
    assert (await owner.get(mine)).json() == before


async def test_operator_of_another_partner_does_not_find_the_pipe(
    admin: Admin, owner: httpx.AsyncClient, partner: Partner, stranger: Partner
) -> None:
    await owner.post(url(partner), json=NEW)
    other = await admin("owner", [stranger.name])
    assert (await other.get("/v1/admin/pipes")).json()["pipes"] == []
    for method, path, body in (
        ("GET", "", None), ("GET", "/history", None), ("GET", "/history/runs", None),
        ("GET", "/history/letters", None), ("POST", "/history/start", {}),
        ("POST", "/history/test", {}), ("PATCH", "/history", {"url": "https://x.example"}),
        ("POST", "", {**NEW, "name": "x"}), ("DELETE", "/history", None),
        ("POST", "/history/letters/drop", {"all": True}),
    ):  # fmt: skip
        answer = await other.request(method, url(partner, path), json=body)
        assert answer.status_code == 404, (method, path, answer.text)
    assert (await owner.get(url(partner, "/history"))).status_code == 200


@pytest.mark.slow
async def test_test_of_a_pipe_reads_the_other_lrs_and_stores_nothing(
    owner: httpx.AsyncClient, services: Services, server: str, partner: Partner, stranger: Partner
) -> None:
    await store_many(stranger, 3)
    credentials = {"kind": "basic", "key": stranger.key, "secret": stranger.secret}
    body = {**NEW, "url": f"{server}/xapi", "credentials": credentials}
    await owner.post(url(partner), json=body)
    answer = await owner.post(url(partner, "/history/test"))
    assert answer.status_code == 200, answer.text
    found = {item["check"]: item for item in answer.json()["findings"]}
    assert found["endpoint"]["ok"]
    assert "3 of 3 statements accepted" in found["dry run"]["detail"]
    assert (await partner.get()).json()["statements"] == []
    pipe = (await owner.get(url(partner, "/history"))).json()
    assert (pipe["state"], pipe["statements"]) == ("new", {})


@pytest.mark.slow
async def test_test_of_a_pipe_ends_in_time(
    services: Services, owner: httpx.AsyncClient, partner: Partner
) -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(never, "127.0.0.1", 0)
    async with silent:
        address = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}/xapi"
        await owner.post(url(partner), json={**NEW, "url": address})
        findings = await services.pipe_checks.check_pipe(
            services.admin_database, command_operator(), services.secret_box, partner.name,
            "history", max_seconds=0.3,
        )  # fmt: skip
    assert [item.check for item in findings] == ["address", "time limit"]


async def test_address_that_is_refused_is_a_finding(
    owner: httpx.AsyncClient, partner: Partner
) -> None:
    await owner.post(url(partner), json={**NEW, "url": "http://169.254.169.254/xapi"})
    (finding,) = (await owner.post(url(partner, "/history/test"))).json()["findings"]
    assert (finding["ok"], "link-local" in finding["detail"]) == (False, True)
