"""Partners and credentials are changed in forms; danger asks for the name."""

from __future__ import annotations

import re
from urllib.parse import quote

import httpx

from tests.support.operators import new_email
from tests.support.partners import Partner


def own(partner: Partner, path: str = "") -> str:
    return f"/console/partners/{partner.name}{path}"


async def test_partner_is_added_and_changed(owner: httpx.AsyncClient) -> None:
    name = re.sub("[^a-z0-9-]", "-", new_email())
    form = {"name": name, "title": "New", "home_page": ""}
    response = await owner.post("/console/partners", data=form)
    assert response.headers["location"] == f"/console/partners/{name}"
    form = {"title": "Newer", "rate_limit": "10/second", "max_stored_bytes": ""}
    assert (await owner.post(f"/console/partners/{name}", data=form)).status_code == 303
    partner = (await owner.get(f"/v1/admin/partners/{name}")).json()
    assert partner["title"] == "Newer"
    assert partner["limits"]["rate_limit"] == "10/second"
    form = {"max_statements_per_day": "many"}
    response = await owner.post(f"/console/partners/{name}", data=form)
    assert (response.status_code, "max_statements_per_day" in response.text) == (400, True)
    entries = (await owner.get("/v1/admin/audit", params={"partner": name})).json()["entries"]
    assert [entry["action"] for entry in entries] == ["partner.set", "partner.add"]


async def test_setting_of_a_partner_is_changed(owner: httpx.AsyncClient, partner: Partner) -> None:
    form = {"setting": "duplicate_track_event_status", "value": "200"}
    assert (await owner.post(own(partner), data=form)).status_code == 303
    path = f"/v1/admin/partners/{partner.name}"
    settings = (await owner.get(path)).json()["settings"]
    assert settings == {"duplicate_track_event_status": 200}
    assert (await owner.post(own(partner), data=form | {"value": "x"})).status_code == 400
    assert (await owner.post(own(partner), data=form | {"setting": "none"})).status_code == 400
    assert (await owner.post(own(partner), data=form | {"value": ""})).status_code == 303
    assert (await owner.get(path)).json()["settings"] == {}


async def test_partner_is_disabled_with_its_name_only(
    owner: httpx.AsyncClient, partner: Partner
) -> None:
    form = {"reason": "contract ended", "typed": "another"}
    response = await owner.post(own(partner, "/disable"), data=form)
    assert (response.status_code, "nothing was changed" in response.text) == (400, True)
    await owner.post(own(partner, "/disable"), data=form | {"typed": partner.name})
    assert "contract ended" in (await owner.get(own(partner))).text
    await owner.post(own(partner, "/enable"), data={})
    assert "contract ended" not in (await owner.get(own(partner))).text


async def test_credential_is_made_changed_and_rotated(
    owner: httpx.AsyncClient, partner: Partner
) -> None:
    form = {"label": "first", "kind": "client", "scopes": ["statements/write", "state"]}
    page = (await owner.post(own(partner, "/credentials"), data=form)).text
    key, secret = re.findall("<dd><code>([^<]+)</code></dd>", page)[:2]
    path = own(partner, f"/credentials/{key}")
    assert secret not in (await owner.get(path)).text
    form = {"label": "second", "scopes": ["all"], "expires_at": "2099-01-31"}
    assert (await owner.post(path, data=form)).headers["location"] == path
    changed = (await owner.get(f"/v1/admin/partners/{partner.name}/credentials/{key}")).json()
    assert (changed["label"], changed["expires_at"][:10]) == ("second", "2099-01-31")
    page = (await owner.post(f"{path}/rotate", data={"overlap_hours": "1"})).text
    assert re.findall("<dd><code>([^<]+)</code></dd>", page)[1] != secret
    for wrong in ({"overlap_hours": "soon"}, {"overlap_hours": "-1"}, {"overlap_hours": "nan"}):
        assert (await owner.post(f"{path}/rotate", data=wrong)).status_code == 400
    assert (await owner.post(path, data={**form, "expires_at": "soon"})).status_code == 400


async def test_statement_filters_are_links(owner: httpx.AsyncClient, partner: Partner) -> None:
    path = own(partner, "/statements")
    agent = '{"mbox":"mailto:jo@example.com"}'
    cases = {
        "organization=north&verb=": own(partner, "/organizations/north/statements"),
        f"credential={partner.key}": own(partner, f"/credentials/{partner.key}/statements"),
        "agent=jo%40example.com": f"{path}?agent={quote(agent, safe='')}",
    }
    for query, expected in cases.items():
        response = await owner.get(f"{path}?{query}", follow_redirects=True)
        assert response.status_code == 200, response.text
        assert str(response.url).removeprefix("https://lrs.test") == expected
    both = f"{path}?organization=north&credential={partner.key}"
    assert (await owner.get(both)).status_code == 400
    assert (await owner.get(f"{path}?attachments=true&limit=1")).status_code == 400
