"""Links, sessions and tokens of operators: listed and revoked one by one."""

from __future__ import annotations

import httpx

from lrs.api.services import Services
from tests.api.operators.conftest import Admin
from tests.support.operators import new_email, new_link
from tests.support.partners import Partner

OPERATORS = "/v1/admin/operators"


async def added(owner: httpx.AsyncClient) -> str:
    email = new_email()
    answer = await owner.post(OPERATORS, json={"email": email, "role": "operator"})
    assert answer.status_code == 201, answer.text
    return email


async def sessions(client: httpx.AsyncClient, email: str) -> list[dict[str, str]]:
    answer = await client.get(f"{OPERATORS}/{email}/sessions")
    assert answer.status_code == 200, answer.text
    listed: list[dict[str, str]] = answer.json()["sessions"]
    return listed


async def test_one_token_is_revoked_and_others_stay(
    owner: httpx.AsyncClient, http: httpx.AsyncClient
) -> None:
    email = await added(owner)
    tokens = {}
    for label in ("backup script", "report script"):
        body = {"label": label, "expires_in_days": 30}
        answer = await owner.post(f"{OPERATORS}/{email}/tokens", json=body)
        assert answer.status_code == 201, answer.text
        tokens[label] = answer.json()["token"]
    listed = await sessions(owner, email)
    assert {row["label"] for row in listed if row["kind"] == "token"} == {*tokens}
    assert not [row for row in listed if tokens["backup script"] in row.values()]
    (session_id,) = [row["session_id"] for row in listed if row["label"] == "backup script"]
    revoked = await owner.post(f"{OPERATORS}/{email}/sessions/{session_id}/revoke")
    assert (revoked.status_code, revoked.json()["label"]) == (200, "backup script")
    statuses = {}
    for label, token in tokens.items():
        headers = {"Authorization": f"Bearer {token}"}
        statuses[label] = (await http.get("/v1/admin/partners", headers=headers)).status_code
    assert statuses == {"backup script": 401, "report script": 200}
    again = await owner.post(f"{OPERATORS}/{email}/sessions/{session_id}/revoke")
    assert again.status_code == 404
    audit = await owner.get("/v1/admin/audit", params={"object": f"operator/{email}"})
    assert audit.json()["entries"][0]["action"] == "operator.revoke-token"


async def test_operator_manages_its_own_sessions_only(
    admin: Admin, owner: httpx.AsyncClient, services: Services
) -> None:
    viewer = await admin("viewer")
    own = (await viewer.get("/v1/admin/session")).json()["email"]
    (token,) = [row for row in await sessions(viewer, own) if row["kind"] == "token"]
    assert (await viewer.get(f"{OPERATORS}/{own}")).status_code == 200
    other, _ = await new_link(services)
    for path in (f"{OPERATORS}/{other}", f"{OPERATORS}/{other}/sessions"):
        assert (await viewer.get(path)).status_code == 403
    (link,) = await sessions(owner, other)
    denied = await viewer.post(f"{OPERATORS}/{other}/sessions/{link['session_id']}/revoke")
    assert denied.status_code == 403
    revoke = f"{OPERATORS}/{own}/sessions/{token['session_id']}/revoke"
    assert (await viewer.post(revoke)).status_code == 200
    assert (await viewer.get("/v1/admin/session")).status_code == 401


async def test_owner_of_another_partner_sees_no_sessions(
    admin: Admin, owner: httpx.AsyncClient, stranger: Partner
) -> None:
    email = await added(owner)
    limited = await admin("owner", [stranger.name])
    for method, path in (("GET", "sessions"), ("POST", "revoke"), ("POST", "tokens")):
        answer = await limited.request(method, f"{OPERATORS}/{email}/{path}")
        assert answer.status_code == 404, path


async def test_invalid_tokens_and_ids_are_refused(owner: httpx.AsyncClient) -> None:
    email = await added(owner)
    for body in ({"expires_in_days": 0}, {"expires_in_days": 4000}, {"label": "x" * 256}):
        answer = await owner.post(f"{OPERATORS}/{email}/tokens", json=body)
        assert answer.status_code == 400, body
    for session_id in ("none", "0" * 16, "%00", "ZZ" * 8):
        path = f"{OPERATORS}/{email}/sessions/{session_id}/revoke"
        assert (await owner.post(path)).status_code == 404, session_id


async def test_all_sessions_are_revoked_at_once(
    owner: httpx.AsyncClient, http: httpx.AsyncClient
) -> None:
    email = await added(owner)
    token = (await owner.post(f"{OPERATORS}/{email}/tokens")).json()["token"]
    assert (await owner.post(f"{OPERATORS}/{email}/revoke")).status_code == 200
    headers = {"Authorization": f"Bearer {token}"}
    assert (await http.get("/v1/admin/partners", headers=headers)).status_code == 401
    assert await sessions(owner, email) == []
