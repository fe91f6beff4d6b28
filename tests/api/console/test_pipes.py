"""Pipes and dead letters in the console: found, corrected, changed by forms."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import httpx
import pytest

from lrs.api.services import Services
from lrs.pipes.options import OAuth2, decode_credentials
from lrs.store import pipes as store
from tests.api.console.conftest import Client, Filled
from tests.support.forward_target import Reply, serving
from tests.support.forwarding import add_pipe, forwarding, run_until_settled, store_statements
from tests.support.partners import Partner
from tests.support.pipes import add_pipe as add_pulling_pipe
from tests.support.statements import new_id, statement

SECRET = "secret-of-another-server"


def own(partner: Partner, path: str = "") -> str:
    return f"/console/partners/{partner.name}{path}"


async def shown(owner: httpx.AsyncClient, partner: Partner, name: str) -> Any:
    return (await owner.get(f"/v1/admin/partners/{partner.name}/pipes/{name}")).json()


async def test_empty_page_has_the_next_command(owner: httpx.AsyncClient, partner: Partner) -> None:
    page = (await owner.get(own(partner, "/pipes"))).text
    assert f"lrs pipe add {partner.name} history" in page
    assert "add-pipe?direction=forward" in page


async def test_pulling_pipe_is_added_changed_and_removed(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    form = {
        "direction": "pull", "name": "history", "url": "https://lrs.example/xapi",
        "kind": "oauth2", "key": "key", "secret": SECRET, "token_url": "https://lrs.example/token",
        "scope": "all", "version": "1.0.3", "options.since": "2026-01-01T00:00:00Z",
        "options.every": "5", "options.rate": "", "options.authority": "source",
        "filter.agent": "ada@example.com", "filter.related_agents": "true", "starts": "true",
    }  # fmt: skip
    added = await owner.post(own(partner, "/add-pipe"), data=form)
    path = own(partner, "/pipes/history")
    assert (added.status_code, added.headers["location"]) == (303, path), added.text
    pipe = await shown(owner, partner, "history")
    assert pipe["state"] == "running"
    since = "2026-01-01T00:00:00Z"
    assert pipe["options"] == {"since": since, "every": 5.0, "authority": "source"}
    assert pipe["filter"] == {
        "agent": '{"mbox":"mailto:ada@example.com"}', "related_agents": True
    }  # fmt: skip
    row = await store.get(services.database, partner.partner_id, "history")
    credentials = decode_credentials(services.secret_box.decrypt(row.credentials_jwe))
    assert credentials == OAuth2("https://lrs.example/token", "key", SECRET, "all")
    page = (await owner.get(f"{path}/change")).text
    assert SECRET not in page
    assert 'value="2026-01-01T00:00:00Z"' in page
    changed = {**form, "kind": "", "options.every": "", "filter.agent": "", "options.page": "10"}
    assert (await owner.post(f"{path}/change", data=changed)).headers["location"] == path
    pipe = await shown(owner, partner, "history")
    assert pipe["options"] == {"since": since, "authority": "source", "page": 10}
    assert pipe["filter"] == {"related_agents": True}
    kept = await store.get(services.database, partner.partner_id, "history")
    assert (kept.credentials_jwe, kept.cursor_version) == (row.credentials_jwe, row.cursor_version)
    assert (await owner.post(f"{path}/pause", data={})).headers["location"] == path
    assert (await shown(owner, partner, "history"))["state"] == "paused"
    assert (await owner.post(f"{path}/run", data={})).status_code == 409
    await owner.post(f"{path}/start", data={})
    assert (await owner.post(f"{path}/run", data={})).status_code == 303
    refused = await owner.post(f"{path}/remove", data={"typed": "another"})
    assert (refused.status_code, "nothing was changed" in refused.text) == (400, True)
    await owner.post(f"{path}/remove", data={"typed": "history"})
    assert (await owner.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "ftp://x.example"}, "http or https"),
        ({"options.batch": "many"}, "batch"),
        ({"options.start": "yesterday"}, "from"),
        ({"kind": "basic", "secret": ""}, "need a secret"),
        ({"kind": "signed", "secret": SECRET}, "webhook"),
        ({"name": "a b"}, "name"),
        ({"filter.registration": "x\r\ny", "options.target": "pigeon"}, "target"),
    ],
)
async def test_wrong_form_is_shown_again_with_the_error(
    owner: httpx.AsyncClient, partner: Partner, changes: dict[str, str], words: str
) -> None:
    form = {
        "direction": "forward", "name": "out", "url": "https://lrs.example/xapi",
        "kind": "bearer", "secret": SECRET, "filter.verb": "http://example.com/a",
    }  # fmt: skip
    answer = await owner.post(own(partner, "/add-pipe"), data={**form, **changes})
    assert answer.status_code == 400, answer.text
    alert = re.findall('role="alert">(.*?)</div>', answer.text, re.DOTALL)[0]
    assert words in alert
    assert "http://example.com/a</textarea>" in answer.text
    assert SECRET not in answer.text
    assert (await owner.get(f"/v1/admin/partners/{partner.name}/pipes")).json()["pipes"] == []


async def test_dead_letter_is_found_corrected_and_delivered(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    def refuse(request: Any) -> Reply | None:
        return Reply(400, b"no poison") if b'"poison"' in request.body else None

    poisoned = statement(id=new_id(), result={"response": "poison"})
    await store_statements(partner, [statement(), poisoned])
    async with serving(refuse) as target:
        engine = forwarding(services)
        pipe = await run_until_settled(engine, await add_pipe(services, partner, target.url))
        page = (await owner.get(own(partner, "/pipes/pipe"))).text
        (link,) = re.findall(r'href="([^"]+/letters/[0-9a-f-]{36})"', page)
        page = (await owner.get(link)).text
        assert "no poison" in page
        (text,) = re.findall("<textarea[^>]*>([^<]*)</textarea>", page)
        item = json.loads(html.unescape(text))
        wrong = await owner.post(f"{link}/retry", data={"item": '{"id": 5}'})
        assert wrong.status_code == 400
        assert "Not sent: Invalid statement" in wrong.text
        assert "{&#34;id&#34;: 5}" in wrong.text  # what the operator has typed is kept
        item["result"] = {"response": "cured"}
        sent = await owner.post(f"{link}/retry", data={"item": json.dumps(item, indent=2)})
        assert sent.headers["location"] == own(partner, "/pipes/pipe")
        assert "will be sent again" in (await owner.get(own(partner, "/pipes/pipe"))).text
        await run_until_settled(engine, pipe)
        assert target.stored[poisoned["id"]]["result"] == {"response": "cured"}
    assert (await owner.get(link)).status_code == 404
    page = (await owner.get(own(partner, "/pipes/pipe"))).text
    assert "the target has refused no statement" in page


async def test_dead_letter_is_sent_again_unchanged_or_dropped(
    owner: httpx.AsyncClient, filled: Filled
) -> None:
    path = own(filled.partner, "/pipes/pipe")
    letter = f"{path}/letters/{filled.statement_id}"
    assert "ada@hidden.example is unknown" in (await owner.get(letter)).text
    assert (await owner.post(f"{letter}/retry", data={})).headers["location"] == path
    assert (await owner.post(f"{path}/letters/retry", data={})).headers["location"] == path
    assert "will be sent again" in (await owner.get(letter)).text
    refused = await owner.post(f"{path}/letters/drop", data={"typed": "no"})
    assert refused.status_code == 400
    assert (await owner.post(f"{letter}/drop", data={})).headers["location"] == path
    assert (await owner.get(letter)).status_code == 404
    assert (await owner.post(f"{path}/letters/drop", data={"typed": "pipe"})).status_code == 303


async def test_failing_pipe_is_on_the_overview_and_first_in_the_list(
    owner: httpx.AsyncClient, services: Services, filled: Filled
) -> None:
    await add_pulling_pipe(services.database, filled.partner.partner_id, name="a")
    overview = (await owner.get("/console", params={"partner": filled.partner.name})).text
    assert f'href="{own(filled.partner, "/pipes/pipe")}"' in overview
    assert "Failing pipes" in (await owner.get(own(filled.partner))).text
    page = (await owner.get(own(filled.partner, "/pipes"))).text
    names = re.findall(r'<th scope="row"><a href="[^"]+/pipes/(\w+)"', page)
    assert names == ["pipe", "a"]
    everywhere = (await owner.get("/console/pipes?limit=500")).text
    assert own(filled.partner, "/pipes/pipe") in everywhere
    pipe = (await owner.get(own(filled.partner, "/pipes/pipe"))).text
    assert "<svg" in pipe
    assert "delivered 3" in pipe


async def test_test_of_a_pipe_shows_the_findings(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    await add_pulling_pipe(services.database, partner.partner_id, url="http://169.254.169.254/x")
    page = await owner.post(own(partner, "/pipes/pipe/test"), data={})
    assert page.status_code == 200
    assert "link-local" in page.text
    assert "attention" in page.text


async def test_import_of_a_file_is_shown_and_not_started(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    await add_pulling_pipe(services.database, partner.partner_id, url="file:///tmp/a.ndjson")
    page = (await owner.get(own(partner, "/pipes/pipe"))).text
    assert "run <code>lrs import</code> again" in page
    assert "/start" not in page
    for action in ("start", "run", "pause", "test"):
        answer = await owner.post(own(partner, f"/pipes/pipe/{action}"), data={})
        assert (answer.status_code, "lrs import" in answer.text) == (409, True), action
    removed = await owner.post(own(partner, "/pipes/pipe/remove"), data={"typed": "pipe"})
    assert removed.status_code == 303


async def test_statement_shows_its_origin(
    owner: httpx.AsyncClient, services: Services, filled: Filled
) -> None:
    await services.database.readers.execute(
        "insert into statement_origin (partner_id, pipe, origin, statement_id, stored, authority) "
        "values ($1, 'pipe', 'https://source.example', $2, $3::text::timestamptz, $4::text::jsonb)",
        filled.partner.partner_id, filled.statement_id, "2020-02-02T02:02:02Z",
        '{"mbox": "mailto:lms@source.example"}',
    )  # fmt: skip
    page = (await owner.get(own(filled.partner, f"/statements/{filled.statement_id}"))).text
    for words in ("https://source.example", "2020-02-02 02:02:02", "lms@source.example"):
        assert words in page
    await store.remove(services.database, filled.partner.partner_id, "pipe")
    page = (await owner.get(own(filled.partner, f"/statements/{filled.statement_id}"))).text
    assert "pipe, which is removed" in page


async def test_viewer_changes_no_pipe(client: Client, filled: Filled) -> None:
    viewer = await client("viewer")
    path = own(filled.partner, "/pipes/pipe")
    for action in (
        "start", "pause", "run", "test", "remove", "change", "letters/retry", "letters/drop",
        f"letters/{filled.statement_id}/retry", f"letters/{filled.statement_id}/drop",
    ):  # fmt: skip
        form = {"typed": "pipe", "url": "https://x.example"}
        assert (await viewer.post(f"{path}/{action}", data=form)).status_code == 403, action
    letter = (await viewer.get(f"{path}/letters/{filled.statement_id}")).text
    assert "hidden from viewers" in letter
