"""The stored text of a statement, for operators: shown, downloaded, hidden from viewers."""

from __future__ import annotations

import re

import httpx

from tests.api.operators.conftest import Admin
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement


def url(partner: Partner, path: str) -> str:
    return f"/v1/admin/partners/{partner.name}/{path}"


async def test_text_of_a_statement_is_what_clients_receive_and_hidden_from_viewers(
    owner: httpx.AsyncClient, admin: Admin, partner: Partner
) -> None:
    statement_id = new_id()
    await partner.send(statement(id=statement_id))
    path = url(partner, f"statements/{statement_id}")
    text = (await owner.get(path)).json()["text"]
    sent = await partner.http.get(
        "/xapi/statements", params={"statementId": statement_id}, headers=partner.headers | XAPI
    )
    assert text == sent.text
    file = await owner.get(f"{path}/text")
    assert (file.content, file.headers["content-type"]) == (sent.content, "application/json")
    assert file.headers["content-disposition"] == f'attachment; filename="{statement_id}.json"'
    audit = (await owner.get("/v1/admin/audit", params={"action": "statement.view-text"})).json()
    assert audit["entries"][0]["object"] == f"statement/{statement_id}"
    viewer = await admin("viewer")
    assert (await viewer.get(path)).json()["text"] is None
    assert (await viewer.get(f"{path}/text")).status_code == 403
    limited = await admin("owner", [])
    assert (await limited.get(f"{path}/text")).status_code == 404


async def test_text_is_as_sent_but_for_white_space_and_members_of_the_server(
    owner: httpx.AsyncClient, partner: Partner
) -> None:
    statement_id = new_id()
    members = (
        '"verb": {"id": "https://x.example/\\u0076erb"}, "result": {"score": {"raw": 1.50}},\n'
        '"object": {"id": "https://x.example/a"}, "actor": {"mbox": "mailto:a@x.example"}'
    )
    sent = f'{{ "id": "{statement_id}", {members} }}'
    assert (await partner.send(sent.encode())).status_code == 200
    view = (await owner.get(url(partner, f"statements/{statement_id}"))).json()
    assert (view["source"], view["is_built"]) == ("statements", False)
    expected = re.sub(r"([:,{}])\s+|\s+([}])", r"\1\2", members)
    assert view["text"].startswith(f'{{"id":"{statement_id}",{expected},"authority":')
    page = await owner.get(f"/console/partners/{partner.name}/statements/{statement_id}")
    assert "their order and numbers are as they were sent" in page.text


async def test_statement_of_a_track_event_is_built_by_the_server(
    owner: httpx.AsyncClient, partner: Partner
) -> None:
    event = {
        "user": "ada", "content_id": "c-1", "status": "completed",
        "event_date": "2026-01-31T00:00:00Z",
    }  # fmt: skip
    answer = await partner.send(event, resource="track")
    assert answer.status_code == 200, answer.text
    statement_id = (await partner.get()).json()["statements"][0]["id"]
    view = (await owner.get(url(partner, f"statements/{statement_id}"))).json()
    assert (view["source"], view["is_built"]) == ("track", True)
    page = await owner.get(f"/console/partners/{partner.name}/statements/{statement_id}")
    assert "built this statement from a track event" in page.text
