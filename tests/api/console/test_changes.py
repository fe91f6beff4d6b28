"""Statements, learners, content items and tools are changed in forms; danger asks for the name."""

from __future__ import annotations

import re

import httpx

from tests.api.console.conftest import Filled


def own(filled: Filled, path: str) -> str:
    return f"/console/partners/{filled.partner.name}/{path}"


async def test_statement_is_voided_with_its_id_only(
    owner: httpx.AsyncClient, filled: Filled
) -> None:
    path = own(filled, f"statements/{filled.statement_id}/void")
    assert (
        f'href="{path}"' in (await owner.get(own(filled, f"statements/{filled.statement_id}"))).text
    )
    assert "<strong>1</strong> statement" in (await owner.get(path)).text
    wrong = await owner.post(path, data={"typed": "yes"})
    assert (wrong.status_code, "nothing was changed" in wrong.text) == (400, True)
    form = {"typed": filled.statement_id, "reason": "by mistake"}
    assert (await owner.post(path, data=form)).status_code == 303
    assert "Voided" in (await owner.get(own(filled, f"statements/{filled.statement_id}"))).text
    assert (await owner.post(path, data=form)).status_code == 409


async def test_identifier_is_linked_detached_and_learner_deleted(
    owner: httpx.AsyncClient, filled: Filled
) -> None:
    path, typed = own(filled, f"learners/{filled.person_id}"), {"typed": str(filled.person_id)}
    fields = {"identifier": "ada@new.example"}
    assert "No learner has" in (await owner.get(f"{path}/link", params=fields)).text
    assert (await owner.post(f"{path}/link", data=fields)).status_code == 400
    assert (await owner.post(f"{path}/link", data=fields | typed)).status_code == 303
    assert "ada@new.example" in (await owner.get(path)).text
    detached = await owner.post(f"{path}/detach", data=fields | typed)
    assert detached.status_code == 303
    assert detached.headers["location"] != path
    assert "statements stay" in (await owner.get(f"{path}/delete")).text
    page = await owner.post(f"{path}/delete", data=typed)
    assert f'action="{path}/restore"' in page.text
    assert (await owner.get(path)).status_code == 404
    deleted = await owner.get(own(filled, "deleted-learners"))
    assert f'action="{path}/restore"' in deleted.text
    assert "ada@new.example" not in deleted.text  # it was detached
    assert (await owner.post(f"{path}/restore", data={})).status_code == 303
    assert "No learner is deleted" in (await owner.get(own(filled, "deleted-learners"))).text
    assert (await owner.get(path)).status_code == 200


async def test_content_item_gets_a_type_and_is_deleted(
    owner: httpx.AsyncClient, filled: Filled
) -> None:
    path = own(filled, f"contents/{filled.content_id}")
    assert "in no table" in (await owner.get(path)).text
    assert (await owner.post(f"{path}/type", data={"type": "course"})).status_code == 303
    assert "in no table" not in (await owner.get(path)).text
    assert (await owner.post(f"{path}/type", data={"type": "film"})).status_code == 400
    typed = {"typed": str(filled.content_id)}
    assert (await owner.post(f"{path}/delete", data={})).status_code == 400
    assert (await owner.post(f"{path}/delete", data=typed)).status_code == 303
    assert "it is in no report" in (await owner.get(path)).text
    assert (await owner.post(f"{path}/restore", data={})).status_code == 303


async def test_tool_is_added_rotated_and_revoked(owner: httpx.AsyncClient, filled: Filled) -> None:
    page = (await owner.post(own(filled, "tools"), data={"name": "player"})).text
    key, secret = re.findall("<dd><code>([^<]+)</code></dd>", page)
    assert key in (await owner.get(own(filled, "tools"))).text
    rotated = await owner.post(own(filled, "tools/player/rotate"), data={"overlap_hours": "1"})
    assert re.findall("<dd><code>([^<]+)</code></dd>", rotated.text)[1] != secret
    revoke = own(filled, "tools/player/revoke")
    assert (await owner.post(revoke, data={"typed": "quiz"})).status_code == 400
    assert (await owner.post(revoke, data={"typed": "player"})).status_code == 303
    assert "It is revoked already" in (await owner.get(revoke)).text
    assert (await owner.get(own(filled, "tools/none/revoke"))).status_code == 404


async def test_pasted_statement_is_checked_and_not_stored(
    owner: httpx.AsyncClient, filled: Filled
) -> None:
    path = own(filled, "connect/check")
    page = await owner.post(path, data={"item": '{"actor": {"mbox": "jo@example.com"}}'})
    assert (page.status_code, "/actor/mbox" in page.text) == (200, True)
    page = await owner.post(path, data={"item": "{", "form": "track"})
    assert 'role="alert"' in page.text
    connect = (await owner.get(own(filled, "connect"))).text
    (sample,) = re.findall("<textarea[^>]*>([^<]+)</textarea>", connect)
    page = await owner.post(path, data={"item": sample.replace("&#34;", '"')})
    assert "It would be stored" in page.text
