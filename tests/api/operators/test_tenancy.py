"""An operator of some partners sees nothing of another one, on any route."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from lrs.api.routes import ROUTES
from lrs.api.services import Services
from tests.api.operators.conftest import Admin
from tests.support.learner_records import content, learner, record
from tests.support.operators import new_email, new_link
from tests.support.partners import Partner
from tests.support.statements import statement

BODIES = {
    "/v1/admin/partners/{partner}": {"title": "taken over"},
    "/v1/admin/partners/{partner}/disable": {"reason": "x"},
    "/v1/admin/partners/{partner}/tools": {"name": "tool"},
}


def routes() -> Iterator[tuple[str, str]]:
    for route in ROUTES:
        if route.path.startswith("/v1/admin/") and "/session" not in route.path:
            for method in sorted((route.methods or set()) - {"HEAD"}):
                yield method, route.path


@pytest.fixture
async def secrets(services: Services, partner: Partner, stranger: Partner) -> list[str]:
    """What the operator of `partner` must not see of `stranger`."""
    ada = await learner(services, stranger, {"mbox": "mailto:ada@hidden.example"})
    course = await content(services, stranger, "https://hidden.example/course")
    await record(services, stranger, ada, course)
    await stranger.send(statement())
    return [stranger.name, stranger.key, "hidden.example"]


def path(template: str, names: dict[str, str]) -> str:
    return re.sub(r"{(\w+)(:\w+)?}", lambda match: names.get(match[1], "1"), template)


async def test_every_route_hides_other_partners(
    admin: Admin, partner: Partner, stranger: Partner, secrets: list[str]
) -> None:
    client = await admin("owner", [partner.name])
    everything = await admin()
    before = (await everything.get(f"/v1/admin/partners/{stranger.name}")).json()
    names = {"partner": stranger.name, "key": stranger.key, "tool": "tool", "email": new_email()}
    for method, template in routes():
        url = path(template, names)
        answer = await client.request(method, url, json=BODIES.get(template))
        expected = {404} if "{partner}" in template else {200, 400, 403, 404}
        if method != "GET" and answer.status_code in (400, 415):
            continue  # before the partner is looked up
        assert answer.status_code in expected, (method, template, answer.text)
        for secret in secrets:
            if secret not in url:
                assert secret not in answer.text, (method, template)
    assert (await everything.get(f"/v1/admin/partners/{stranger.name}")).json() == before


async def test_credential_of_another_partner_returns_404(
    admin: Admin, partner: Partner, stranger: Partner
) -> None:
    client = await admin("owner", [partner.name])
    mine = f"/v1/admin/partners/{partner.name}/credentials/{stranger.key}"
    for answer in (
        await client.get(mine),
        await client.patch(mine, json={"label": "x"}),
        await client.post(f"{mine}/rotate"),
        await client.post(f"{mine}/revoke"),
        await client.get(f"{mine}/statements"),
    ):
        assert answer.status_code == 404
    assert (await stranger.get()).status_code == 200


async def test_operator_without_partners_is_hidden_from_owners_of_some(
    admin: Admin, partner: Partner, services: Services
) -> None:
    email, _ = await new_link(services, "viewer", [])
    client = await admin("owner", [partner.name])
    listed = (await client.get("/v1/admin/operators?limit=500")).json()["operators"]
    assert email not in {item["email"] for item in listed}
    assert (await client.get(f"/v1/admin/operators/{email}")).status_code == 404
    assert (await client.post(f"/v1/admin/operators/{email}/disable")).status_code == 404


async def test_lists_have_only_the_own_partners(
    admin: Admin, partner: Partner, stranger: Partner, owner: httpx.AsyncClient
) -> None:
    client = await admin("owner", [partner.name])
    await owner.post(f"/v1/admin/partners/{stranger.name}/disable", json={"reason": "x"})
    listed = (await client.get("/v1/admin/partners")).json()["partners"]
    assert [item["name"] for item in listed] == [partner.name]
    assert (await client.get("/v1/admin/audit")).json()["entries"] == []
    operators = (await client.get("/v1/admin/operators")).json()["operators"]
    assert {tuple(item["partners"]) for item in operators} == {(partner.name,)}
    assert (await client.get("/v1/admin/audit?partner=" + stranger.name)).status_code == 404
    assert (await client.get("/v1/admin/system")).status_code == 403


async def test_owner_of_some_partners_manages_operators_of_these_only(
    admin: Admin, partner: Partner, stranger: Partner
) -> None:
    client = await admin("owner", [partner.name])
    for partners in (None, [stranger.name], [partner.name, stranger.name]):
        body = {"email": new_email(), "role": "viewer", "partners": partners}
        assert (await client.post("/v1/admin/operators", json=body)).status_code in (403, 404)
    body = {"email": new_email(), "role": "viewer", "partners": [partner.name]}
    added = await client.post("/v1/admin/operators", json=body)
    assert added.status_code == 201
    assert "/console/link?token=" in added.json()["link"]
    mine = f"/v1/admin/operators/{body['email']}"
    answer = await client.patch(mine, json={"partners": None})
    assert answer.status_code == 403
    assert (await client.patch(mine, json={"role": "owner"})).json()["role"] == "owner"
    assert (await client.post(f"{mine}/disable")).json()["disabled_at"]
    assert (await client.post("/v1/admin/partners", json={"name": "x"})).status_code == 403


@pytest.mark.parametrize(("method", "template"), list(routes()))
async def test_route_without_an_operator_is_unauthorized(
    http: httpx.AsyncClient, partner: Partner, method: str, template: str
) -> None:
    url = path(template, {"partner": partner.name, "key": partner.key})
    for headers, status in (({}, 401), (partner.headers, 403)):
        answer = await http.request(method, url, json={}, headers=headers)
        assert answer.status_code == status, answer.text
