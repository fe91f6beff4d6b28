"""Operators are added, changed and revoked in forms; danger asks for the name."""

from __future__ import annotations

import re

import httpx

from lrs import cursors
from tests.support.operators import new_email
from tests.support.partners import Partner


def own(email: str, path: str = "") -> str:
    return f"/console/operators/{email}{path}"


async def test_operator_is_added_changed_and_disabled(
    owner: httpx.AsyncClient, http: httpx.AsyncClient, partner: Partner
) -> None:
    email = new_email()
    form = {"email": email, "role": "viewer", "sees": "some", "partners": partner.name}
    page = (await owner.post("/console/operators", data=form)).text
    (link,) = re.findall(r"(/console/link\?token=[^<]+)<", page)
    assert (await http.get(link)).status_code == 200
    page_from_email = {"cursor": cursors.encode((email[:-1],))}
    assert email in (await owner.get("/console/operators", params=page_from_email)).text
    form = {"role": "operator", "sees": "all", "partners": ""}
    assert (await owner.post(own(email), data=form)).status_code == 303
    account = (await owner.get(f"/v1/admin/operators/{email}")).json()
    assert (account["role"], account["partners"]) == ("operator", None)
    wrong = await owner.post(own(email, "/disable"), data={"typed": "jo"})
    assert (wrong.status_code, "nothing was changed" in wrong.text) == (400, True)
    assert "<strong>1</strong> one-time link" in (await owner.get(own(email, "/disable"))).text
    assert (await owner.post(own(email, "/disable"), data={"typed": email})).status_code == 303
    assert (await http.get(link)).status_code == 401
    assert (await owner.post(own(email, "/enable"), data={})).status_code == 303
    assert (await owner.post(own(email, "/link"), data={})).status_code == 200


async def test_token_is_shown_once_and_revoked(
    owner: httpx.AsyncClient, http: httpx.AsyncClient
) -> None:
    email = new_email()
    await owner.post("/console/operators", data={"email": email, "role": "viewer"})
    form = {"label": "report script", "expires_in_days": "7"}
    page = (await owner.post(own(email, "/tokens"), data=form)).text
    (token,) = set(re.findall("lrsop_[0-9A-Za-z_-]+", page))
    page = (await owner.get(own(email))).text
    assert "report script" in page
    assert token not in page
    session_id = re.findall(r"<code>([0-9a-f]{16})</code></th><td>token", page)[0]
    path = own(email, f"/sessions/{session_id}/revoke")
    assert (await owner.post(path, data={"typed": ""})).status_code == 400
    assert (await owner.post(path, data={"typed": session_id})).status_code == 303
    headers = {"Authorization": f"Bearer {token}"}
    assert (await http.get("/v1/admin/overview", headers=headers)).status_code == 401
    wrong = await owner.post(own(email, "/tokens"), data={"expires_in_days": "many"})
    assert (wrong.status_code, "expires_in_days" in wrong.text) == (400, True)
